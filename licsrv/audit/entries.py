"""What an entry says: its vocabulary and its hash. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

GENESIS = "0" * 64
_MARK = re.compile(r"(\d{1,18}):([0-9a-f]{64})", re.ASCII | re.IGNORECASE)


class Action(StrEnum):
    """Everything that is audited."""

    LICENSE_ADDED = "LICENSE_ADDED"
    LICENSE_ACTIVATED = "LICENSE_ACTIVATED"
    LICENSE_RESERVED = "LICENSE_RESERVED"
    LICENSE_PROVISIONAL = "LICENSE_PROVISIONAL"
    LICENSE_REFUSED = "LICENSE_REFUSED"
    LICENSE_CHANGED = "LICENSE_CHANGED"
    LICENSE_FROZEN = "LICENSE_FROZEN"
    LICENSE_UNFROZEN = "LICENSE_UNFROZEN"
    LICENSE_RELEASED = "LICENSE_RELEASED"
    LICENSE_REVOKED = "LICENSE_REVOKED"
    LICENSE_REINSTATED = "LICENSE_REINSTATED"
    LICENSE_ISSUED = "LICENSE_ISSUED"
    LICENSE_REISSUED = "LICENSE_REISSUED"
    LICENSE_DOWNLOADED = "LICENSE_DOWNLOADED"
    GRACE_CHANGED = "GRACE_CHANGED"
    MAINTENANCE_CHANGED = "MAINTENANCE_CHANGED"
    NOTE_ADDED = "NOTE_ADDED"
    DEVICE_ACTIVATED = "DEVICE_ACTIVATED"
    DEVICE_RETURNED = "DEVICE_RETURNED"
    DEVICE_RELEASED = "DEVICE_RELEASED"
    CLOCK_RESET = "CLOCK_RESET"
    SEAT_BEYOND = "SEAT_BEYOND"
    SEAT_BORROWED = "SEAT_BORROWED"
    SEAT_FREED = "SEAT_FREED"
    DEVICE_PART_LEARNED = "DEVICE_PART_LEARNED"
    DEVICE_MANY_TEXTS = "DEVICE_MANY_TEXTS"
    DEVICE_CLONED = "DEVICE_CLONED"
    COPY_BLESSED = "COPY_BLESSED"
    COPY_UNBLESSED = "COPY_UNBLESSED"
    DEVICE_BOUND_AGAIN = "DEVICE_BOUND_AGAIN"
    REVOCATIONS_MOVED = "REVOCATIONS_MOVED"
    PRODUCT_CHANGED = "PRODUCT_CHANGED"
    POLICY_CHANGED = "POLICY_CHANGED"
    RELEASE_PUBLISHED = "RELEASE_PUBLISHED"
    RELEASE_CHANGED = "RELEASE_CHANGED"
    RELEASE_WITHDRAWN = "RELEASE_WITHDRAWN"
    DELIVERY_PARKED = "DELIVERY_PARKED"
    DELIVERY_RETRIED = "DELIVERY_RETRIED"
    DELIVERY_DROPPED = "DELIVERY_DROPPED"
    MARKETPLACE_PAUSED = "MARKETPLACE_PAUSED"
    MARKETPLACE_RESUMED = "MARKETPLACE_RESUMED"
    RECONCILIATION_STARTED = "RECONCILIATION_STARTED"
    RECONCILIATION_STOPPED = "RECONCILIATION_STOPPED"
    DIFFERENCE_REPAIRED = "DIFFERENCE_REPAIRED"
    DIFFERENCE_DISMISSED = "DIFFERENCE_DISMISSED"
    BULK_REQUESTED = "BULK_REQUESTED"
    BULK_STARTED = "BULK_STARTED"
    BULK_APPROVED = "BULK_APPROVED"
    BULK_REJECTED = "BULK_REJECTED"
    BULK_STOPPED = "BULK_STOPPED"
    BULK_FINISHED = "BULK_FINISHED"
    KEY_MADE = "KEY_MADE"
    KEY_RETIRED = "KEY_RETIRED"
    KEY_PROTECTED = "KEY_PROTECTED"
    RESEALED = "RESEALED"
    SETUP_LINK_MADE = "SETUP_LINK_MADE"
    ACCOUNT_ADDED = "ACCOUNT_ADDED"
    ACCOUNT_CHANGED = "ACCOUNT_CHANGED"
    ACCOUNT_DISABLED = "ACCOUNT_DISABLED"
    ACCOUNT_ENABLED = "ACCOUNT_ENABLED"
    PASSWORD_CHANGED = "PASSWORD_CHANGED"  # noqa: S105 - a word, no secret
    PASSWORD_RESET = "PASSWORD_RESET"  # noqa: S105 - a word, no secret
    SECOND_FACTOR_SET = "SECOND_FACTOR_SET"
    RECOVERY_CODES_MADE = "RECOVERY_CODES_MADE"
    RECOVERY_CODE_USED = "RECOVERY_CODE_USED"
    SIGNED_IN = "SIGNED_IN"
    SIGNED_OUT = "SIGNED_OUT"
    SIGN_IN_FAILED = "SIGN_IN_FAILED"
    SIGN_IN_LOCKED = "SIGN_IN_LOCKED"
    SESSIONS_ENDED = "SESSIONS_ENDED"
    TOKEN_MADE = "TOKEN_MADE"  # noqa: S105 - a word, no secret
    TOKEN_REVOKED = "TOKEN_REVOKED"  # noqa: S105 - a word, no secret


@dataclass(frozen=True)
class Cause:
    """Who or what brought a change about.

    Args:
        actor: ``client``, ``marketplace``, ``outbox``, ``staff:<name>``, ``token:<name>#<end of its id>``,
            ``terminal:<uid> (<claimed name>)``, or ``anonymous``.
        request_id: The request it came with, where there was one.
        reason: The sentence a person gave.
        client_request_id: What the caller named its request, where it did; anyone can choose it.
    """

    actor: str
    request_id: str = ""
    reason: str = ""
    client_request_id: str = ""


@dataclass(frozen=True)
class Mark:
    """An entry and its hash; as text ``SEQ:HASH``."""

    seq: int
    hash: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> Mark:
        """Read a mark.

        Raises:
            ValueError: It is none.
        """
        found = _MARK.fullmatch(text.strip())
        if found is None:
            raise ValueError("A mark is the number of an entry and its hash, as 120:9f86d081…, 64 digits of it.")
        return cls(int(found[1]), found[2].lower())


def canonical(detail: Mapping[str, object] | None) -> str:
    """Return a detail as the one JSON text that is stored and hashed."""
    return json.dumps(detail or {}, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def entry_hash(previous: str, fields: Sequence[str]) -> str:
    """Return the SHA-256 (hex) that chains an entry to the one before it.

    Fields are joined as a JSON list, so that moving a character from one field to the next changes the hash.
    """
    text = json.dumps([previous, *fields], separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
