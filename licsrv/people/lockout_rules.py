"""When signing in has to wait: the back-off after failures. Pure.

Each limit lets a few failures pass; every further one doubles the wait, up to a longest one, so that a person who
does not know the password cannot keep its owner out for good. Failures are forgotten after a while without any.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

_MOST_DOUBLINGS = 20


@dataclass(frozen=True)
class Limit:
    """How many failures are free, and how the wait grows from there."""

    free: int
    first: timedelta
    longest: timedelta
    forgotten_after: timedelta


NAME = Limit(5, timedelta(seconds=30), timedelta(minutes=15), forgotten_after=timedelta(hours=24))
# Offices share an address, so its limit is higher; it still stops name guessing.
ADDRESS = Limit(20, timedelta(minutes=1), timedelta(hours=1), forgotten_after=timedelta(hours=24))


@dataclass(frozen=True)
class Failures:
    """How often it failed, and when it did last."""

    count: int
    last_at: datetime


def remembered(limit: Limit, failures: Failures | None, *, now: datetime) -> int:
    """Return how many failures still count."""
    if failures is None or now - failures.last_at >= limit.forgotten_after:
        return 0
    return failures.count


def waits_until(limit: Limit, failures: Failures | None, *, now: datetime) -> datetime | None:
    """Return until when nothing is tried; None when trying is free."""
    count = remembered(limit, failures, now=now)
    if failures is None or count < limit.free:
        return None
    doublings = min(count - limit.free, _MOST_DOUBLINGS)
    until = failures.last_at + min(limit.first * 2**doublings, limit.longest)
    return until if until > now else None
