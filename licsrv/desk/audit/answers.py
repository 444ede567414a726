"""The audit as API, console and command line show it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Mark
from licsrv.audit.tables import AuditEntry
from licsrv.desk.audit import store
from licsrv.desk.fields import Listing
from licsrv.licensing import store as licensing
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window


class Entry(Body):
    """An entry of the audit."""

    seq: int | None
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    detail: Any
    request_id: str
    client_request_id: str | None = Field(None, description="what the caller named its request; anyone can choose it")
    hash: str | None


class Entries(Listing[Entry]):
    """A page of the audit, the newest first."""


class AuditChecked(Body):
    """Whether the audit's chain is complete."""

    is_intact: bool
    entries: int
    end: str = Field(description="its last entry and that one's hash, to be noted elsewhere and sent as noted later")
    problem: str | None


def entries(session: Session, window: Window, *, subject: str | None, action: Action | None) -> Entries:
    """Return the audit: all of it, of one subject (a license's code counts as its id), of one action."""
    subject_id = _subject(session, subject) if subject is not None else None
    rows = store.entries(session, window, subject=subject_id, action=action)
    return Entries.of(paging.page_of(rows, window, keys=lambda row: (str(row.id),), item=shown))


def _subject(session: Session, name: str) -> str:
    license = licensing.license_typed(session, name.strip())
    return license.id if license is not None else name.strip()


def shown(row: AuditEntry) -> Entry:
    """Return an entry of the audit."""
    return Entry.model_validate(row.model_dump() | {"detail": read_json(row.detail)})


def read_json(text: str) -> Any:
    """Return what a stored JSON text says; the text itself if it was cut or is not JSON."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def lines(session: Session, after_seq: int, limit: int) -> tuple[list[str], int | None]:
    """Return entries as lines of JSON in the order of the chain, and the last one's number; None at the end.

    ``detail`` is the text that was hashed, so that a reader of the lines can check the chain.
    """
    rows = store.entries_after(session, after_seq, limit)
    texts = [Entry.model_validate(row.model_dump()).model_dump_json() + "\n" for row in rows]
    return texts, rows[-1].seq if len(rows) == limit else None


def all_lines(session: Session, after_seq: int, *, at_once: int) -> Iterator[str]:
    """Yield every entry behind a number as a line of JSON."""
    last: int | None = after_seq
    while last is not None:
        texts, last = lines(session, last, at_once)
        yield from texts


def checked(session: Session, noted: Mark | None) -> AuditChecked:
    """Check the whole chain, and that a noted end is part of it; a long chain takes a while."""
    problem, end = audit.verify(session, noted), audit.mark(session)
    count = end.seq if end is not None else 0
    return AuditChecked(is_intact=problem is None, entries=count, end=str(end or ""), problem=problem)
