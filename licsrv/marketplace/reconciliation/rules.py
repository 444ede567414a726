"""Where the marketplace's word on a license and our own differ, in sentences. Pure.

What the marketplace does not state is not compared, and what it states is compared as ``answers`` would take it over:
``status`` decides where it and the expiry disagree. The marketplace does not know a revocation by the vendor's staff,
so a license is compared as if it were not revoked.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import Status
from licsrv.marketplace.commands import RENEWALS, UNDONE
from licsrv.marketplace.open_api import amounts, codes
from licsrv.marketplace.open_api.code_answers import CodeState, ReportedStatus
from licsrv.marketplace.open_api.order_answers import Order, OrderType

CLOCKS = timedelta(minutes=15)
"""How far two clocks may differ: beyond it the marketplace accepts no signature of ours."""
WORKED_OUT = timedelta(days=2)
"""How far an end may differ from one that was computed from the length of a period (online §5.3, INFER)."""

NOT_ACTIVATED, NOT_RECEIVED = "NOT_ACTIVATED", "NOT_RECEIVED"
_SAME_SECOND = timedelta(seconds=1)
_LONGEST_PRODUCT = 128
_NO_STATUS = frozenset({"", "UNKNOWN"})  # an order states none; a new word says nothing that we understand
_REFUSED_STATES = {
    codes.NOT_ACTIVATED: NOT_ACTIVATED,
    codes.NOT_RECEIVED: NOT_RECEIVED,
}
# GAP: which code an order that does not exist is answered with. A foreign product's order is none of ours either.
_UNKNOWN_CODES = frozenset({codes.UNKNOWN_LICENSE, "CBC.0100", "CBC.0101", "CBC.0150", "CBC.0199"})


class Kind(StrEnum):
    """In what a license differs. UNKNOWN: the marketplace has none like it; UNANSWERED: it would not say."""

    STATUS = "STATUS"
    EXPIRY = "EXPIRY"
    PRODUCT = "PRODUCT"
    AMOUNT = "AMOUNT"
    UNKNOWN = "UNKNOWN"
    UNANSWERED = "UNANSWERED"


@dataclass(frozen=True, slots=True)
class Ours:
    """What we hold of a license; its revocation is left out of the facts that make its status."""

    activated_at: datetime | None
    expires_at: datetime | None
    frozen_at: datetime | None
    released_at: datetime | None
    product_id: str
    amount: int | None
    is_revoked: bool = False
    provisional_until: datetime | None = field(default=None, init=False)
    refused_reason: str | None = field(default=None, init=False)
    grace_until: datetime | None = field(default=None, init=False)  # the vendor's word: no business of the marketplace
    revoked_at: datetime | None = field(default=None, init=False)
    revoked_reason: str | None = field(default=None, init=False)


@dataclass(frozen=True, slots=True)
class Word:
    """What the marketplace says of a license; None and an empty status for what it does not say.

    Args:
        status: ALIVE, EXPIRED, RELEASED, UNKNOWN (a word that we do not know), NOT_ACTIVATED or NOT_RECEIVED.
        tolerance: How far two ends may differ and still be the same.
    """

    status: str = ""
    expires_at: datetime | None = None
    product_id: str | None = None
    amount: int | None = None
    tolerance: timedelta = _SAME_SECOND


@dataclass(frozen=True, slots=True)
class Missing:
    """The marketplace has no such code or order."""

    reason: str


@dataclass(frozen=True, slots=True)
class Silent:
    """The marketplace did not answer this question although it answered others."""

    reason: str


Said = Word | Missing | Silent


@dataclass(frozen=True, slots=True)
class Found:
    """One difference: both sides as text, and what it means in one sentence."""

    kind: Kind
    ours: str
    theirs: str
    explained: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What differs, and of which kinds the answer allows to say whether they do."""

    found: Sequence[Found]
    judged: frozenset[Kind]


def compare(ours: Ours, said: Said, *, alive_unfreezes: bool, now: datetime) -> Comparison:
    """Compare a license with what the marketplace said of it at ``now``.

    Args:
        alive_unfreezes: Whether the answer ALIVE means that a license is not frozen.
    """
    match said:
        case Silent(reason):
            return Comparison([_unanswered(ours, reason, now)], frozenset({Kind.UNANSWERED}))
        case Missing(reason):
            return Comparison([] if ours.is_revoked else [_missing(ours, reason, now)], frozenset(Kind))
        case Word(status="RELEASED" | "NOT_ACTIVATED" | "NOT_RECEIVED"):
            return Comparison(_status(ours, said, alive_unfreezes, now=now), frozenset(Kind))
    judged = frozenset({Kind.UNKNOWN, Kind.UNANSWERED, *_stated(ours, said, now)})
    every = [_unread(ours, said, now), _status(ours, said, alive_unfreezes, now=now), _terms(ours, said)]
    return Comparison([one for found in every for one in found if one.kind in judged], judged)


