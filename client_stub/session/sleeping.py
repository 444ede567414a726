"""Notice that the computer slept, or that its clock leapt, so that the server can be asked before a program stops.

The loop of the check-ins takes a note at least once a minute. A gap between two notes that is much longer means that
no check-in could run in it. A lease that ended in such a gap counts for some minutes more. Only a lease that held when
the gap began does: a second sleep brings no second grace.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST_GAP = timedelta(minutes=5)
GRACE = timedelta(minutes=5)


@dataclass(frozen=True)
class _Note:
    now: datetime
    monotonic: float


class SleepWatch:
    """Remembers the last note, and the last gap. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last: _Note | None = None
        self._gap_began: datetime | None = None
        self._grace_ends = 0.0

    def note(self, now: datetime, monotonic: float) -> None:
        """Take a note that the program runs; called by the loop of the check-ins."""
        with self._lock:
            self._look(now, monotonic)
            self._last = _Note(now, monotonic)

    def look(self, now: datetime, monotonic: float) -> bool:
        """Return True when the program has just come out of a gap that was not known yet."""
        with self._lock:
            return self._look(now, monotonic)

    def grace_until(self, lease_end: datetime | None, now: datetime, monotonic: float) -> datetime | None:
        """Return how long a lease that ended in the last gap still counts; None when there is no such grace."""
        with self._lock:
            left = self._grace_ends - monotonic
            if self._gap_began is None or left <= 0 or lease_end is None or lease_end <= self._gap_began:
                return None
            return now + timedelta(seconds=left)

    def _look(self, now: datetime, monotonic: float) -> bool:
        if self._last is None:
            return False
        gap = max(now - self._last.now, timedelta(seconds=monotonic - self._last.monotonic))
        if gap <= LONGEST_GAP:
            return False
        self._gap_began = self._last.now
        self._grace_ends = monotonic + GRACE.total_seconds()
        self._last = _Note(now, monotonic)
        return True
