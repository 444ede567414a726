"""The client's own clock, and the best guess at the true time once the server has said what time it is.

A desktop's clock may be wrong by days, be set by hand, or stop while the machine sleeps. The client therefore reads
two clocks, and remembers both readings at the moment a fresh, signed server time arrived. This module only measures
and estimates; what a clock that was set back means for the license is decided in ``verdict``.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2999, 12, 31, tzinfo=UTC)


class Clock(Protocol):
    """Where the client gets its time from; tests bring their own."""

    def now(self) -> datetime:
        """Read the wall clock: aware, UTC, may jump either way."""
        ...

    def monotonic(self) -> float:
        """Read seconds that never go back; they may pause while the machine sleeps."""
        ...


class SystemClock:
    """The clocks of this computer."""

    def now(self) -> datetime:
        """Read the wall clock; one that no calendar has shows the nearest day that it has."""
        return datetime.fromtimestamp(min(max(time.time(), 0), _LAST.timestamp()), UTC)

    def monotonic(self) -> float:
        """Read the monotonic clock, in seconds."""
        return time.monotonic()


class WithinCalendar:
    """Another clock, kept inside the years for which spans can be added and subtracted."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        """Read the wall clock, at least 1970 and at most 2999."""
        return min(max(self._clock.now(), _FIRST), _LAST)

    def monotonic(self) -> float:
        """Read the monotonic clock, in seconds."""
        return self._clock.monotonic()


@dataclass(frozen=True)
class ConfirmedTime:
    """What both own clocks showed when the server's time arrived, fresh (our nonce) and signed."""

    server_time: datetime
    own_time: datetime
    monotonic: float


def best_estimate(own_time: datetime, monotonic: float, confirmed: ConfirmedTime | None) -> datetime:
    """Return the most credible moment: the own clock, or the server's time plus what has passed since.

    What has passed is the larger of the two clocks' readings, because the monotonic clock pauses in a sleeping
    machine. A wall clock that was only corrected has jumped without time passing, so the guess never lies beyond
    both the wall clock and the monotonic reading.
    """
    if confirmed is None:
        return own_time

    by_monotonic = confirmed.server_time + timedelta(seconds=max(0.0, monotonic - confirmed.monotonic))
    by_wall_clock = confirmed.server_time + (own_time - confirmed.own_time)
    return min(max(by_monotonic, by_wall_clock), max(by_monotonic, own_time))
