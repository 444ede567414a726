"""base64url without padding (RFC 7515 §2), in one spelling only. Pure."""

from __future__ import annotations

import base64
import binascii

from client_stub.trust.errors import MalformedError

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_OF_THE_OTHER_ALPHABET = (b"+", b"/", b"=")


def encode(raw: bytes) -> str:
    """Encode without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decode(text: str) -> bytes:
    """Decode, and accept one spelling only; quickly, because a revocation list is a megabyte of it.

    Decoders ignore spare bits of the last character, so up to 16 spellings give the same bytes. Only the last group
    of characters can have spare bits, so only that one is encoded again and compared.

    Raises:
        MalformedError: Another alphabet, padding, blanks, spare bits, or nothing at all.
    """
    try:
        raw = text.encode("ascii")
        if not raw or any(character in raw for character in _OF_THE_OTHER_ALPHABET):
            raise MalformedError("A part is empty or has characters that base64url does not have.")
        padding = b"=" * (-len(raw) % 4)
        decoded = binascii.a2b_base64(raw.translate(_TO_STANDARD) + padding, strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are ValueErrors
        raise MalformedError("A part is not base64url.") from error
    last_characters = len(raw) % 4
    if last_characters and encode(decoded[1 - last_characters :]) != text[-last_characters:]:
        raise MalformedError("A part is not the canonical base64url of its bytes.")
    return decoded
