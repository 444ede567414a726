"""What becomes of a delivery after a try: settled, or again when. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=1)
"""Further ahead nothing here is ever put off: a row that is has its moment from a clock that was wrong, and is due."""
_LONGEST_DOUBLING = 12  # 2 s * 2**12 is past the longest delay; more would only overflow


class State(StrEnum):
    """Where a row stands. PARKED was refused for good; DROPPED was given up by a person."""

    WAITING = "WAITING"
    DELIVERED = "DELIVERED"
    PARKED = "PARKED"
    DROPPED = "DROPPED"


@dataclass(frozen=True)
class Delivered:
    """It arrived. ``effect`` writes what the answer means, in the transaction that settles the row."""

    effect: Callable[[Session], None] | None = None


@dataclass(frozen=True)
class Refused:
    """It was refused for good: parked with the reason. ``effect`` as in :class:`Delivered`."""

    reason: str
    effect: Callable[[Session], None] | None = None


@dataclass(frozen=True)
class Again:
    """It did not arrive; try again after the usual delay."""

    reason: str


@dataclass(frozen=True)
class Postponed:
    """It was not tried (the way is closed until ``until``): not counted as a try."""

    reason: str
    until: datetime


Verdict = Delivered | Refused | Again | Postponed


def delay(attempts: int, jitter: float) -> timedelta:
    """Return how long to wait after the given number of tries: doubling from 2 s to 10 min.

    Args:
        attempts: Tries so far, at least 1.
        jitter: 0 to 1; moves the delay between a half and the whole of itself, so that replicas spread out.
    """
    doublings: int = min(attempts - 1, _LONGEST_DOUBLING)
    whole = min(FIRST_DELAY * (1 << doublings), LONGEST_DELAY)
    return whole * (0.5 + jitter / 2)


def next_try_at(verdict: Again | Postponed, *, attempts: int, jitter: float, now: datetime) -> datetime:
    """Return when the row is due again."""
    if isinstance(verdict, Postponed):
        return min(max(verdict.until, now), now + LONGEST_WAIT)
    return now + delay(attempts, jitter)


def is_given_up(attempts: int, limit: int) -> bool:
    """Whether that many tries without an answer are enough."""
    return attempts >= limit
