"""What a callback is, and what became of it: values for the courier and for the control API; nothing is sent here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from licsrv.emulator.json_text import parse_object
from licsrv.emulator.moments import rfc3339

SUCCESS_CODE = "000000"
IN_PROGRESS_CODE = "000004"

BEFORE_REFUND = timedelta(minutes=1)
"""So long before its refund a renewal was placed whose own message is withheld."""

SHOWN_CHARACTERS = 2000
"""So much of a body or an answer is shown by the control API."""


class DeliveryState(StrEnum):
    """The state of a callback."""

    HELD = "held"
    """Kept back, by the fault ``reorder`` or because its refund goes first."""

    PENDING = "pending"
    """Not tried yet, or being tried for the first time."""

    FAILED = "failed"
    """The last try failed and another one follows."""

    DELIVERED = "delivered"
    GAVE_UP = "gave up"
    """Every try failed; only a manual retry sends it again."""

    REFUSED = "refused"
    """The merchant said no with a code that a repeat would not change."""


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
        interval: The pause between two tries, before ``speed``; that of the settings when None.
        delivered_by: The result codes that count as delivered.
        refused_by: The result codes after which it is not tried again.
        parameters: The query parameters of a GET that has no body; None for the usual POST.
        required_member: A text that an answer must have in addition to its code.
        required_longest: How many characters that text may have.
    """

    content: bytes
    signed_content: bytes
    activity: str
    url: str
    tries: int
    spoiling: Spoiling = NOTHING_SPOILED
    interval: timedelta | None = None
    delivered_by: frozenset[str] = frozenset({SUCCESS_CODE})
    refused_by: frozenset[str] = frozenset()
    parameters: Mapping[str, str] | None = None
    required_member: str | None = None
    required_longest: int = 64


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
        body_sign: Whether the answer's ``Body-Sign`` was right, where the interface knows one.
        result: The members of the answer, when it was a JSON object with HTTP 200.
    """

    number: int
    at: datetime
    query: dict[str, str]
    http_status: int | None
    answer: str
    seconds: float
    failure: str
    body_sign: str | None = None
    result: Mapping[str, object] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """The callback counts as delivered by this attempt."""
        return not self.failure

    @property
    def result_code(self) -> str:
        """The ``resultCode`` of the answer; empty when there is none."""
        code = self.result.get("resultCode")
        return code if isinstance(code, str) else ""

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
        } | ({} if self.body_sign is None else {"body_sign": self.body_sign})


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

    answered_or_late: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    """Set after the first try, or at once when the fault ``late`` puts that off: who asks a question waits for this."""

    watch: Callable[[Delivery], None] | None = field(default=None, repr=False)
    """Called after every try, when the state is known."""

    remake: Callable[[], Message] | None = field(default=None, repr=False)
    """Writes the message of a repeat, for callbacks whose repeats are not letter by letter the same."""

    concluded: DeliveryState | None = None
    """What something else has settled it as: no further try."""

    def conclude(self, state: DeliveryState) -> None:
        """Settle it between two tries; one that was not tried yet, or is settled, stays as it is."""
        if self.state is DeliveryState.FAILED:
            self.concluded = state
            self.wake.set()

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
            "method": "POST" if self.message.parameters is None else "GET",
            "body": shown(self.message.content),
            "attempts": [attempt.view() for attempt in self.attempts],
        }


@dataclass(frozen=True)
class RefundFirst:
    """A renewal and what took it back, in the wrong order: the refund is sent, the renewal waits for a flush."""

    refund: Delivery
    withheld: Delivery

    def view(self) -> dict[str, object]:
        """Describe both for the control API."""
        return {"callback": self.refund.view(), "withheld": self.withheld.view()}


def result_of(http_status: int, content: bytes) -> dict[str, object]:
    """Return the members of an answer.

    Raises:
        ValueError: It is not HTTP 200 with a JSON object; says why.
    """
    if http_status != 200:
        raise ValueError(f"HTTP {http_status} instead of 200")
    try:
        return parse_object(content)
    except ValueError as error:
        raise ValueError(f"the answer is no JSON object: {error}") from error


def failure_of(result: Mapping[str, object], message: Message) -> str:
    """Say why an answer does not count as delivered; empty when it does.

    GAP in protocol §5.7: which answers count as failed. Taken: everything but HTTP 200 with a JSON object whose
    ``resultCode`` is ``000000`` (§5.6, §5.8), or another code that the message counts.
    """
    code = result.get("resultCode")
    if isinstance(code, str) and code in message.delivered_by:
        return _lack_of(result, message)
    return f"resultCode {json.dumps(code)[:40]} instead of {' or '.join(sorted(message.delivered_by))}"


def _lack_of(result: Mapping[str, object], message: Message) -> str:
    member, longest = message.required_member, message.required_longest
    value = None if member is None else result.get(member)
    if member is None or (isinstance(value, str) and 1 <= len(value) <= longest):
        return ""
    return f"the answer has no {member} of 1 to {longest} characters"


def shown(content: bytes) -> str:
    """Return the beginning of a body as text that can always be written as JSON."""
    return content.decode(errors="replace")[:SHOWN_CHARACTERS]
