"""base64url without padding (RFC 7515 §2), in one spelling only. Pure."""

from __future__ import annotations

import base64
import binascii
import re

from client_stub.errors import MalformedError

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def encode(raw: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Decode, and accept one spelling only.

    Decoders ignore spare bits of the last character, so up to 16 spellings give the same bytes; what is decoded is
    encoded again and compared.

    Raises:
        MalformedError: Another alphabet, padding, blanks, spare bits, or nothing at all.
    """
    if not _ALPHABET.fullmatch(text):
        raise MalformedError("A part is empty or has characters that base64url does not have.")
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise MalformedError("A part is not base64url.") from error
    if encode(decoded) != text:
        raise MalformedError("A part is not the canonical base64url of its bytes.")
    return decoded
