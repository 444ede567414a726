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
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Release:
    """A published version, signed. ``size`` is in bytes, ``sha256`` in lower-case hexadecimal.

    Attributes:
        is_forced: The running version is below the lowest that the vendor still allows.
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
    )


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
