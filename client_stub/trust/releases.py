"""What a signed manifest says about a published version of the program.

Pure. Whether a manifest is believed is decided in ``verification``. Which of two versions is newer is the server's
word: the vendor chose how versions are counted. The program or its installer checks the file it downloads against
``sha256`` and ``size``; nothing is downloaded here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from client_stub.trust import claim_values
from client_stub.trust.errors import BadClaimsError
from client_stub.trust.keys import KeyPurpose
from client_stub.trust.tokens import Token, TokenKind

MANIFEST = TokenKind("release+jwt", KeyPurpose.RELEASE, 8 * 1024)
_LARGEST_FILE = 2**53 - 1
_DOTTED = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){0,5}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Release:
    """A published version, signed. ``size`` is in bytes, ``sha256`` in lower-case hexadecimal.

    Attributes:
        is_forced: The running version is below the lowest that the vendor still allows.
        expires_at: Until when the answer counts; None from a server of before 2026-12.
        running: The version that asked; empty from such a server.
        nonce: The random that the question carried; empty where there was none.
    """

    issuer: str
    product: str
    version: str
    channel: str
    platform: str
    url: str
    sha256: str
    size: int
    is_forced: bool
    published_at: datetime
    issued_at: datetime
    expires_at: datetime | None
    running: str
    nonce: str


def read_release(token: Token) -> Release:
    """Read the claims of a manifest.

    Raises:
        BadClaimsError: A claim is missing, of another type, or out of range.
    """
    claims = token.claims
    return Release(
        issuer=claim_values.text(claims, "iss"),
        product=claim_values.text(claims, "product"),
        version=claim_values.text(claims, "version"),
        channel=claim_values.text(claims, "channel"),
        platform=claim_values.text(claims, "platform"),
        url=_url(claim_values.text(claims, "url")),
        sha256=_digest(claim_values.text(claims, "sha256")),
        size=claim_values.whole_number(claims, "size", _LARGEST_FILE),
        is_forced=claim_values.flag(claims, "forced"),
        published_at=claim_values.moment(claims, "published_at"),
        issued_at=claim_values.moment(claims, "iat"),
        expires_at=claim_values.moment(claims, "exp", claim_values.LAST_END) if "exp" in claims else None,
        running=claim_values.text(claims, "running") if "running" in claims else "",
        nonce=claim_values.text(claims, "nonce") if "nonce" in claims else "",
    )


def is_older_or_same(version: str, running: str) -> bool:
    """Whether a version is surely not newer than the running one: they are equal, or both are numbers with dots.

    Other schemes are the server's to order, and the nonce proves that its word is fresh.
    """
    ours, theirs = _numbers(running), _numbers(version)
    if ours is None or theirs is None:
        return version == running
    length = max(len(ours), len(theirs))
    return theirs + (0,) * (length - len(theirs)) <= ours + (0,) * (length - len(ours))


def _numbers(version: str) -> tuple[int, ...] | None:
    return tuple(map(int, version.split("."))) if _DOTTED.fullmatch(version) else None


def _url(text: str) -> str:
    try:
        parts = urlsplit(text)
        is_safe = parts.scheme == "https" and bool(parts.hostname)
    except ValueError:
        is_safe = False
    if not is_safe:
        raise BadClaimsError("The claim url is not an https:// address.")
    return text


def _digest(text: str) -> str:
    if not _SHA256.fullmatch(text):
        raise BadClaimsError("The claim sha256 is not a SHA-256 digest in lower-case hexadecimal.")
    return text
