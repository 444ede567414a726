"""Keys that sign, and what every signed text shares: base64url, whole seconds, the types of text. Pure.

What is signed is made in ``issuing``, ``revocation``, heartbeats and releases; where keys are kept is ``keyring``.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from nacl.bindings import crypto_sign

from licsrv.platform import moments

LICENSE_TYPE = "license+jwt"
LEASE_TYPE = "lease+jwt"
CLOCK_RESET_TYPE = "clock-reset+jwt"
FILE_TYPE = "license-file+jwt"
SEAT_TYPE = "seat+jwt"
SECOND_ALGORITHM = "ML-DSA-65"
_SIGNATURE_BYTES = 64


def b64(raw: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


@dataclass(frozen=True)
class SigningKey:
    """A private key together with the protected header of its signatures.

    Every check-in waits for a signature, and libsodium makes it in two thirds of the time that OpenSSL takes
    (docs/adr/0006). Both make the same bytes: Ed25519 is deterministic (RFC 8032), and the tests compare them.
    """

    key_id: str
    private: Ed25519PrivateKey
    header: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def make(cls, key_id: str, private: Ed25519PrivateKey, *, typ: str) -> SigningKey:
        """Prepare the header once: it is the same in every text that this key signs."""
        header = json.dumps({"alg": "EdDSA", "kid": key_id, "typ": typ}, separators=(",", ":")).encode("ascii")
        secret = private.private_bytes_raw() + private.public_key().public_bytes_raw()  # as libsodium has it
        return cls(key_id, private, b64(header).encode("ascii"), secret)

    def typed(self, typ: str) -> SigningKey:
        """Return the same key for texts of another type: what is signed as one can never pass for another."""
        return SigningKey.make(self.key_id, self.private, typ=typ)

    def sign(self, payload: bytes) -> str:
        """Return the compact serialization of a payload."""
        body = self.header + b"." + base64.urlsafe_b64encode(payload).rstrip(b"=")
        signature = base64.urlsafe_b64encode(crypto_sign(body, self.secret)[:_SIGNATURE_BYTES]).rstrip(b"=")
        return (body + b"." + signature).decode("ascii")


def seconds(moment: datetime) -> int:
    """Return whole Unix seconds, as claims have them."""
    return int(moment.timestamp())


# Leases and seats are written out by hand; those of one batch share their moments, and all of them the issuer.
quoted = json.JSONEncoder().encode
quoted_again = lru_cache(maxsize=256)(quoted)
seconds_again = lru_cache(maxsize=4096)(seconds)
rfc3339_again = lru_cache(maxsize=4096)(moments.rfc3339)


@dataclass(frozen=True)
class SecondSignature:
    """An ML-DSA-65 signature over a file's payload. It is kept: signing again gives another one."""

    key_id: str
    value: bytes


@dataclass(frozen=True)
class SecondKey:
    """A private key that signs files a second time."""

    key_id: str
    private: MLDSA65PrivateKey

    def sign(self, payload: bytes) -> SecondSignature:
        """Return a signature over a file's payload, under an empty context."""
        body = f"{second_header(self.key_id)}.{b64(payload)}".encode("ascii")
        return SecondSignature(self.key_id, self.private.sign(body))


def second_header(key_id: str) -> str:
    """Return the protected header of a file's second signature."""
    return encoded({"alg": SECOND_ALGORITHM, "kid": key_id, "typ": FILE_TYPE})


def encoded(header: Mapping[str, str]) -> str:
    """Return a protected header as base64url."""
    return b64(json.dumps(header, separators=(",", ":")).encode("ascii"))