def _stated(ours: Ours, word: Word, now: datetime) -> Iterator[Kind]:
    """Yield the kinds of which the marketplace says something that can be meant."""
    if word.status not in _NO_STATUS:
        yield Kind.STATUS
    if _end_counts(ours, word, now):
        yield Kind.EXPIRY
    if word.product_id and len(word.product_id) <= _LONGEST_PRODUCT:
        yield Kind.PRODUCT
    if amounts.read(word.amount) is not None:
        yield Kind.AMOUNT


def _unread(ours: Ours, word: Word, now: datetime) -> list[Found]:
    if word.status != ReportedStatus.UNKNOWN:
        return []
    return [_unanswered(ours, "the answer has no status that is known here", now)]


def _terms(ours: Ours, word: Word) -> list[Found]:
    return [*_expiry(ours, word), *_product(ours, word.product_id or ""), *_amount(ours, word.amount or 0)]


def _status(ours: Ours, word: Word, alive_unfreezes: bool, now: datetime) -> list[Found]:
    known = lifecycle.status(ours, now)
    if word.status in _NO_STATUS or _agree(known, word.status, alive_unfreezes) or _is_turning(ours, word, now):
        return []
    explained = _STATUS_SENTENCES.get((known, word.status)) or _STATUS_SENTENCES[word.status]
    return [Found(Kind.STATUS, known, word.status, explained=explained)]


def _agree(known: Status, said: str, alive_unfreezes: bool) -> bool:
    """Whether two words mean the same. A frozen code reads as EXPIRED or as ALIVE (GAP: a setting says which)."""
    match said:
        case "ALIVE":
            return known is Status.ACTIVE or (known is Status.FROZEN and not alive_unfreezes)
        case "EXPIRED":
            return known in {Status.EXPIRED, Status.FROZEN}
    return known is Status.RELEASED and said == ReportedStatus.RELEASED


def _is_turning(ours: Ours, word: Word, now: datetime) -> bool:
    """Whether the license ends at this very time, so that the two clocks alone may make the difference."""
    if ours.expires_at is None or ours.frozen_at is not None or word.status not in {"ALIVE", "EXPIRED"}:
        return False
    return abs(now - ours.expires_at) < CLOCKS and (word.expires_at is None or _is_same_end(ours, word))


_STATUS_SENTENCES: Mapping[tuple[Status, str] | str, str] = {
    "RELEASED": "The marketplace has released this license for good, and here it is still in use.",
    NOT_ACTIVATED: "Here the license is activated, and at the marketplace it is not.",
    NOT_RECEIVED: "Here the license is activated, and at the marketplace its buyer has not received it.",
    "EXPIRED": "The marketplace says that the license has expired, and here it has not.",
    "ALIVE": "The marketplace says that the license may be used, and here it may not.",
    (Status.FROZEN, "ALIVE"): "Here the license is frozen, and the marketplace says that it may be used.",
    (Status.EXPIRED, "ALIVE"): "Here the license has expired, and the marketplace says that it may be used.",
}


def _end_counts(ours: Ours, word: Word, now: datetime) -> bool:
    """Whether the stated end counts: not where the status in the same answer contradicts it.

    A code that is frozen reads as EXPIRED while its end may still be to come.
    """
    if word.expires_at is None:
        return False
    if word.status == ReportedStatus.ALIVE:
        return word.expires_at > now
    return word.status != ReportedStatus.EXPIRED or word.expires_at <= now or ours.frozen_at is not None


def _is_same_end(ours: Ours, word: Word) -> bool:
    if ours.expires_at is None or word.expires_at is None:
        return ours.expires_at is word.expires_at
    return abs(ours.expires_at - word.expires_at) < word.tolerance


def _expiry(ours: Ours, word: Word) -> list[Found]:
    if _is_same_end(ours, word) or word.expires_at is None:
        return []
    if ours.expires_at is None:
        explained = "The marketplace names an end, and here the license never ends."
    elif word.expires_at > ours.expires_at:
        explained = "The license lasts longer at the marketplace than here; a renewal did not arrive."
    else:
        explained = "The license ends earlier at the marketplace than here."
    return [Found(Kind.EXPIRY, end(ours.expires_at), end(word.expires_at), explained=explained)]


def _product(ours: Ours, product_id: str) -> list[Found]:
    if product_id == ours.product_id:
        return []
    return [Found(Kind.PRODUCT, ours.product_id, product_id, explained="The marketplace names another product.")]


_MORE_BOUGHT = "At the marketplace more was bought than is known here."
_LESS_BOUGHT = "At the marketplace less was bought than is known here."


