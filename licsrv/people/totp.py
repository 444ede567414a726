"""The second factor: time-based one-time passwords as RFC 6238 has them. Pure.

SHA-1, six digits, steps of 30 seconds: what every authenticator app understands. A clock may be one step off either
way, and a step counts once (RFC 6238 §5.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from datetime import datetime
from urllib.parse import quote, urlencode

STEP_SECONDS = 30
DIGITS = 6
SECRET_BYTES = 20  # RFC 4226 §4, R6
_STEPS_OFF = 1
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


def step_at(moment: datetime) -> int:
    """Return the number of the step that a moment lies in (RFC 6238 §4.2)."""
    return int(moment.timestamp()) // STEP_SECONDS


def code_of(secret: bytes, step: int) -> str:
    """Return the code of a step (RFC 4226 §5.3)."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def looks_like_code(text: str) -> bool:
    """Whether a text is six ASCII digits, and not, say, a recovery code."""
    return _CODE.fullmatch(text) is not None


def accepted_step(secret: bytes, code: str, *, last_step: int, now: datetime) -> int | None:
    """Return the step that a code belongs to; None when it is wrong, too old, or was used already.

    Args:
        last_step: The newest step whose code was used: that one and those before it are spent.
    """
    if not looks_like_code(code):
        return None
    current = step_at(now)
    found = None
    for step in range(current - _STEPS_OFF, current + _STEPS_OFF + 1):  # all of them: the time must reveal nothing
        is_equal = hmac.compare_digest(code_of(secret, step).encode(), code.encode())
        if is_equal and step > last_step and found is None:
            found = step
    return found


def text_of(secret: bytes) -> str:
    """Return a secret as people type it: base32 without padding."""
    return base64.b32encode(secret).decode("ascii").rstrip("=")


def secret_of(text: str) -> bytes:
    """Return the secret of :func:`text_of`."""
    return base64.b32decode(text + "=" * (-len(text) % 8))


def address_of(secret: bytes, *, account: str, issuer: str) -> str:
    """Return the ``otpauth://`` address that an authenticator app reads, as a link or from a picture."""
    label = quote(f"{issuer}:{account}", safe=":")
    query = urlencode({"secret": text_of(secret), "issuer": issuer, "digits": DIGITS, "period": STEP_SECONDS})
    return f"otpauth://totp/{label}?{query}"
