"""Sign a request to the marketplace's open API with AK/SK: ``SDK-HMAC-SHA256`` (protocol/authorization-code.md §4).

Pure. It signs what it is given: sending exactly the same path, query, headers and body is the caller's part. It never
makes the ``UNSIGNED-PAYLOAD`` form of the vendor's SDK, which leaves the body unprotected.

The emulator checks these signatures with its own code on purpose; ``tests/vectors/aksk.json`` binds the two, and the
tests compare with the vendor's own signer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote, unquote

ALGORITHM = "SDK-HMAC-SHA256"
DATE_HEADER = "x-sdk-date"

_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """The seller account's access key; the secret half is kept out of every printed form."""

    ak: str
    sk: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CanonicalRequest:
    """The text whose hash is signed, and the names of the headers that are in it."""

    text: str
    signed_headers: str

    @property
    def digest(self) -> str:
        """The SHA-256 of the text, in lower-case hex."""
        return hashlib.sha256(self.text.encode("utf-8")).hexdigest()


def authorization(
    pair: KeyPair,
    *,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    body: bytes,
) -> str:
    """Give the value of the ``Authorization`` header.

    Args:
        pair: Whose signature it is.
        method: The HTTP method.
        path: The path as sent; percent-encoded or not, both sign the same.
        query: Decoded names and values; send them as ``canonical_query`` writes them.
        headers: The headers to sign. ``x-sdk-date`` must be among them and ``host`` should be. A name with ``_`` is
            not signed, as in the vendor's SDK: gateways drop such headers.
        body: The bytes as sent.

    Raises:
        ValueError: ``x-sdk-date`` is missing or malformed, a header appears in two spellings, or a value holds a
            control character (which could add a header of its own).
    """
    canonical = canonical_request(method=method, path=path, query=query, headers=headers, body=body)
    text = f"{ALGORITHM}\n{_date_of(headers)}\n{canonical.digest}"
    signature = hmac.new(pair.sk.encode("utf-8"), text.encode("utf-8"), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Access={pair.ak}, SignedHeaders={canonical.signed_headers}, Signature={signature}"


def canonical_request(
    *, method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes
) -> CanonicalRequest:
    """Write the request in the one form that both sides hash (§4).

    Raises:
        ValueError: As ``authorization`` does for headers.
    """
    signed = _signed(headers)
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    body_digest = hashlib.sha256(body).hexdigest()
    parts = (method.upper(), _canonical_path(path), canonical_query(query), lines, names, body_digest)
    return CanonicalRequest("\n".join(parts), names)


def canonical_query(query: Sequence[tuple[str, str]]) -> str:
    """Write the query as it is signed and must be sent: sorted, percent-encoded, without the ``?``."""
    return "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in sorted(query))


def date_header(moment: datetime) -> str:
    """Write a moment as ``x-sdk-date`` wants it: ``yyyyMMdd'T'HHmmss'Z'`` in UTC."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _encoded(text: str) -> str:
    return quote(text, safe="~")


def _canonical_path(path: str) -> str:
    # Unquoted first, like the vendor's signer: "/a%20b" and "/a b" sign the same. The last "/" is for signing only.
    encoded = "/".join(_encoded(segment) for segment in unquote(path).split("/"))
    return encoded if encoded.endswith("/") else encoded + "/"


def _signed(headers: Mapping[str, str]) -> dict[str, str]:
    """Lower-case the names, trim the values, sort by name."""
    signable = sorted((name.lower(), value.strip()) for name, value in headers.items() if "_" not in name)
    signed = dict(signable)
    if len(signed) != len(signable):
        raise ValueError("A header to sign appears in two spellings.")
    if any(_CONTROL_CHARACTERS.search(name + value) for name, value in signable):
        raise ValueError("A header to sign holds a control character.")
    return signed


def _date_of(headers: Mapping[str, str]) -> str:
    date = _signed(headers).get(DATE_HEADER, "")
    if not _DATE.fullmatch(date):
        raise ValueError("x-sdk-date is missing or not of the form yyyyMMdd'T'HHmmss'Z'.")
    return date
