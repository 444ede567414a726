"""Random secrets that are shown once, and the digests by which they are recognised afterwards.

Tokens, cookies and links are 256 random bits, so a plain SHA-256 of them reveals nothing. Recovery codes and
what people typed are shorter: they are hashed under a key that is not in the database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets

TOKEN_PREFIX = "lsat_"  # noqa: S105 - the beginning of every API token, for scanners of leaked secrets
_SECRET_BYTES = 32
_API_TOKEN = re.compile(TOKEN_PREFIX + r"[A-Za-z0-9_-]{43}", re.ASCII)
_RECOVERY_BYTES, _RECOVERY_GROUP = 10, 4
RECOVERY_CODES = 10


def new_secret() -> str:
    """Return 43 characters of 256 random bits."""
    return secrets.token_urlsafe(_SECRET_BYTES)


def new_api_token() -> str:
    """Return a new API token: ``lsat_`` and 43 characters."""
    return TOKEN_PREFIX + new_secret()


def is_api_token(text: str) -> bool:
    """Whether a text has the form of an API token."""
    return _API_TOKEN.fullmatch(text) is not None


def digest_of(secret: str) -> str:
    """Return the SHA-256 (hex) by which a random secret is recognised."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def csrf_token_of(session_token: str) -> str:
    """Return the token that calls of a session must carry; who cannot read the cookie cannot work it out."""
    raw = hmac.digest(session_token.encode("utf-8", "surrogatepass"), b"csrf", hashlib.sha256)
    return base64.urlsafe_b64encode(raw).decode("ascii").rstrip("=")


def is_same(given: str, expected: str) -> bool:
    """Compare two secrets in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8"))


def key_for(use: str, *, server_secret: bytes) -> bytes:
    """Return a key for one use, derived from the server's secret; the keys of two uses are independent."""
    return hmac.digest(server_secret, b"admin:" + use.encode("ascii"), hashlib.sha256)


def keyed_digest(text: str, *, key: bytes) -> str:
    """Return the HMAC-SHA256 (hex) of a text that could be guessed."""
    return hmac.digest(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()


def new_recovery_codes() -> list[str]:
    """Return ten codes of 80 random bits, as ``abcd-efgh-ijkl-mnop``."""
    return [_recovery_code() for _ in range(RECOVERY_CODES)]


def _recovery_code() -> str:
    text = base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode("ascii").lower()
    return "-".join(text[start : start + _RECOVERY_GROUP] for start in range(0, len(text), _RECOVERY_GROUP))


def recovery_digest(code: str, *, account: str, key: bytes) -> str:
    """Return the digest of a recovery code however it is typed: blanks, dashes and case do not count."""
    bare = re.sub(r"[\s-]", "", code).lower()
    return keyed_digest(f"{account}:{bare}", key=key)
