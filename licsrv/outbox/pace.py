"""How many calls of a kind may be under way, and how long it waits when no answer comes. Pure.

A receiver that answers gets one more call at a time with each answer, up to a limit. One that does not answer gets a
pause, each twice as long as the one before, and then a single call: a backlog of any size costs one call a pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from licsrv.outbox.rules import LONGEST_WAIT

FIRST_CALLS = 4
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=1)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MOST_DOUBLINGS = 6


@dataclass
class Pace:
    """The pace of one kind.

    Args:
        most: Calls that may be under way at once.
    """

    most: int
    calls: int = FIRST_CALLS
    silences: int = 0
    closed_until: datetime = _LONG_AGO

    def room(self, under_way: int, *, now: datetime) -> int:
        """Return how many more calls may start; a pause too far ahead comes from a wrong clock and does not count."""
        is_closed = now < self.closed_until <= now + LONGEST_WAIT
        return 0 if is_closed else max(min(self.calls, self.most) - under_way, 0)

    def answered(self) -> None:
        """Allow one more call."""
        self.calls = min(max(self.calls + 1, FIRST_CALLS if self.silences else 1), self.most)
        self.silences = 0

    def silent(self, *, now: datetime) -> None:
        """Pause, and allow a single call after that; calls that end during the pause prolong nothing."""
        if now < self.closed_until:
            return
        pause = min(FIRST_PAUSE * (1 << min(self.silences, _MOST_DOUBLINGS)), LONGEST_PAUSE)
        self.silences, self.calls, self.closed_until = self.silences + 1, 1, now + pause

    def close(self, until: datetime) -> None:
        """Wait until a moment that the receiver or the gate before it named."""
        self.closed_until = max(until, self.closed_until)
