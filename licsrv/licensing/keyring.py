"""The signing keys: files in one folder, each with a purpose and a life of its own.

``<kid>.json`` says what a key is for and carries its public half; ``<kid>.pem`` is the private half (PKCS #8,
encrypted where a passphrase is set). The newest key of a purpose that is not retired signs; every key that is not
retired verifies. ``device.key`` is the secret under which device facts are hashed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from licsrv.errors import KeyringError
from licsrv.licensing.strings import LEASE_TYPE, LICENSE_TYPE, SigningKey, b64

KEY_ID_LENGTH = 16
DEVICE_KEY_NAME = "device.key"
_DEVICE_KEY_BYTES = 32


class Purpose(StrEnum):
    """What a key may sign; a verifier accepts nothing else from it."""

    LICENSE = "license"
    LEASE = "lease"
    RELEASE = "release"


TYPE_OF_PURPOSE = {Purpose.LICENSE: LICENSE_TYPE, Purpose.LEASE: LEASE_TYPE, Purpose.RELEASE: "release+jwt"}


@dataclass(frozen=True)
class KeyRecord:
    """What is known of a key without its private half."""

    key_id: str
    purpose: Purpose
    public: str
    created_at: datetime
    retired_at: datetime | None = None

    @property
    def is_retired(self) -> bool:
        """Whether nothing signed by it counts any more."""
        return self.retired_at is not None

    def jwk(self) -> dict[str, str]:
        """Return the public key as RFC 8037 has it, with our ``purpose``."""
        return {
            "kty": "OKP",
            "crv": "Ed25519",
            "alg": "EdDSA",
            "use": "sig",
            "kid": self.key_id,
            "x": self.public,
            "purpose": str(self.purpose),
        }


def thumbprint(public: str) -> str:
    """Return the RFC 7638 thumbprint of an Ed25519 public key."""
    text = json.dumps({"crv": "Ed25519", "kty": "OKP", "x": public}, separators=(",", ":"))
    return b64(hashlib.sha256(text.encode("ascii")).digest())


class Keyring:
    """The keys of one folder, as they were when it was read.

    Args:
        records: Every key that the folder knows.
        signers: The keys whose private half could be read.
        device_key: The secret under which device facts are hashed.
    """

    def __init__(self, records: Iterable[KeyRecord], signers: Iterable[SigningKey], device_key: bytes) -> None:
        self.records = sorted(records, key=lambda record: (record.created_at, record.key_id))
        self.device_key = device_key
        self._known = {record.key_id: record for record in self.records}
        self._newest = self._newest_signers({signer.key_id: signer for signer in signers})

    def _newest_signers(self, signers: dict[str, SigningKey]) -> dict[Purpose, SigningKey]:
        usable = [record for record in self.records if not record.is_retired and record.key_id in signers]
        return {record.purpose: signers[record.key_id] for record in usable}  # sorted by age: the newest stays

    def signer(self, purpose: Purpose) -> SigningKey:
        """Return the key that signs for a purpose.

        Raises:
            KeyringError: There is none.
        """
        try:
            return self._newest[purpose]
        except KeyError:
            raise KeyringError(f"No key signs for {purpose}: make one by `licsrv keys new {purpose}`.") from None

    def is_trusted(self, key_id: str) -> bool:
        """Whether something signed by this key still counts."""
        record = self._known.get(key_id)
        return record is not None and not record.is_retired

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public halves of every key that is not retired."""
        return {"keys": [record.jwk() for record in self.records if not record.is_retired]}


