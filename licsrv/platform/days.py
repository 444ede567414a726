"""Typed days and moments, and when a day begins and ends. Pure.

The one place where a typed day gets its moments. A day belongs to a named time zone (setting ``DAY_TIMEZONE``). Its end
is exclusive: the moment at which the next day begins, as for every other end here. So "until 2027-01-31" in
Asia/Shanghai is 2027-01-31T16:00:00Z, at which it is over. A moment with its offset is taken as it is.
See docs/adr/0007-typed-days.md.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from licsrv.platform import moments

EARLIEST, LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
"""Moments outside (``LATEST`` included) are refused: near the ends of the calendar some zones and databases fail."""

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Typed:
    """A day or a moment as a person typed it. Both ends of a moment are the moment itself."""

    value: date | datetime

    def begin(self, zone: tzinfo) -> datetime:
        """Return the moment from which something typed counts."""
        return self.value if isinstance(self.value, datetime) else begins_at(self.value, zone)

    def end(self, zone: tzinfo) -> datetime:
        """Return the moment at which something typed is over."""
        return self.value if isinstance(self.value, datetime) else ends_at(self.value, zone)


def read(text: str) -> Typed:
    """Read a day such as ``2027-01-31`` or an RFC 3339 moment with its offset; blanks around it are dropped.

    Raises:
        ValueError: It is neither, there is no such day, or it is out of bounds.
    """
    text = text.strip()
    if _DAY.fullmatch(text):
        return Typed(read_day(text))
    if _MOMENT.fullmatch(text):
        return Typed(_moment(text))
    raise ValueError("Write a day such as 2027-01-31 or a moment such as 2027-01-31T16:00:00Z.")


def read_day(text: str) -> date:
    """Read a day such as ``2027-01-31``.

    Raises:
        ValueError: It is none, there is no such day, or it is out of bounds.
    """
    if not _DAY.fullmatch(text):
        raise ValueError("Write a day such as 2027-01-31.")
    return _within_bounds(date.fromisoformat(text))


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.upper()).astimezone(UTC)
    except OverflowError:  # in UTC it lies outside the calendar
        raise ValueError("This moment is out of bounds.") from None
    _within_bounds(moment.date())
    return moment


def _within_bounds(day: date) -> date:
    if not EARLIEST.year <= day.year < LATEST.year:
        raise ValueError(f"Write a day between the years {EARLIEST.year} and {LATEST.year}.")
    return day


def begins_at(day: date, zone: tzinfo) -> datetime:
    """Return the first moment of a day, in UTC."""
    return datetime.combine(day, time(), zone).astimezone(UTC)


def ends_at(day: date, zone: tzinfo) -> datetime:
    """Return the first moment after a day, in UTC."""
    return begins_at(day + _ONE_DAY, zone)


def day_of(moment: datetime, zone: tzinfo) -> date:
    """Return the day of a moment."""
    return moment.astimezone(zone).date()


def last_day(end: datetime, zone: tzinfo) -> date:
    """Return the last day of something that is over at a moment: :meth:`Typed.end` backwards."""
    return day_of(end - timedelta(microseconds=1), zone)


def until(end: datetime, zone: tzinfo) -> str:
    """Return an end for a sentence: the day and its zone where it is the end of a day, and always the moment."""
    day = last_day(end, zone)
    if ends_at(day, zone) != end:
        return moments.full(end)
    return f"the end of {day} in {zone} ({moments.full(end)})"
