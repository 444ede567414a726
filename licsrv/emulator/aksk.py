"""AK/SK signatures ``SDK-HMAC-SHA256``, written from the specification a second time, on purpose.

One of three witnesses: the service signs with code of its own, and this file must not share a line with it, or both
would make the same mistake and the tests would agree with it. Pure: no clock, no network. Counting failures and
locking pairs is the gateway's work (``gateway.py``).

Source: protocol/authorization-code.md §4.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote

ALGORITHM = "SDK-HMAC-SHA256"
PAYLOAD_HEADER = "x-sdk-content-sha256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"


@dataclass(frozen=True)
class SignedRequest:
    """What of an HTTP request goes into its signature.

    Args:
        method: The HTTP method.
        path: The decoded path, without the query.
        query: The raw query, without the question mark.
        headers: Lower-case names and values.
        body: The exact bytes.
        body_may_be_unsigned: ``X-Sdk-Content-Sha256: UNSIGNED-PAYLOAD`` may replace the body's hash.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    body_may_be_unsigned: bool = False


@dataclass(frozen=True)
class Authorization:
    """The three parts of an ``Authorization`` header."""

    access: str
    signed_headers: tuple[str, ...]
    signature: str


def parse_authorization(text: str) -> Authorization:
    """Read ``SDK-HMAC-SHA256 Access=…, SignedHeaders=…, Signature=…``.

    Raises:
        ValueError: The algorithm is another one, or a part is missing, doubled or empty.
    """
    algorithm, _, rest = text.partition(" ")
    parts = [part.strip().partition("=") for part in rest.split(",")]
    if algorithm != ALGORITHM or [name for name, _, _ in parts] != ["Access", "SignedHeaders", "Signature"]:
        raise ValueError("Authorization has another form")
    access, signed, signature = (value for _, _, value in parts)
    if not (access and signed and signature):
        raise ValueError("Authorization has an empty part")
    return Authorization(access, tuple(signed.split(";")), signature)


def canonical_request(request: SignedRequest, signed_headers: Sequence[str]) -> str:
    """Return the text whose hash is signed.

    Raises:
        ValueError: A header that is said to be signed is not in the request.
    """
    missing = [name for name in signed_headers if name not in request.headers]
    if missing:
        raise ValueError(f"signed header not sent: {missing[0]}")
    return "\n".join(
        (
            request.method.upper(),
            _canonical_path(request.path),
            _canonical_query(parse_qsl(request.query, keep_blank_values=True)),
            "".join(f"{name}:{request.headers[name].strip()}\n" for name in signed_headers),
            ";".join(signed_headers),
            _payload_hash(request, signed_headers),
        )
    )


def signature(secret: str, sdk_date: str, canonical: str) -> str:
    """Return the signature as lower-case hex; the secret itself is the HMAC key, no derived key."""
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"{ALGORITHM}\n{sdk_date}\n{digest}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def authorization(ak: str, sk: str, request: SignedRequest, signed_headers: Iterable[str]) -> str:
    """Return the ``Authorization`` header a client of the open API would send."""
    names = sorted(signed_headers)
    signed = signature(sk, request.headers["x-sdk-date"], canonical_request(request, names))
    return f"{ALGORITHM} Access={ak}, SignedHeaders={';'.join(names)}, Signature={signed}"


def is_signed_with(secret: str, request: SignedRequest, claim: Authorization) -> bool:
    """Say whether the claim's signature is the one the secret makes; compares bytes in constant time."""
    expected = signature(secret, request.headers["x-sdk-date"], canonical_request(request, claim.signed_headers))
    return hmac.compare_digest(expected.encode(), claim.signature.encode())


def _payload_hash(request: SignedRequest, signed_headers: Sequence[str]) -> str:
    declared = request.headers.get(PAYLOAD_HEADER) if PAYLOAD_HEADER in signed_headers else None
    if request.body_may_be_unsigned and declared == UNSIGNED_PAYLOAD:
        return UNSIGNED_PAYLOAD
    return hashlib.sha256(request.body).hexdigest()


def _canonical_path(path: str) -> str:
    encoded = "/".join(quote(segment, safe="~") for segment in path.split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    return "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(pairs))
