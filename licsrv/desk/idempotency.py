"""Calls that may be sent again: an ``Idempotency-Key`` makes an unsafe call happen once, and be answered alike twice.

The key is taken in the transaction of the change, as a unique row, so that of many that come at once, on several
replicas, one does it and the others get its answer; a call that is refused takes no key. Answers are kept for a day,
sealed: they may hold a token that is shown once.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session
from starlette.requests import Request

from licsrv.errors import ConflictError, InvalidRequestError
from licsrv.people.actors import Actor
from licsrv.people.tables import StoredAnswer
from licsrv.platform import sealing
from licsrv.platform.db import add_missing

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotency-Replayed"
KEPT = timedelta(hours=24)
_KEY = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True)
class Repeatable:
    """A call that may come again: whose, under which key, and what it says."""

    actor: str
    key: str
    fingerprint: str
    sealing_key: bytes


def repeatable(request: Request, actor: Actor, body: bytes, *, sealing_key: bytes) -> Repeatable | None:
    """Return how a call is recognised when it comes again; None when it names no key.

    Raises:
        InvalidRequestError: The key is empty, too long, or not printable ASCII.
    """
    key = request.headers.get(HEADER)
    if key is None:
        return None
    if not _KEY.fullmatch(key):
        raise InvalidRequestError(f"{HEADER} has 1 to 128 printable ASCII characters without blanks.")
    said = f"{request.method}\n{request.url.path}\n{request.url.query}\n".encode() + body
    return Repeatable(actor.principal, key, hashlib.sha256(said).hexdigest(), sealing_key=sealing_key)


def answer_given(session: Session, call: Repeatable, *, now: datetime) -> str | None:
    """Return the answer that was given to this call; None when it was not made within the last day.

    Raises:
        ConflictError: The key was used for another call.
    """
    row = session.get(StoredAnswer, (call.actor, call.key), populate_existing=True)
    if row is None or now - row.at >= KEPT:
        return None
    if row.fingerprint != call.fingerprint:
        raise ConflictError(
            "This Idempotency-Key was used for another call.", action="Use a new key for each new call."
        )
    return sealing.unseal(row.sealed, device_key=call.sealing_key)


def take(session: Session, call: Repeatable, *, now: datetime) -> bool:
    """Take the key in the transaction of the change; False when another call has it: that call's answer counts."""
    old = session.get(StoredAnswer, (call.actor, call.key), populate_existing=True)
    if old is not None and now - old.at >= KEPT:
        session.delete(old)
        session.flush()
    row = {"actor": call.actor, "key": call.key, "fingerprint": call.fingerprint, "sealed": "", "at": now}
    return bool(add_missing(session, StoredAnswer, "key", rows=[row]))


def keep(session: Session, call: Repeatable, answer: str) -> None:
    """Keep the answer with the key that was taken."""
    row = session.get_one(StoredAnswer, (call.actor, call.key))
    row.sealed = sealing.seal(answer, device_key=call.sealing_key)
    session.add(row)
