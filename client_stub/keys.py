"""The vendor's public keys as they are pinned in the program.

A program believes only keys that were built into it; ``/.well-known/jwks.json`` is where the vendor takes them from,
not where a running program does. Each key serves one purpose: a lease key cannot make licenses.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from client_stub import base64url
from client_stub.errors import MalformedError

KEY_ID_CHARACTERS = 16
_PUBLIC_KEY_BYTES = 32


class KeyPurpose(StrEnum):
    """What a key may sign."""

    LICENSE = "license"
    LEASE = "lease"
    RELEASE = "release"


class PinnedKeysError(ValueError):
    """The key set that the program was built with is damaged or unsafe."""


@dataclass(frozen=True)
class PinnedKey:
    """One public key and the only thing that it may sign."""

    public_key: Ed25519PublicKey
    purpose: KeyPurpose


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


def key_id(x: str) -> str:
    """Return the key id: the first 16 characters of the RFC 7638 thumbprint of the key with this ``x``."""
    members = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": x}, separators=(",", ":"))
    digest = hashlib.sha256(members.encode()).digest()
    return base64url.encode(digest)[:KEY_ID_CHARACTERS]


def _add(by_id: dict[str, PinnedKey], entry: object) -> None:
    if not isinstance(entry, dict):
        raise PinnedKeysError("An entry of the key set is not an object.")
    if entry.get("purpose") not in list(KeyPurpose):
        return
    name = _checked_key_id(entry)
    if name in by_id:
        raise PinnedKeysError(f"The key set holds the key {name} twice.")
    by_id[name] = PinnedKey(_public_key(entry), KeyPurpose(entry["purpose"]))


def _checked_key_id(entry: Mapping[str, object]) -> str:
    expected = {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig"}
    if any(entry.get(member) != value for member, value in expected.items()):
        raise PinnedKeysError("A key of the key set is not an Ed25519 signature key.")
    if "d" in entry:
        raise PinnedKeysError("The key set holds a private key. It must never leave the server; replace it at once.")
    # The id is derived from the key, so a key that was exchanged under its old name is noticed.
    if not isinstance(entry.get("x"), str) or entry.get("kid") != key_id(str(entry["x"])):
        raise PinnedKeysError("A key of the key set does not have the key id that belongs to it.")
    return str(entry["kid"])


def _public_key(entry: Mapping[str, object]) -> Ed25519PublicKey:
    try:
        raw = base64url.decode(str(entry["x"]))
    except MalformedError as error:
        raise PinnedKeysError("A key of the key set is not base64url.") from error
    if len(raw) != _PUBLIC_KEY_BYTES:
        raise PinnedKeysError("A key of the key set does not have 32 bytes.")
    return Ed25519PublicKey.from_public_bytes(raw)