def _amount(ours: Ours, amount: int) -> list[Found]:
    if amount == ours.amount:
        return []
    known = "" if ours.amount is None else str(ours.amount)
    is_more = ours.amount is None or amount > ours.amount
    return [Found(Kind.AMOUNT, known, str(amount), explained=_MORE_BOUGHT if is_more else _LESS_BOUGHT)]


def _missing(ours: Ours, reason: str, now: datetime) -> Found:
    explained = "The marketplace does not know this license, or no longer."
    return Found(Kind.UNKNOWN, lifecycle.status(ours, now), reason, explained=explained)


def _unanswered(ours: Ours, reason: str, now: datetime) -> Found:
    explained = "The marketplace answered about other licenses, and not about this one."
    return Found(Kind.UNANSWERED, lifecycle.status(ours, now), reason, explained=explained)


def end(moment: datetime | None) -> str:
    """Return an end as text: RFC 3339 to the second, or ``never``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else "never"


def word_of_code(state: CodeState) -> Said:
    """Read the answer about a code; one whose end cannot be read is none."""
    if "expire_time" in state.unread:
        return Silent("the answer states an end that cannot be read")
    return Word(str(state.status), state.expires_at, state.product_id, amount=state.amount)


def word_of_order(order: Order) -> Word:
    """Read the answer about an order: it states no status, and what was unsubscribed says nothing of what holds."""
    if order.type is OrderType.UNSUBSCRIBE:
        return Word()
    tolerance = WORKED_OUT if order.end_is_worked_out else _SAME_SECOND
    return Word("", order.expires_at, order.product_id or None, amount=order.amount, tolerance=tolerance)


def word_of_refusal(error_code: str, message: str) -> Said:
    """Read a refusal: what it says of the license, or that the question was not answered."""
    if error_code in _REFUSED_STATES:
        return Word(_REFUSED_STATES[error_code])
    return Missing(message) if codes.family_of(error_code) in _UNKNOWN_CODES else Silent(message)


class OrderFacts(Protocol):
    """An order that a callback named."""

    @property
    def order_id(self) -> str:
        """Its number."""

    @property
    def order_line_id(self) -> str:
        """The line that is meant."""

    @property
    def scene(self) -> str:
        """What it was named for."""


def current_order(
    orders: Collection[OrderFacts],
    *,
    ended_by: Collection[str],
    placed: Mapping[tuple[str, str], datetime] | None = None,
) -> tuple[str, str] | None:
    """Return the order and the line that a license is under, of its orders from the oldest on.

    It is the last that was named; a renewal that was taken back and an order that ends the license are none. A message
    that takes a renewal back may name an order of its own: renewals that were placed before it hold no more.

    Args:
        ended_by: The scenes in which an order is named that holds no more.
        placed: When orders were placed, where that is known.
    """
    over = {(order.order_id, order.order_line_id) for order in orders if order.scene in ended_by}
    over |= set(_taken_back(orders, placed or {}))
    holding = [(order.order_id, order.order_line_id) for order in orders]
    return next((order for order in reversed(holding) if order not in over), None)


def _taken_back(
    orders: Collection[OrderFacts], placed: Mapping[tuple[str, str], datetime]
) -> Iterator[tuple[str, str]]:
    undoing = [placed.get((order.order_id, order.order_line_id)) for order in orders if order.scene == UNDONE]
    undone_at = max((moment for moment in undoing if moment is not None), default=None)
    for order in orders:
        key = (order.order_id, order.order_line_id)
        if undone_at is not None and order.scene in RENEWALS and key in placed and placed[key] <= undone_at:
            yield key


def as_document(word: Word) -> dict[str, object]:
    """Return a word as JSON values."""
    return {
        "status": word.status,
        "expires_at": end(word.expires_at) if word.expires_at is not None else None,
        "product_id": word.product_id,
        "amount": word.amount,
        "tolerance": word.tolerance.total_seconds(),
    }


def from_document(document: Mapping[str, object]) -> Word:
    """Read what :func:`as_document` wrote."""
    expires_at, product_id, amount = document.get("expires_at"), document.get("product_id"), document.get("amount")
    tolerance = document.get("tolerance")
    return Word(
        status=str(document.get("status", "")),
        expires_at=datetime.fromisoformat(expires_at) if isinstance(expires_at, str) else None,
        product_id=product_id if isinstance(product_id, str) else None,
        amount=amount if isinstance(amount, int) else None,
        tolerance=timedelta(seconds=tolerance) if isinstance(tolerance, int | float) else _SAME_SECOND,
    )


NO_NIGHT_AFTER = timedelta(hours=6)
"""A night in which nothing could start for so long is left out."""


def night_of(local: datetime, hour: int) -> datetime | None:
    """Return when the night began to which a local moment belongs, or None outside of the hours in which one starts."""
    began = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    if began > local:
        began -= timedelta(days=1)
    return began if local - began < NO_NIGHT_AFTER else None
