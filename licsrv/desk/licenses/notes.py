"""Notes: what people want each other to know about a license. They stand in its timeline and change nothing."""

from __future__ import annotations

import re
from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.licenses.tables import LONGEST_NOTE, LicenseNote
from licsrv.errors import InvalidRequestError
from licsrv.licensing.tables import License
from licsrv.platform.ids import new_id

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

__all__ = ["LONGEST_NOTE", "add", "require_text"]


def add(session: Session, license: License, text: str, *, cause: Cause, now: datetime) -> LicenseNote:
    """Note something about a license, as it was written.

    Raises:
        InvalidRequestError: It is empty, too long, or has characters that no database stores.
    """
    require_text(text)
    note = LicenseNote(id=new_id(now), license_id=license.id, at=now, author=cause.actor, text=text)
    session.add(note)
    detail = {"note": note.id}
    audit.record(session, Action.NOTE_ADDED, subject=license.id, cause=cause, detail=detail, now=now)
    return note


def require_text(text: str) -> None:
    """Refuse a text that is no note.

    Raises:
        InvalidRequestError: It is empty, too long, or has characters that no database stores.
    """
    if not text.strip() or len(text) > LONGEST_NOTE or _UNSTORABLE.search(text):
        raise InvalidRequestError(
            f"A note has 1 to {LONGEST_NOTE} characters, and none that cannot be stored.", field="text"
        )
