"""The retired License 1.0 interface's ``authToken`` and ``Body-Sign``, with code of the emulator's own; pure.

One of three witnesses, like ``callback_signature``: the service has its own code for the same rules.

Source: protocol/online-license-and-sdk.md §7.3 and §7.4.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import StrEnum

# The printed form has a blank after "signature="; both spellings are taken.
_BODY_SIGN = re.compile(r'sign_type="HMAC-SHA256", *signature= *"([A-Za-z0-9+/=]+)"')


class BodySign(StrEnum):
    """What became of the signature of an answer."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"


def auth_token(parameters: Mapping[str, str], *, access_key: str) -> str:
    """Return the token over every parameter but ``authToken``, their values decoded; ``timeStamp`` must be there."""
    joined = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "authToken")
    return _base64_hmac(access_key + parameters["timeStamp"], joined.encode())


def body_sign(content: bytes, *, access_key: str) -> str:
    """Return the value of ``signature`` in the header ``Body-Sign`` for exactly these bytes."""
    return _base64_hmac(access_key, content)


def judge_body_sign(header: str | None, content: bytes, *, access_key: str) -> BodySign:
    """Say whether an answer carries the right ``Body-Sign``."""
    if header is None:
        return BodySign.MISSING
    found = _BODY_SIGN.fullmatch(header.strip())
    expected = body_sign(content, access_key=access_key)
    return BodySign.RIGHT if found and hmac.compare_digest(found[1], expected) else BodySign.WRONG


def _base64_hmac(key: str, message: bytes) -> str:
    return base64.b64encode(hmac.new(key.encode(), message, hashlib.sha256).digest()).decode()
