"""The audit: who changed what, when and why, written in the transaction of the change and chained by hashes."""

from licsrv.audit.entries import Action, Cause, Mark
from licsrv.audit.store import (
    count_by_actor,
    entries,
    is_head_ours,
    mark,
    missing,
    moments,
    record,
    reseal,
    reseal_head,
    seal,
    verify,
)

__all__ = [
    "Action",
    "Cause",
    "Mark",
    "count_by_actor",
    "entries",
    "is_head_ours",
    "mark",
    "missing",
    "moments",
    "record",
    "reseal",
    "reseal_head",
    "seal",
    "verify",
]