class KeyFolder:
    """The folder that holds the keys.

    Args:
        path: The folder; made on first use, readable by its owner only.
        passphrase: Encrypts private keys; None leaves them plain (mode 0600).
    """

    def __init__(self, path: Path, *, passphrase: str | None = None) -> None:
        self.path = path
        self._passphrase = passphrase.encode("utf-8") if passphrase else None

    def ensure(self, *, now: datetime) -> list[KeyRecord]:
        """Make what is missing (a key for each purpose, the device secret) and return the keys made."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (self.path / DEVICE_KEY_NAME).exists():
            _write(self.path / DEVICE_KEY_NAME, base64.b64encode(secrets.token_bytes(_DEVICE_KEY_BYTES)), new=True)
        present = {record.purpose for record in self.records() if not record.is_retired}
        return [self.make(purpose, now=now) for purpose in Purpose if purpose not in present]

    def make(self, purpose: Purpose, *, now: datetime) -> KeyRecord:
        """Make a key; being the newest, it signs from the next time the folder is read."""
        private = Ed25519PrivateKey.generate()
        public = b64(private.public_key().public_bytes_raw())
        record = KeyRecord(thumbprint(public)[:KEY_ID_LENGTH], purpose, public, now)
        encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
        if self._passphrase is not None:
            encryption = serialization.BestAvailableEncryption(self._passphrase)
        pem = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        _write(self.path / f"{record.key_id}.pem", pem, new=True)
        self._save(record)
        return record

    def retire(self, key_id: str, *, now: datetime) -> KeyRecord:
        """End a key's life: nothing signed by it counts any more. Retiring it again changes nothing.

        Raises:
            KeyringError: There is no such key, or it is the last one of its purpose.
        """
        records = {record.key_id: record for record in self.records()}
        record = records.get(key_id)
        if record is None:
            raise KeyringError(f"There is no key {key_id}.")
        if record.is_retired:
            return record
        if not [r for r in records.values() if r.purpose is record.purpose and not r.is_retired and r is not record]:
            raise KeyringError(f"{key_id} is the only key for {record.purpose}: make a new one first.")
        retired = KeyRecord(record.key_id, record.purpose, record.public, record.created_at, now)
        self._save(retired)
        return retired

    def records(self) -> list[KeyRecord]:
        """Return every key of the folder.

        Raises:
            KeyringError: A file is damaged.
        """
        return [_read_record(path) for path in sorted(self.path.glob("*.json"))]

    def read(self) -> Keyring:
        """Read the folder.

        Raises:
            KeyringError: A file is missing or damaged, or the passphrase does not fit.
        """
        records = self.records()
        signers = [signer for record in records if (signer := self._signer(record))]
        try:
            device_key = base64.b64decode((self.path / DEVICE_KEY_NAME).read_bytes(), validate=True)
        except (OSError, ValueError) as error:
            raise KeyringError(f"{DEVICE_KEY_NAME} cannot be read: run `licsrv init`, or restore it.") from error
        if len(device_key) != _DEVICE_KEY_BYTES:
            raise KeyringError(f"{DEVICE_KEY_NAME} is damaged: restore it from a backup.")
        return Keyring(records, signers, device_key)

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Return something that changes when the folder does, to notice new keys without reading them."""
        return tuple((path.name, path.stat().st_mtime_ns) for path in sorted(self.path.glob("*.json")))

    def _signer(self, record: KeyRecord) -> SigningKey | None:
        path = self.path / f"{record.key_id}.pem"
        if record.is_retired or not path.exists():
            return None  # a replica that only verifies has no private half
        try:
            private = serialization.load_pem_private_key(path.read_bytes(), self._passphrase)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyringError(
                f"{path.name} cannot be opened: is LICSRV_KEYS_PASSPHRASE right ({type(error).__name__})?"
            ) from error
        if not isinstance(private, Ed25519PrivateKey) or b64(private.public_key().public_bytes_raw()) != record.public:
            raise KeyringError(f"{path.name} does not belong to {record.key_id}.json.")
        return SigningKey.make(record.key_id, private, typ=TYPE_OF_PURPOSE[record.purpose])

    def _save(self, record: KeyRecord) -> None:
        document: dict[str, Any] = record.jwk() | {"created_at": record.created_at.isoformat()}
        if record.retired_at is not None:
            document["retired_at"] = record.retired_at.isoformat()
        _write(self.path / f"{record.key_id}.json", json.dumps(document, indent=2).encode("ascii"))


def _read_record(path: Path) -> KeyRecord:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        retired = document.get("retired_at")
        record = KeyRecord(
            key_id=document["kid"],
            purpose=Purpose(document["purpose"]),
            public=document["x"],
            created_at=datetime.fromisoformat(document["created_at"]),
            retired_at=datetime.fromisoformat(retired) if retired else None,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise KeyringError(f"{path.name} is damaged: restore it from a backup.") from error
    if thumbprint(record.public)[:KEY_ID_LENGTH] != record.key_id or path.stem != record.key_id:
        raise KeyringError(f"{path.name} does not say what it is named: restore it from a backup.")
    return record


def _write(path: Path, content: bytes, *, new: bool = False) -> None:
    """Write a file that its owner alone can read, so that a crash leaves the old content or the new."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(draft, path)  # fails where somebody else made it first: a secret is never replaced
            draft.unlink()
        else:
            draft.replace(path)
    except FileExistsError:
        draft.unlink()
