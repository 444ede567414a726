"""Check that a callback comes from the marketplace (protocol/authorization-code.md §6).

Pure: bytes, the three query parameters, the configured keys and the moment go in; a verdict or the documented result
code comes out. It does not remember nonces (a replay is the caller's to notice) and does not read the message.

The emulator signs with its own code on purpose; ``tests/vectors/callback_signature.json`` binds the two.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from licsrv.errors import CallbackError
from licsrv.marketplace.commands import ResultCode
from licsrv.platform.strict_json import MalformedJsonError, loads_object

WINDOW = timedelta(seconds=60)
"""How far the callback's timestamp may be from now, on either side (§6.2)."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS = re.compile(r"[0-9]{13}")  # ASCII digits only: int() would take blanks, "_" and full-width digits
_SECONDS = re.compile(r"[0-9]{10}")
_NONCE = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True)
class CallbackQuery:
    """The query parameters that sign a callback, URL-decoded; ``None`` where one is missing."""

    signature: str | None
    timestamp: str | None
    nonce: str | None


@dataclass(frozen=True, slots=True)
class Verified:
    """A callback that the marketplace signed.

    ``key_digest`` identifies the access key without revealing it, so that nonces can be bound to their key.
    """

    signed_at: datetime
    key_digest: str


def verify(body: bytes, query: CallbackQuery, access_keys: Sequence[str], *, now: datetime) -> Verified:
    """Check a callback's signature over the bytes on the wire, or over their canonical form.

    1. The timestamp is there and is milliseconds (ten digits are read as seconds: pages disagree, §6.4).
    2. It is at most 60 s from ``now``, on either side.
    3. The nonce is there: 1 to 512 printable ASCII characters.
    4. The signature is there.
    5. It is that of one of the keys, over the raw bytes; or else over the canonical form (§6.3). Every key is tried
       whatever the outcome, so the time taken does not reveal which one is in use.

    Raises:
        CallbackError: ``000002`` for steps 1 to 3, ``000001`` for steps 4 and 5. Nothing else, whatever comes in.
    """
    signed_at = _moment(query.timestamp)  # 1
    if abs(now - signed_at) > WINDOW:  # 2
        raise CallbackError(ResultCode.INVALID_PARAMETER, "timestamp is more than 60 seconds from our clock.")
    nonce = _nonce(query.nonce)  # 3
    if not query.signature:  # 4
        raise CallbackError(ResultCode.AUTHENTICATION_FAILED, "signature is missing.")
    salt = nonce + (query.timestamp or "")
    key = _signing_key(body, salt, query.signature, access_keys=access_keys)  # 5
    if key is None:
        raise CallbackError(ResultCode.AUTHENTICATION_FAILED, "signature is not valid.")
    return Verified(signed_at=signed_at, key_digest=key_digest(key))


def sign(body: bytes, *, access_key: str, nonce: str, timestamp_ms: int) -> str:
    """Sign a callback as the marketplace does (§6.3), in lower-case hex; for tests and tools."""
    return _signature(body, access_key, f"{nonce}{timestamp_ms}")


def key_digest(access_key: str) -> str:
    """Identify an access key by twelve hex digits that do not reveal it."""
    return hashlib.sha256(b"callback-access-key:" + _bytes(access_key)).hexdigest()[:12]


def canonical_form(body: bytes) -> bytes | None:
    """Rewrite a JSON object as Huawei's sample does (§6.3); ``None`` when the body does not parse strictly.

    Members of the top level sorted by UTF-16 code unit (Java's order), those that are null left out, no blanks,
    non-ASCII and ``/`` as they are. Nested objects keep their order. Numbers and control characters may be spelled
    differently by the sample's library; no documented member holds either.
    """
    try:
        members = loads_object(body, keeps_numbers=True)
    except MalformedJsonError:
        return None
    kept = {name: members[name] for name in sorted(members, key=_java_order) if members[name] is not None}
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _java_order(name: str) -> bytes:
    return name.encode("utf-16-be")


def _moment(timestamp: str | None) -> datetime:
    # Nonce and timestamp are signed without a separator, so three digits moved from one to the other still sign the
    # same under another nonce. The time they then name is inside the window for a tenth of a second in 115 days; and
    # doing a callback twice is doing it once.
    if timestamp is not None and _MILLISECONDS.fullmatch(timestamp):
        return _EPOCH + timedelta(milliseconds=int(timestamp))
    if timestamp is not None and _SECONDS.fullmatch(timestamp):
        return _EPOCH + timedelta(seconds=int(timestamp))
    raise CallbackError(ResultCode.INVALID_PARAMETER, "timestamp is missing or is not 13 digits of milliseconds.")


def _nonce(nonce: str | None) -> str:
    if nonce is None or not _NONCE.fullmatch(nonce):
        raise CallbackError(ResultCode.INVALID_PARAMETER, "nonce is missing or is not 1 to 512 printable characters.")
    return nonce


def _signing_key(body: bytes, salt: str, signature: str, access_keys: Sequence[str]) -> str | None:
    # Any caller can sign with an empty key, and a setting like "key-1," has one: leave it out.
    keys = [key for key in access_keys if key]
    found = _matching(body, salt, signature, keys=keys)
    if found is None and (canonical := canonical_form(body)) is not None:
        found = _matching(canonical, salt, signature, keys=keys)
    return found


def _matching(payload: bytes, salt: str, signature: str, keys: Sequence[str]) -> str | None:
    """Compare with every key before looking at any verdict."""
    given = _bytes(signature).lower()  # of bytes: only A-Z change; published signatures come in both cases
    verdicts = [hmac.compare_digest(_signature(payload, key, salt).encode("ascii"), given) for key in keys]
    return next((key for key, same in zip(keys, verdicts, strict=True) if same), None)


def _signature(payload: bytes, access_key: str, salt: str) -> str:
    key = _bytes(access_key)
    inner = hmac.new(key, payload, hashlib.sha256).hexdigest()
    return hmac.new(key, key + _bytes(salt) + inner.encode("ascii"), hashlib.sha256).hexdigest()


def _bytes(text: str) -> bytes:
    """Encode anything a URL decoder may hand over, half surrogates included, without raising."""
    return text.encode("utf-8", "surrogatepass")
