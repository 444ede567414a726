"""The vendor's public keys as they are pinned in the program.

A program believes only keys that were built into it; ``/.well-known/jwks.json`` is where the vendor takes them from,
not where a running program does. Each key serves one purpose: a lease key cannot make licenses.

Two algorithms: Ed25519 everywhere, and ML-DSA-65 (FIPS 204) for the second signature of license files. A cryptography
library without ML-DSA leaves those keys out; a file's first signature then still protects the second from exchange.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from client_stub.trust import base64url
from client_stub.trust.errors import MalformedError

KEY_ID_CHARACTERS = 16
_ED25519_BYTES = 32
_ML_DSA_65_BYTES = 1952


class KeyPurpose(StrEnum):
    """What a key may sign."""

    LICENSE = "license"
    LEASE = "lease"
    RELEASE = "release"


class Algorithm(StrEnum):
    """How a key signs, by its name in headers (RFC 8037, RFC 9964)."""

    EDDSA = "EdDSA"
    ML_DSA_65 = "ML-DSA-65"


class PublicKey(Protocol):
    """What is needed of a public key."""

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Raise ``cryptography.exceptions.InvalidSignature`` unless the signature fits."""
        ...


class PinnedKeysError(ValueError):
    """The key set that the program was built with is damaged or unsafe."""


@dataclass(frozen=True)
class PinnedKey:
    """One public key and the only thing that it may sign."""

    public_key: PublicKey
    purpose: KeyPurpose
    algorithm: Algorithm = Algorithm.EDDSA


@dataclass(frozen=True)
class PinnedKeys:
    """All pinned keys by key id; several per purpose while keys are being rotated."""

    by_id: Mapping[str, PinnedKey]

    @classmethod
    def from_jwks(cls, jwks: Mapping[str, object]) -> PinnedKeys:
        """Read a key set as the server publishes it (RFC 7517, with ``purpose``).

        Keys of a purpose that this version does not know are left out, so that a newer key set can be pinned.

        Raises:
            PinnedKeysError: No usable key, a damaged one, two of one id, or a private key among them.
        """
        entries = jwks.get("keys")
        if not isinstance(entries, list):
            raise PinnedKeysError("The key set has no list called 'keys'.")
        by_id: dict[str, PinnedKey] = {}
        for entry in entries:
            _add(by_id, entry)
        if not by_id:
            raise PinnedKeysError("The key set holds no key that this program can use.")
        return cls(by_id)

    def has(self, algorithm: Algorithm, purpose: KeyPurpose) -> bool:
        """Return True when at least one key of this algorithm is pinned for this purpose."""
        return any(key.algorithm is algorithm and key.purpose is purpose for key in self.by_id.values())


def key_id(members: Mapping[str, str]) -> str:
    """Return the key id: the first 16 characters of the RFC 7638 thumbprint over the required members of a key."""
    canonical = json.dumps(dict(members), sort_keys=True, separators=(",", ":"))
    return base64url.encode(hashlib.sha256(canonical.encode()).digest())[:KEY_ID_CHARACTERS]


def _add(by_id: dict[str, PinnedKey], entry: object) -> None:
    if not isinstance(entry, dict):
        raise PinnedKeysError("An entry of the key set is not an object.")
    if entry.get("purpose") not in list(KeyPurpose):
        return
    if {"d", "priv"} & entry.keys():
        raise PinnedKeysError("The key set holds a private key. It must never leave the server; replace it at once.")
    read = _read_ml_dsa if entry.get("kty") == "AKP" else _read_ed25519
    name, public_key, algorithm = read(entry)
    if name in by_id:
        raise PinnedKeysError(f"The key set holds the key {name} twice.")
    if public_key is not None:
        by_id[name] = PinnedKey(public_key, KeyPurpose(entry["purpose"]), algorithm)


def _read_ed25519(entry: Mapping[str, object]) -> tuple[str, PublicKey | None, Algorithm]:
    _expect(entry, {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"})
    name = _checked_key_id(entry, ("crv", "kty", "x"))
    raw = _raw_key(entry["x"], _ED25519_BYTES)
    return name, Ed25519PublicKey.from_public_bytes(raw), Algorithm.EDDSA


def _read_ml_dsa(entry: Mapping[str, object]) -> tuple[str, PublicKey | None, Algorithm]:
    _expect(entry, {"kty": "AKP", "alg": "ML-DSA-65", "use": "sig"})
    name = _checked_key_id(entry, ("alg", "kty", "pub"))
    return name, _ml_dsa_key(_raw_key(entry["pub"], _ML_DSA_65_BYTES)), Algorithm.ML_DSA_65


def _ml_dsa_key(raw: bytes) -> PublicKey | None:
    """Return the key, or None where the cryptography library is older than ML-DSA or built without it."""
    try:
        from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PublicKey

        return MLDSA65PublicKey.from_public_bytes(raw)
    except (ImportError, UnsupportedAlgorithm):
        return None


def _expect(entry: Mapping[str, object], expected: Mapping[str, str]) -> None:
    if any(entry.get(member) != value for member, value in expected.items()):
        raise PinnedKeysError("A key of the key set is neither an Ed25519 nor an ML-DSA-65 signature key.")


def _checked_key_id(entry: Mapping[str, object], members: tuple[str, ...]) -> str:
    # The id is derived from the key, so a key that was exchanged under its old name is noticed.
    values = {member: str(entry.get(member)) for member in members}
    if not isinstance(entry.get(members[-1]), str) or entry.get("kid") != key_id(values):
        raise PinnedKeysError("A key of the key set does not have the key id that belongs to it.")
    return str(entry["kid"])


def _raw_key(value: object, size: int) -> bytes:
    try:
        raw = base64url.decode(str(value))
    except MalformedError as error:
        raise PinnedKeysError("A key of the key set is not base64url.") from error
    if len(raw) != size:
        raise PinnedKeysError(f"A key of the key set does not have {size} bytes.")
    return raw
