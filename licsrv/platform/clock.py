"""The clock: the only place where the time of day is read. Everything else is handed ``now``."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Returns the present moment, aware and in UTC; a test may move it.

    The clock can be moved only where the setting ``ALLOW_TEST_CLOCK`` lets a route call :meth:`move_to`.
    """

    def __init__(self) -> None:
        self._offset = timedelta()

    def now(self) -> datetime:
        """Return the present moment."""
        return datetime.now(UTC) + self._offset  # noqa: TID251 - the one reader of the clock

    def move_to(self, moment: datetime) -> None:
        """Let the clock go on from ``moment``; calling it again moves it again."""
        self._offset = moment - datetime.now(UTC)  # noqa: TID251 - the one reader of the clock


def stopwatch() -> float:
    """Return seconds of a clock that never jumps, for measuring spans."""
    return time.perf_counter()
