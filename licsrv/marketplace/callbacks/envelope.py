"""The use case of callbacks: a verified message of any product line is carried out once, whatever happens.

This is the envelope: replay, reading, answering, logging. ``carrying_out`` holds what a command changes.

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
from licsrv.marketplace import store
from licsrv.marketplace.callbacks import carrying_out, product_lines
from licsrv.marketplace.callbacks.carrying_out import Message
from licsrv.marketplace.callbacks.signature import Verified
from licsrv.marketplace.commands import Command, Outcome, Probe, ResultCode
from licsrv.marketplace.licenses.applications import Issuer
from licsrv.platform.db import savepoint
from licsrv.platform.ids import new_id
from licsrv.platform.strict_json import MalformedJsonError, loads_object

_REPLAYED = "This nonce has been used."
# What a message says of devices and people is not kept: the log is for support, who have the license itself.
_UNKEPT = frozenset({"deviceFingerprint", "buyerInfo", "customerName", "userName", "mobilePhone", "email"})
_LEFT_OUT = "(not kept)"


@dataclass(frozen=True)
class Callback:
    """A callback as it arrived. ``verified`` is None when its signature does not count, and ``rejection`` says why.

    ``body`` holds the message as a JSON object; of a GET request, its parameters.
    """

    method: str
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


def answer(
    session: Session, callback: Callback, *, callback_timezone: tzinfo, issuer: Issuer, now: datetime
) -> Answered:
    """Carry a callback out, log it, and return the answer; a refusal is an answer and changes nothing but the log."""
    body: Mapping[str, object] = {}
    command: Command | None = None
    try:
        verified = _require_verified(callback)
        _require_new(session, callback, verified, now=now)
        body = _parse(callback.body)
        command = product_lines.parse(body, callback_timezone=callback_timezone, method=callback.method)
        message = Message(command, body, verified.signed_at)
        cause = Cause("marketplace", callback.request_id)
        with savepoint(session):  # a refusal undoes what was written on the way to it
            result: Outcome | CallbackError = carrying_out.carry_out(session, message, issuer, cause=cause, now=now)
    except CallbackError as error:
        result = error

    activity = body.get("activity")
    document = product_lines.answer(activity, result)
    _log(session, callback, body, document=document, is_probe=isinstance(command, Probe), now=now)
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
        return loads_object(body, keeps_numbers=True)
    except MalformedJsonError as error:
        raise CallbackError(ResultCode.INVALID_PARAMETER, f"The body cannot be read: {error}") from error


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
        "code": _short(body.get("license") or body.get("instanceId") or document.get("instanceId")),
        "is_probe": is_probe,
        "result_code": str(document["resultCode"]),
        "message": str(document.get("resultMsg", "")),
        "body": _storable(callback.body, body) if signed else "",
        "body_bytes": len(callback.body),
        "request_id": callback.request_id,
    }
    store.log_callback(session, row)


def _short(value: object) -> str:
    return value[:64] if isinstance(value, str) else ""


def _storable(raw: bytes, body: Mapping[str, object]) -> str:
    """Return a message as text that any database takes, without what it says of devices and people.

    One that cannot be read stays as it came, what is no UTF-8 as escapes, unless such a member may be in it.
    """
    if body:
        return json.dumps(_kept(body), ensure_ascii=False, separators=(",", ":"))
    text = raw.decode("utf-8", "backslashreplace").replace("\0", "\\x00")
    return _LEFT_OUT if any(name in text for name in _UNKEPT) else text


def _kept(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _LEFT_OUT if name in _UNKEPT else _kept(member) for name, member in value.items()}
    return [_kept(item) for item in value] if isinstance(value, list) else value
