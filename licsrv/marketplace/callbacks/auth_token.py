"""Check the ``authToken`` of a License 1.0 request and sign the answer (online-license-and-sdk.md §7.3, §7.4).

Pure: parameters, the configured keys and the moment go in; a verdict or the documented result code comes out. The
emulator does the same with its own code on purpose; ``tests/vectors/license_v1.json`` binds the two.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from licsrv.errors import CallbackError
from licsrv.marketplace import compact_time
from licsrv.marketplace.callbacks.signature import Verified, key_digest
from licsrv.marketplace.commands import ResultCode

TOKEN = "authToken"  # noqa: S105 - a parameter's name
TIMESTAMP = "timeStamp"
BODY_SIGN = "Body-Sign"
WINDOW = timedelta(minutes=5)
"""How far the timestamp may be from now. GAP: the pages name none; a request is called again an hour later at most."""

PARAMETERS = frozenset(
    [
        "activity",
        "authToken",
        "timeStamp",
        "customerId",
        "customerName",
        "businessId",
        "orderId",
        "skuCode",
        "productId",
        "expireTime",
        "periodType",
        "periodNumber",
        "amount",
        "diskSize",
        "bandWidth",
        "saasExtendParams",
        "testFlag",
        "trialToFormal",
        "instanceId",
    ]
)
"""The documented parameters (§7.1); the table of getLicense is not complete there."""

_TIMESTAMP = re.compile(r"[0-9]{17}")


def verify(parameters: Mapping[str, str], access_keys: Sequence[str], *, now: datetime) -> Verified:
    """Check a request's token over all its other parameters, URL-decoded.

    Raises:
        CallbackError: ``000002`` for the timestamp and for parameters that the token does not prove, ``000001`` for
            the token. Nothing else, whatever comes in.
    """
    signed_at = _moment(parameters.get(TIMESTAMP, ""))
    if signed_at is None:
        raise CallbackError(ResultCode.INVALID_PARAMETER, f"{TIMESTAMP} is missing or is not 17 digits.")
    if abs(now - signed_at) > WINDOW:
        raise CallbackError(ResultCode.INVALID_PARAMETER, f"{TIMESTAMP} is more than 5 minutes from our clock.")
    given = parameters.get(TOKEN, "").encode("utf-8", "surrogatepass")
    if not given:
        raise CallbackError(ResultCode.AUTHENTICATION_FAILED, f"{TOKEN} is missing.")
    verdicts = [hmac.compare_digest(token(parameters, key).encode("ascii"), given) for key in access_keys if key]
    keys = [key for key in access_keys if key]
    found = next((key for key, same in zip(keys, verdicts, strict=True) if same), None)
    if found is None:
        raise CallbackError(ResultCode.AUTHENTICATION_FAILED, f"{TOKEN} is not valid.")
    if not is_unambiguous(parameters):
        raise CallbackError(
            ResultCode.INVALID_PARAMETER, "A parameter holds & and = in such a way that the token does not prove it."
        )
    return Verified(signed_at, key_digest(found))


def is_unambiguous(parameters: Mapping[str, str]) -> bool:
    """Say whether the token proves these parameters: no documented one is hidden in another, none swallowed another.

    The token signs ``name=value`` joined by ``&`` without escaping (§7.3), so ``skuCode=S`` with ``testFlag=1`` signs
    the same text as one parameter ``skuCode`` with the value ``S&testFlag=1``. Names hold neither sign; a value holds
    no ``&name=`` of a documented parameter; the value of an undocumented parameter holds no ``&name=`` at all.
    """
    if any("&" in name or "=" in name for name in parameters):
        return False
    return not any(_hides_another(name, value) for name, value in parameters.items())


def _hides_another(name: str, value: str) -> bool:
    hidden = (piece.partition("=")[0] for piece in value.split("&")[1:] if "=" in piece)
    return any(name not in PARAMETERS or one in PARAMETERS for one in hidden)


def token(parameters: Mapping[str, str], access_key: str) -> str:
    """Return the token of a request's parameters (§7.3)."""
    message = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != TOKEN)
    return _hmac(access_key + parameters.get(TIMESTAMP, ""), message.encode("utf-8", "surrogatepass"))


def body_sign(body: bytes, access_key: str) -> str:
    """Return the value of ``Body-Sign`` for the bytes of an answer, with the blank that the page prints (§7.4)."""
    return f'sign_type="HMAC-SHA256", signature= "{_hmac(access_key, body)}"'


def _hmac(key: str, message: bytes) -> str:
    digest = hmac.digest(key.encode("utf-8", "surrogatepass"), message, hashlib.sha256)
    return base64.b64encode(digest).decode("ascii")


def _moment(text: str) -> datetime | None:
    if not _TIMESTAMP.fullmatch(text):
        return None
    moment = compact_time.parse(text, timezone=UTC)
    return None if moment is None else moment + timedelta(milliseconds=int(text[14:]))
