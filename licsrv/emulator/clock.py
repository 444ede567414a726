"""The emulated marketplace's clock: the machine's clock, moved by an offset; the only reader of time here."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from licsrv.emulator.errors import ControlError

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Far enough from the end of the calendar that no later sum of days can leave it."""


def system_now() -> datetime:
    """Return this machine's time."""
    return datetime.now(UTC)


class MovableClock:
    """A clock that runs with its source and can be moved.

    Args:
        source: Gives the time to start from; aware.
    """

    def __init__(self, source: Callable[[], datetime] = system_now) -> None:
        self._source = source
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """Return the marketplace's time, in UTC."""
        return self._source().astimezone(UTC) + self.offset

    def move(self, by: timedelta) -> datetime:
        """Move the clock forward, or back for a negative span, and return the new time.

        Raises:
            ControlError: The clock would leave the years 1970 to 9000.
        """
        return self.set_to(later(self.now(), by))

    def set_to(self, moment: datetime) -> datetime:
        """Let the clock show this moment and run on from there.

        Raises:
            ControlError: The moment lies outside the years 1970 to 9000.
        """
        require_in_calendar(moment)
        self.offset = moment - self._source().astimezone(UTC)
        return moment

    def reset(self) -> None:
        """Go back to the source's time."""
        self.offset = timedelta(0)


def later(moment: datetime, span: timedelta) -> datetime:
    """Add a span to a moment without leaving the calendar.

    Raises:
        ControlError: The sum lies outside the years 1970 to 9000.
    """
    try:
        return require_in_calendar(moment + span)
    except OverflowError as error:
        raise ControlError("that moment lies outside the calendar") from error


def require_in_calendar(moment: datetime) -> datetime:
    """Return the moment when it lies within the years 1970 to 9000.

    Raises:
        ControlError: It does not.
    """
    if not EARLIEST <= moment <= LATEST:
        raise ControlError("a moment must lie within the years 1970 to 9000")
    return moment
