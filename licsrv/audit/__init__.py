"""The audit: who changed what, when and why, written in the transaction of the change and chained by hashes."""

from licsrv.audit.entries import Action, Cause
from licsrv.audit.store import entries, record, seal, verify

__all__ = ["Action", "Cause", "entries", "record", "seal", "verify"]
