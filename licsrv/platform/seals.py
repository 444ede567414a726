"""Seals: MACs of rows under a key outside the database, so that a row written by other means is not believed.

A database administrator can write any row and recompute any hash. A seal is an HMAC-SHA256 under a key of the key
folder; it names that key, so that a new key seals from then on and the ones before still verify. Pure.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

MEMBER = "licsrv_seals"
_ENCODE = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode  # made once: each check-in needs it


class Sealed(StrEnum):
    """What is sealed in the database that a folder of keys belongs to; it only ever grows."""

    NOTHING = "nothing"
    """It is older than seals: a row without one is believed until everything is sealed."""
    ROWS = "rows"
    """A new installation: every row has a seal; the head of an empty audit may have none."""
    EVERYTHING = "everything"


@dataclass(frozen=True)
class SealKey:
    """One key, and the name by which a seal says so."""

    id: str
    secret: bytes


class Seals:
    """Makes and checks seals.

    Args:
        keys: The newest first: it seals, all verify.
        sealed: What is known to be sealed.
    """

    def __init__(self, keys: Sequence[SealKey], sealed: Sealed) -> None:
        self.sealed = sealed
        self._newest = keys[0]
        self._secrets = {key.id: key.secret for key in keys}

    def make(self, kind: str, fields: Sequence[object]) -> str:
        """Return the seal of a row's fields; the seals of two kinds of rows never fit each other."""
        return f"{self._newest.id}.{_mac(self._newest.secret, kind, fields)}"

    def believes(self, seal: str | None, kind: str, fields: Sequence[object], *, is_start: bool = False) -> bool:
        """Whether a row is as this server wrote it.

        Args:
            is_start: Whether it is what a new, empty database holds.
        """
        if seal is None:
            return self.sealed is Sealed.NOTHING or (is_start and self.sealed is Sealed.ROWS)
        key_id, _, mac = seal.partition(".")
        secret = self._secrets.get(key_id)
        return secret is not None and hmac.compare_digest(_mac(secret, kind, fields).encode(), mac.encode())


SealsReader = Callable[[], Seals]


def _mac(secret: bytes, kind: str, fields: Sequence[object]) -> str:
    text = _ENCODE([kind, *map(_plain, fields)])
    return hmac.digest(secret, text.encode("ascii"), hashlib.sha256).hex()[:48]


def _plain(value: object) -> object:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value
