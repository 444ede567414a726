"""The use case of callbacks: a verified message of any product line is carried out once, whatever happens.

The marketplace sends a message up to 60 times, on any replica, in any order (protocol/authorization-code.md §5.7).
The end state and the answer are those of one delivery:

1. The nonce is noted; a second use of it is a replay and is refused.
2. A probe is answered and changes nothing.
3. A message with a receipt gets the answer it got before.
4. The license is changed by absolute facts, unless it knows newer ones.
5. The marketplace is asked afterwards (outbox), so its own word settles what order could not.

Everything, the log included, is one transaction: ``000000`` means that it is on disk.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.errors import CallbackError
from licsrv.heartbeats.service import QUERY_KIND
from licsrv.licensing import changes
from licsrv.licensing import store as licenses
from licsrv.licensing.tables import License
from licsrv.marketplace import product_lines, store
from licsrv.marketplace.callback_signature import Verified
from licsrv.marketplace.commands import (
    ChangeExpiry,
    ChangeStatus,
    Command,
    Outcome,
    Probe,
    ReleaseLicense,
    ResultCode,
)
from licsrv.outbox import store as outbox
from licsrv.platform.ids import new_id
from licsrv.platform.strict_json import MalformedJsonError, loads_object

# A renewal by its nature only extends; every other scene (also one we do not know) says what the end is.
_EXTENDING_SCENES = frozenset({"RENEWAL", "TRIAL_TO_FORMAL"})
_REPLAYED = "This nonce has been used."


@dataclass(frozen=True)
class Callback:
    """A callback as it arrived. ``verified`` is None when its signature does not count, and ``rejection`` says why."""

    body: bytes
    nonce: str
    signature: str
    verified: Verified | None
    rejection: CallbackError | None
    request_id: str


@dataclass(frozen=True)
class Answered:
    """What a callback is answered with, and what the metrics need to know of it."""

    activity: str
    document: Mapping[str, object]
    result_code: str


def answer(session: Session, callback: Callback, *, callback_timezone: tzinfo, now: datetime) -> Answered:
    """Carry a callback out, log it, and return the answer; a refusal is an answer and changes nothing but the log."""
    body: Mapping[str, object] = {}
    command: Command | None = None
    try:
        verified = _require_verified(callback)
        _require_new(session, callback, verified, now)
        body = _parse(callback.body)
        command = product_lines.parse(body, callback_timezone=callback_timezone)
        result: Outcome | CallbackError = _carry_out(
            session, command, body, verified, cause=Cause("marketplace", callback.request_id), now=now
        )
    except CallbackError as error:
        result = error

    activity = body.get("activity")
    document = product_lines.answer(activity, result)
    _log(session, callback, body, document, is_probe=isinstance(command, Probe), now=now)
    return Answered(_short(activity), document, str(document["resultCode"]))


def _require_verified(callback: Callback) -> Verified:
    if callback.verified is None:
        raise callback.rejection or CallbackError(ResultCode.AUTHENTICATION_FAILED, "The signature does not fit.")
    return callback.verified


def _require_new(session: Session, callback: Callback, verified: Verified, now: datetime) -> None:
    """Refuse a replay; it has no result code of its own (protocol §6.6).

    The signature is remembered as well: nonce and timestamp are signed without a separator, so digits can be moved
    from one to the other and the signature still fits.
    """
    used = (f"nonce:{callback.nonce}", f"signature:{callback.signature.lower()}")
    digests = [hashlib.sha256(f"{verified.key_digest}:{text}".encode()).hexdigest() for text in used]
    if not store.remember_nonces(session, digests, now=now):
        raise CallbackError(ResultCode.AUTHENTICATION_FAILED, _REPLAYED)


def _parse(body: bytes) -> Mapping[str, object]:
    try:
        return loads_object(body)
    except MalformedJsonError as error:
        raise CallbackError(ResultCode.INVALID_PARAMETER, f"The body cannot be read: {error}") from error


def _carry_out(
    session: Session,
    command: Command,
    body: Mapping[str, object],
    verified: Verified,
    *,
    cause: Cause,
    now: datetime,
) -> Outcome:
    """Change what the command says; a command that was carried out before changes nothing."""
    if isinstance(command, Probe):
        return Outcome()
    license = licenses.license_for_update(session, command.code)
    if license is None:
        raise CallbackError(ResultCode.UNKNOWN_LICENSE, "This authorization code is not known here.")
    # Looked for under the lock: the same message on another replica has written its receipt by now.
    receipt = _receipt_digest(command, body)
    if receipt is not None and (before := store.receipt(session, receipt)) is not None:
        return Outcome(before)

    changed = _apply(session, license, command, stated_at=verified.signed_at, cause=cause, now=now)

    if changed and license.released_at is None:
        outbox.enqueue(session, QUERY_KIND, ordering_key=license.id, payload={"code": license.code}, now=now)
    if receipt is not None:
        store.add_receipt(session, receipt, Outcome().message, now=now)
    return Outcome()


def _receipt_digest(command: Command, body: Mapping[str, object]) -> str | None:
    """Return what names a message that must not be carried out twice.

    A change of status has none: FREEZE, UNFREEZE, FREEZE are three messages of which the first and the third are equal
    to the letter. Being absolute, they may be repeated; the signed time orders them.
    """
    if isinstance(command, ChangeStatus):
        return None
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _apply(
    session: Session, license: License, command: Command, *, stated_at: datetime, cause: Cause, now: datetime
) -> bool:
    match command:
        case ChangeExpiry():
            return _change_expiry(session, license, command, stated_at=stated_at, cause=cause, now=now)
        case ChangeStatus(frozen=frozen):
            return changes.set_frozen(session, license, frozen, stated_at=stated_at, cause=cause, now=now)
        case ReleaseLicense(order_id=order_id, order_line_id=line_id):
            if order_id:
                store.add_order(session, license.id, order_id, line_id or "", "RELEASE", now=now)
            return changes.release(session, license, cause=cause, now=now)
        case Probe():
            return False


def _change_expiry(
    session: Session, license: License, command: ChangeExpiry, *, stated_at: datetime, cause: Cause, now: datetime
) -> bool:
    may_shorten = command.scene not in _EXTENDING_SCENES
    store.add_order(session, license.id, command.order_id, command.order_line_id, command.scene, now=now)
    changed = changes.change_expiry(
        session, license, command.expires_at, stated_at=stated_at, may_shorten=may_shorten, cause=cause, now=now
    )
    if command.product_id and changed:
        changes.change_product(session, license, command.product_id, cause=cause, now=now)
    # Not changed may mean late: the marketplace is asked in any case.
    return True


def _log(
    session: Session,
    callback: Callback,
    body: Mapping[str, object],
    document: Mapping[str, object],
    *,
    is_probe: bool,
    now: datetime,
) -> None:
    signed = callback.verified is not None
    row = {
        "id": new_id(now),
        "received_at": now,
        "is_signed": signed,
        "key_digest": callback.verified.key_digest if callback.verified else "",
        "activity": _short(body.get("activity")),
        "code": _short(body.get("license")),
        "is_probe": is_probe,
        "result_code": str(document["resultCode"]),
        "message": str(document.get("resultMsg", "")),
        "body": _storable(callback.body) if signed else "",
        "body_bytes": len(callback.body),
        "request_id": callback.request_id,
    }
    store.log_callback(session, row)


def _short(value: object) -> str:
    return value[:64] if isinstance(value, str) else ""


def _storable(body: bytes) -> str:
    """Return a body as text that any database takes; what is no UTF-8 stays readable as escapes."""
    return body.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
