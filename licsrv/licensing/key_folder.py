"""The folder of the signing keys: made, read, protected, retired.

``<kid>.json`` says what a key is for and carries its public half; ``<kid>.pem`` is the private half (PKCS #8,
encrypted where a passphrase is set). ``device.key`` is the secret under which device facts are hashed, ``seal.key``
holds those under which rows are sealed (:mod:`licsrv.platform.seals`).
"""

from __future__ import annotations

import base64
import codecs
import json
import os
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from licsrv.errors import KeyringError
from licsrv.licensing import key_files
from licsrv.licensing.keyring import (
    KEY_ID_LENGTH,
    TYPE_OF_PURPOSE,
    Algorithm,
    KeyRecord,
    Keyring,
    Purpose,
    Signer,
    thumbprint,
)
from licsrv.licensing.signing import SecondKey, SigningKey, b64
from licsrv.platform import strict_json
from licsrv.platform.seals import Sealed, SealKey, Seals

DEVICE_KEY_NAME = "device.key"
SEAL_KEY_NAME = "seal.key"
_DEVICE_KEY_BYTES = _SEAL_KEY_BYTES = 32


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
        is_new = not (self.path / DEVICE_KEY_NAME).exists()
        if is_new:
            _write(self.path / DEVICE_KEY_NAME, base64.b64encode(secrets.token_bytes(_DEVICE_KEY_BYTES)), new=True)
        self.ensure_seal_key(sealed=Sealed.ROWS if is_new else Sealed.NOTHING)
        present = {
            record.purpose for record in self.records() if not record.is_retired and record.algorithm is Algorithm.EDDSA
        }
        return [self.make(purpose, now=now) for purpose in Purpose if purpose not in present]

    def make(
        self,
        purpose: Purpose,
        *,
        now: datetime,
        algorithm: Algorithm = Algorithm.EDDSA,
        signs_from: datetime | None = None,
    ) -> KeyRecord:
        """Make a key; being the newest, it signs from the next time the folder is read, or from a moment to come.

        Raises:
            KeyringError: No key of this algorithm signs for this purpose.
        """
        if algorithm is Algorithm.ML_DSA_65 and purpose is not Purpose.LICENSE:
            raise KeyringError(f"{algorithm} keys sign license files and nothing else.")
        private, public, key_id = _new_key(algorithm)
        record = KeyRecord(key_id, purpose, public, created_at=now, algorithm=algorithm, signs_from=signs_from)
        pem = key_files.pem_of(private, self._passphrase)
        _write(self.path / f"{record.key_id}.pem", pem, new=True)
        self._save(record)
        return record

    def protect(self) -> list[str]:
        """Encrypt every private key that is plain, or was encrypted at the older, lower cost; return their ids.

        Raises:
            KeyringError: No passphrase is set, it does not open a key, or a file is damaged; nothing was changed.
        """
        if self._passphrase is None:
            raise KeyringError("Set LICSRV_KEYS_PASSPHRASE_FILE first.")
        weak = [(path, self._private(path)) for path in self.unprotected()]
        for path, private in weak:
            _write(path, key_files.pem_of(private, self._passphrase))
        return [path.stem for path, _ in weak]

    def unprotected(self) -> list[Path]:
        """Return the files of private keys that are plain, or encrypted at the older, lower cost.

        Raises:
            KeyringError: A file is damaged.
        """
        return [path for path in sorted(self.path.glob("*.pem")) if not _key_file(path).is_protected]

    def retire(self, key_id: str, *, now: datetime) -> KeyRecord:
        """End a key's life: nothing signed by it counts any more. Retiring it again changes nothing.

        Raises:
            KeyringError: There is no such key, or no other one signs for its purpose now.
        """
        records = {record.key_id: record for record in self.records()}
        record = records.get(key_id)
        if record is None:
            raise KeyringError(f"There is no key {key_id}.")
        if record.is_retired:
            return record
        # Files need no second signature, so the last key for it may go; the caller checks the products that ask for it.
        if record.algorithm is Algorithm.EDDSA and not _others_sign(record, records.values(), now):
            raise KeyringError(f"{key_id} is the only key for {record.purpose}: make a new one first.")
        retired = replace(record, retired_at=now)
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
        return Keyring(records, signers, self._device_key(), seals=self.seals())

    def _device_key(self) -> bytes:
        try:
            secret = base64.b64decode(_content(self.path / DEVICE_KEY_NAME).strip(), validate=True)
        except ValueError as error:
            raise _damaged(DEVICE_KEY_NAME) from error
        if len(secret) != _DEVICE_KEY_BYTES:
            raise _damaged(DEVICE_KEY_NAME)
        return secret

    def seals(self) -> Seals:
        """Read what seals rows of the database.

        Raises:
            KeyringError: The file is missing or damaged.
        """
        found = self._seal_keys()
        return Seals(found.keys, found.sealed)

    def ensure_seal_key(self, *, sealed: Sealed = Sealed.NOTHING) -> bool:
        """Make the first seal key of a folder that is older than seals; return whether there is one now.

        Args:
            sealed: What is sealed already in the database that the folder belongs to.

        Raises:
            KeyringError: The file cannot be written.
        """
        path = self.path / SEAL_KEY_NAME
        if (self.path / DEVICE_KEY_NAME).exists() and not path.exists():
            self._write_seal_keys(_SealFile([_new_seal_key()], sealed), new=True)
        return path.exists()

    def make_seal_key(self) -> str:
        """Make a key that verifies seals, and seals itself after :meth:`use_seal_key`; return its id.

        Between the two, every replica has to get the file: one that does not know a key takes its seals for forged.
        A key that waits already stays the one.

        Raises:
            KeyringError: The file is missing or damaged.
        """
        found = self._seal_keys()
        if found.waiting is None:
            found = replace(found, keys=[*found.keys, _new_seal_key()], waits=True)
            self._write_seal_keys(found)
        return str(found.waiting)

    def use_seal_key(self) -> str | None:
        """Let the key that waits seal from now on, and return its id, or None; the ones before go on verifying.

        Raises:
            KeyringError: The file is missing or damaged.
        """
        found = self._seal_keys()
        if found.waiting is not None:
            self._write_seal_keys(replace(found, keys=[found.keys[-1], *found.keys[:-1]], waits=False))
        return found.waiting

    def note_sealed(self) -> None:
        """Note that everything is sealed: from now on a row without a seal is not believed.

        Raises:
            KeyringError: The file is missing or damaged, or cannot be written.
        """
        self._write_seal_keys(replace(self._seal_keys(), sealed=Sealed.EVERYTHING))

    def _write_seal_keys(self, found: _SealFile, *, new: bool = False) -> None:
        try:
            _write(self.path / SEAL_KEY_NAME, found.document(), new=new)
        except OSError as error:
            raise KeyringError(
                f"{SEAL_KEY_NAME} cannot be written ({error.strerror}): "
                "run `licsrv init` where the folder can be written."
            ) from error

    def _seal_keys(self) -> _SealFile:
        try:
            return _seal_file(_document(self.path / SEAL_KEY_NAME))
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(SEAL_KEY_NAME) from error

    def stamp(self) -> tuple[tuple[str, int], ...]:
        """Return something that changes when the folder does, to notice new keys without reading them."""
        watched = [*sorted(self.path.glob("*.json")), *self.path.glob(SEAL_KEY_NAME)]
        return tuple((path.name, path.stat().st_mtime_ns) for path in watched)

    def _signer(self, record: KeyRecord) -> Signer | None:
        path = self.path / f"{record.key_id}.pem"
        if record.is_retired or not path.exists():
            return None  # a replica that only verifies has no private half
        private = self._private(path)
        if _is_half_of(record, private):
            if isinstance(private, MLDSA65PrivateKey):
                return SecondKey(record.key_id, private)
            return SigningKey.make(record.key_id, private, typ=TYPE_OF_PURPOSE[record.purpose])
        raise KeyringError(f"{path.name} does not belong to {record.key_id}.json.")

    def _private(self, path: Path) -> key_files.PrivateKey:
        try:
            private = _key_file(path).opened(self._passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise KeyringError(
                f"{path.name} cannot be opened: is LICSRV_KEYS_PASSPHRASE right ({type(error).__name__})?"
            ) from error
        if not isinstance(private, key_files.PrivateKey):
            raise KeyringError(f"{path.name} is a key of another kind: take it out of the folder.")
        return private

    def _save(self, record: KeyRecord) -> None:
        document: dict[str, Any] = record.jwk() | {"created_at": record.created_at.isoformat()}
        if record.signs_from is not None:
            document["signs_from"] = record.signs_from.isoformat()
        if record.retired_at is not None:
            document["retired_at"] = record.retired_at.isoformat()
        _write(self.path / f"{record.key_id}.json", json.dumps(document, indent=2).encode("ascii"))


def _new_key(algorithm: Algorithm) -> tuple[Ed25519PrivateKey | MLDSA65PrivateKey, str, str]:
    """Return a private key, its public half and its id; no id looks like an option of a command."""
    while True:
        private = MLDSA65PrivateKey.generate() if algorithm is Algorithm.ML_DSA_65 else Ed25519PrivateKey.generate()
        public = _public_half(private)
        key_id = thumbprint(public, algorithm)[:KEY_ID_LENGTH]
        if not key_id.startswith("-"):
            return private, public, key_id


def _new_seal_key() -> SealKey:
    return SealKey(secrets.token_hex(4), secrets.token_bytes(_SEAL_KEY_BYTES))


@dataclass(frozen=True)
class _SealFile:
    """What ``seal.key`` holds: the first key seals, all verify; the last may wait to seal."""

    keys: Sequence[SealKey]
    sealed: Sealed
    waits: bool = False

    @property
    def waiting(self) -> str | None:
        return self.keys[-1].id if self.waits else None

    def document(self) -> bytes:
        shown = [{"id": key.id, "secret": base64.b64encode(key.secret).decode("ascii")} for key in self.keys]
        return json.dumps({"sealed": str(self.sealed), "waits": self.waits, "keys": shown}, indent=2).encode("ascii")


def _seal_file(document: dict[str, Any]) -> _SealFile:
    """Read what ``seal.key`` says.

    Raises:
        ValueError: A member is not what it has to be, as are ``KeyError`` and ``TypeError``.
    """
    keys = [SealKey(one["id"], base64.b64decode(one["secret"], validate=True)) for one in document["keys"]]
    ids, waits = [one["id"] for one in document["keys"]], document.get("waits", False)
    if not keys or not all(isinstance(id, str) for id in ids) or not isinstance(waits, bool):
        raise ValueError
    if any(len(key.secret) != _SEAL_KEY_BYTES for key in keys):
        raise ValueError
    return _SealFile(keys, Sealed(document["sealed"]), waits)


def _is_half_of(record: KeyRecord, private: Ed25519PrivateKey | MLDSA65PrivateKey) -> bool:
    is_second = record.algorithm is Algorithm.ML_DSA_65
    return isinstance(private, MLDSA65PrivateKey) is is_second and _public_half(private) == record.public


def _public_half(private: Ed25519PrivateKey | MLDSA65PrivateKey) -> str:
    return b64(private.public_key().public_bytes_raw())


def _others_sign(record: KeyRecord, records: Iterable[KeyRecord], now: datetime) -> bool:
    """Whether another key does now what this one does; one that waits for its moment does not."""
    same = (record.purpose, record.algorithm)
    return any(
        other.key_id != record.key_id and (other.purpose, other.algorithm) == same and other.may_sign(now)
        for other in records
    )


def _read_record(path: Path) -> KeyRecord:
    try:
        document = _document(path)
        algorithm = Algorithm(document["alg"])
        record = KeyRecord(
            key_id=document["kid"],
            purpose=Purpose(document["purpose"]),
            public=document["pub" if algorithm is Algorithm.ML_DSA_65 else "x"],
            created_at=_moment(document["created_at"]),
            retired_at=_moment(document["retired_at"]) if "retired_at" in document else None,
            algorithm=algorithm,
            signs_from=_moment(document["signs_from"]) if "signs_from" in document else None,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path.name) from error
    if thumbprint(record.public, algorithm)[:KEY_ID_LENGTH] != record.key_id or path.stem != record.key_id:
        raise KeyringError(f"{path.name} does not say what it is named: restore it from a backup.")
    return record


def _key_file(path: Path) -> key_files.KeyFile:
    content = _content(path)
    try:
        return key_files.parse(content)
    except ValueError as error:
        raise KeyringError(f"{path.name} {error}: restore it from a backup.") from error


def _document(path: Path) -> dict[str, Any]:
    """Return the JSON object of a file.

    Raises:
        MalformedJsonError: It is none.
        KeyringError: It cannot be read.
    """
    return strict_json.loads_object(_content(path))


def _content(path: Path) -> bytes:
    """Return what a file holds, without the byte order mark that some editors put before it.

    Raises:
        KeyringError: It cannot be read.
    """
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError as error:
        raise KeyringError(f"{path.name} is missing: run `licsrv init` on a first start, else restore it.") from error
    except OSError as error:
        raise KeyringError(f"{path.name} cannot be read ({error.strerror}): check its owner and mode.") from error


def _damaged(name: str) -> KeyringError:
    return KeyringError(f"{name} is damaged: restore it from a backup.")


def _moment(text: str) -> datetime:
    """Return a moment that names its offset: without one it could not be compared with the others."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text} names no offset from UTC")
    return moment


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
            os.link(draft, path)  # fails where another process made it first: a secret is never replaced
            draft.unlink()
        else:
            draft.replace(path)
    except FileExistsError:
        draft.unlink()
