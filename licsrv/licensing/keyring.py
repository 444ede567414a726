"""The signing keys of an installation as they were when they were read: which one signs, which ones verify.

The newest key of a purpose that is not retired signs; every key that is not retired verifies. A key may be published
before it signs, so that every verifier has it in time. Everything is signed with Ed25519; a license key of ML-DSA-65
signs license files a second time. Where the keys are kept is :mod:`licsrv.licensing.key_folder`'s.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from licsrv.errors import KeyringError
from licsrv.licensing.signing import LEASE_TYPE, LICENSE_TYPE, SECOND_ALGORITHM, SecondKey, SigningKey, b64
from licsrv.platform.seals import Seals

KEY_ID_LENGTH = 16
# The digest is that of the signed text, so it vouches for the claims.
ISSUED_COLUMNS = ("id", "license_id", "device_id", "form", "digest", "key_id")
_ISSUED = "issued license"


class Purpose(StrEnum):
    """What a key may sign; a verifier accepts nothing else from it."""

    LICENSE = "license"
    LEASE = "lease"
    RELEASE = "release"


class Algorithm(StrEnum):
    """How a key signs; the names are those of its JWK."""

    EDDSA = "EdDSA"
    ML_DSA_65 = SECOND_ALGORITHM


TYPE_OF_PURPOSE = {Purpose.LICENSE: LICENSE_TYPE, Purpose.LEASE: LEASE_TYPE, Purpose.RELEASE: "release+jwt"}


@dataclass(frozen=True)
class KeyRecord:
    """What is known of a key without its private half. ``signs_from`` None means: since it was made."""

    key_id: str
    purpose: Purpose
    public: str
    created_at: datetime
    retired_at: datetime | None = None
    algorithm: Algorithm = Algorithm.EDDSA
    signs_from: datetime | None = None

    @property
    def is_retired(self) -> bool:
        """Whether nothing signed by it counts any more."""
        return self.retired_at is not None

    @property
    def begins_at(self) -> datetime:
        """From when on it signs."""
        return self.signs_from if self.signs_from is not None else self.created_at

    def may_sign(self, now: datetime) -> bool:
        """Whether it is not retired and has not still to wait."""
        return not self.is_retired and (self.signs_from is None or self.signs_from <= now)

    def jwk(self) -> dict[str, str]:
        """Return the public key as RFC 8037 has it (ML-DSA: draft-ietf-cose-dilithium), with our ``purpose``."""
        said = {"alg": str(self.algorithm), "use": "sig", "kid": self.key_id}
        if self.algorithm is Algorithm.ML_DSA_65:
            return {"kty": "AKP", **said, "pub": self.public, "purpose": str(self.purpose)}
        return {"kty": "OKP", "crv": "Ed25519", **said, "x": self.public, "purpose": str(self.purpose)}


def thumbprint(public: str, algorithm: Algorithm = Algorithm.EDDSA) -> str:
    """Return the RFC 7638 thumbprint of a public key."""
    members = {"crv": "Ed25519", "kty": "OKP", "x": public}
    if algorithm is Algorithm.ML_DSA_65:
        members = {"alg": str(algorithm), "kty": "AKP", "pub": public}
    return b64(hashlib.sha256(json.dumps(members, separators=(",", ":")).encode("ascii")).digest())


Signer = SigningKey | SecondKey


class Keyring:
    """The keys of one folder, as they were when it was read.

    Args:
        records: Every key that the folder knows.
        signers: The keys whose private half could be read.
        device_key: The secret under which device facts are hashed.
        seals: What seals rows of the database.
    """

    def __init__(
        self, records: Iterable[KeyRecord], signers: Iterable[Signer], device_key: bytes, seals: Seals
    ) -> None:
        self.seals = seals
        self.records = sorted(records, key=lambda record: (record.created_at, record.key_id))
        self.device_key = device_key
        self._known = {record.key_id: record for record in self.records}
        private = {signer.key_id: signer for signer in signers}
        usable = [record for record in self.records if not record.is_retired and record.key_id in private]
        self._newest_first = [
            (record, private[record.key_id]) for record in sorted(usable, key=_age_of_signing, reverse=True)
        ]

    def signer(self, purpose: Purpose, *, now: datetime | None = None) -> SigningKey:
        """Return the key that signs for a purpose.

        Args:
            purpose: For what.
            now: Keys that sign only later are left out; without it a key that waits is taken only if there is no
                other.

        Raises:
            KeyringError: There is none.
        """
        waiting: SigningKey | None = None
        for record, signer in self._newest_first:
            if record.purpose is not purpose or not isinstance(signer, SigningKey):
                continue
            if record.may_sign(now) if now is not None else record.signs_from is None:
                return signer
            waiting = waiting or signer
        if now is None and waiting is not None:
            return waiting
        raise KeyringError(f"No key signs for {purpose}: make one by `licsrv keys new {purpose}`.")

    def second_signer(self, *, now: datetime) -> SecondKey:
        """Return the key that signs license files a second time.

        Raises:
            KeyringError: There is none.
        """
        for record, signer in self._newest_first:
            if isinstance(signer, SecondKey) and record.may_sign(now):
                return signer
        raise KeyringError(
            f"No {SECOND_ALGORITHM} key signs licenses: make one by "
            f"`licsrv keys new {Purpose.LICENSE} --algorithm {SECOND_ALGORITHM}`."
        )

    def is_trusted(self, key_id: str) -> bool:
        """Whether something signed by this key still counts."""
        record = self._known.get(key_id)
        return record is not None and not record.is_retired

    def issued_seal(self, row: Mapping[str, Any]) -> str:
        """Return the seal of a license that is about to be handed out; ``row`` holds the columns of its table."""
        return self.seals.make(_ISSUED, [row[name] for name in ISSUED_COLUMNS])

    def recognises(self, key_id: str, seal: str | None, issued: Sequence[object]) -> bool:
        """Whether a license counts that is on record: its key is not retired, and this server wrote the row.

        Args:
            issued: The values of :data:`ISSUED_COLUMNS`.
        """
        return self.is_trusted(key_id) and self.is_issued_here(seal, issued)

    def is_issued_here(self, seal: str | None, issued: Sequence[object]) -> bool:
        """Whether this server wrote the row of a license, whatever became of its key."""
        return self.seals.believes(seal, _ISSUED, issued)

    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """Return the public halves of every key that is not retired, those that wait included."""
        return {"keys": [record.jwk() for record in self.records if not record.is_retired]}


def _age_of_signing(record: KeyRecord) -> tuple[datetime, datetime, str]:
    return record.begins_at, record.created_at, record.key_id
