"""What a callback is, and what became of it: values for the courier and for the control API; nothing is sent here."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from licsrv.emulator.json_text import parse_object
from licsrv.emulator.moments import rfc3339

SHOWN_CHARACTERS = 2000
"""So much of a body or an answer is shown by the control API."""


class DeliveryState(StrEnum):
    """Where a callback stands."""

    HELD = "held"
    """Kept back by the fault ``reorder``."""

    PENDING = "pending"
    """Not tried yet, or being tried for the first time."""

    FAILED = "failed"
    """The last try failed and another one follows."""

    DELIVERED = "delivered"
    GAVE_UP = "gave up"
    """Every try failed; only a manual retry sends it again."""


@dataclass(frozen=True)
class Spoiling:
    """How one callback is made wrong on purpose; the defaults spoil nothing.

    Args:
        signature: Sent instead of the right signature.
        timestamp: Sent and signed instead of the right timestamp.
        nonce: Sent and signed on every try instead of a fresh one.
        skew_seconds: Added to the timestamp.
        omit: Query parameters that are left out: signature, timestamp, nonce.
    """

    signature: str | None = None
    timestamp: str | None = None
    nonce: str | None = None
    skew_seconds: float = 0.0
    omit: frozenset[str] = frozenset()


NOTHING_SPOILED = Spoiling()


@dataclass(frozen=True)
class Message:
    """A callback to be sent.

    Args:
        content: The bytes of the body.
        signed_content: The bytes the signature covers; other than ``content`` only for the form
            ``loose_signed_canonically``.
        activity: The body's ``activity``, for the lists of the control API.
        url: The merchant's production URL.
        tries: How often it is tried in all.
        spoiling: How it is made wrong on purpose.
    """

    content: bytes
    signed_content: bytes
    activity: str
    url: str
    tries: int
    spoiling: Spoiling = NOTHING_SPOILED


@dataclass(frozen=True)
class Attempt:
    """One request that was made, and how it ended.

    Args:
        number: Which try, from 1; doubled requests share the number.
        at: When it was sent, by the marketplace's clock.
        query: The parameters of its URL.
        http_status: None when there was no answer.
        answer: The answer's body, cut.
        seconds: How long it took.
        failure: Why it does not count as delivered; empty when it does.
    """

    number: int
    at: datetime
    query: dict[str, str]
    http_status: int | None
    answer: str
    seconds: float
    failure: str

    @property
    def succeeded(self) -> bool:
        """The callback counts as delivered by this attempt."""
        return not self.failure

    def view(self) -> dict[str, object]:
        """Describe the attempt for the control API."""
        return {
            "number": self.number,
            "at": rfc3339(self.at),
            "query": self.query,
            "http_status": self.http_status,
            "answer": self.answer,
            "duration_ms": round(self.seconds * 1000, 1),
            "outcome": self.failure or "delivered",
        }


@dataclass
class Delivery:
    """A callback on its way."""

    delivery_id: str
    message: Message
    created_at: datetime
    state: DeliveryState = DeliveryState.PENDING
    attempts: list[Attempt] = field(default_factory=list)
    wake: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set to end the pause before the next try."""

    tried: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set after the first try, whatever its end."""

    @property
    def tries(self) -> int:
        """How many tries were made."""
        return self.attempts[-1].number if self.attempts else 0

    def view(self) -> dict[str, object]:
        """Describe the callback for the control API."""
        return {
            "id": self.delivery_id,
            "activity": self.message.activity,
            "state": self.state.value,
            "created_at": rfc3339(self.created_at),
            "url": self.message.url,
            "body": shown(self.message.content),
            "attempts": [attempt.view() for attempt in self.attempts],
        }


def failure_of(http_status: int, content: bytes) -> str:
    """Say why an answer does not count as delivered; empty when it does.

    GAP in protocol §5.7: which answers count as failed. Taken: everything but HTTP 200 with a JSON object whose
    ``resultCode`` is ``000000`` (§5.6, §5.8).
    """
    if http_status != 200:
        return f"HTTP {http_status} instead of 200"
    try:
        answer = parse_object(content)
    except ValueError as error:
        return f"the answer is no JSON object: {error}"
    code = answer.get("resultCode")
    return "" if code == "000000" else f"resultCode {json.dumps(code)[:40]} instead of 000000"


def shown(content: bytes) -> str:
    """Return the beginning of a body as text that can always be written as JSON."""
    return content.decode(errors="replace")[:SHOWN_CHARACTERS]
