"""What a try of a delivery leads to: the row is settled, or due again at a moment. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

FIRST_DELAY = timedelta(seconds=2)
LONGEST_DELAY = timedelta(minutes=10)
LONGEST_WAIT = timedelta(hours=1)
"""No row is postponed further than this; a later time comes from a wrong clock, so it counts as due."""
_LONGEST_DOUBLING = 12  # 2 s * 2**12 is past the longest delay; more would only overflow


class State(StrEnum):
    """The state of a row. PARKED: refused for good. DROPPED: given up by a person."""

    WAITING = "WAITING"
    DELIVERED = "DELIVERED"
    PARKED = "PARKED"
    DROPPED = "DROPPED"


Effect = Callable[[Session], "Delivered | Again | None"]
"""Writes what the answer means; returns another verdict where our own rows say more than the answer."""


@dataclass(frozen=True)
class Delivered:
    """Delivered. ``effect`` writes what the answer means, in the transaction that settles the row."""

    effect: Effect | None = None


@dataclass(frozen=True)
class Refused:
    """Refused for good: parked with the reason. ``effect`` as in :class:`Delivered`."""

    reason: str
    effect: Effect | None = None


@dataclass(frozen=True)
class Again:
    """Not delivered; try again after the usual delay. ``effect`` as in :class:`Delivered`, and answers None.

    ``is_silence`` says that the receiver gave no answer at all.
    """

    reason: str
    effect: Effect | None = None
    is_silence: bool = False


@dataclass(frozen=True)
class Postponed:
    """Not tried, because no call may be made before ``until``; not counted as a try."""

    reason: str
    until: datetime


Verdict = Delivered | Refused | Again | Postponed


def delay(attempts: int, jitter: float) -> timedelta:
    """Return how long to wait after the given number of tries: doubling from 2 s to 10 min.

    Args:
        attempts: Tries so far, at least 1.
        jitter: 0 to 1; shortens the delay by up to a half, so that replicas do not try at the same moment.
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
