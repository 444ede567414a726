"""Moments and spans as people and programs write them. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?([Zz]|[+-]\d{2}:\d{2})", re.ASCII)
_UNITS = (("day", 86_400), ("hour", 3600), ("minute", 60), ("second", 1))
_TWO_UNITS_UP_TO = 2  # "1 day" would hide up to half of the span


def rfc3339(moment: datetime | None) -> str | None:
    """Return a moment as the API writes it, in UTC with a ``Z``."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z") if moment is not None else None


def short(moment: datetime | None) -> str:
    """Return a moment for a table whose head says UTC; nothing for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M") if moment is not None else ""


def full(moment: datetime | None) -> str:
    """Return a moment for a sentence; nothing for none."""
    return f"{short(moment)} UTC" if moment is not None else ""


def span(length: timedelta) -> str:
    """Return a span in its largest unit, in whole numbers: ``3 days``, ``45 minutes``."""
    seconds = int(abs(length).total_seconds())
    for name, size in _UNITS:
        count = seconds // size
        if count >= _TWO_UNITS_UP_TO or (count and name == "second"):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return "0 seconds"


def relative(moment: datetime, now: datetime) -> str:
    """Return how far a moment is: ``in 3 days`` or ``3 days ago``."""
    return f"in {span(moment - now)}" if moment > now else f"{span(now - moment)} ago"


def both(moment: datetime | None, now: datetime) -> str:
    """Return a moment and how far it is; nothing for none."""
    return f"{full(moment)} ({relative(moment, now)})" if moment is not None else ""


def parse(text: str) -> datetime:
    """Read a day (its first moment, 00:00 UTC) or an RFC 3339 moment with its offset.

    Raises:
        ValueError: It is neither, or there is no such day.
    """
    text = text.strip()
    if _DAY.fullmatch(text):
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    if _MOMENT.fullmatch(text):
        try:
            return datetime.fromisoformat(text.upper()).astimezone(UTC)
        except OverflowError:  # in UTC it lies outside the calendar
            raise ValueError("This moment is out of bounds.") from None
    raise ValueError("Write a day such as 2027-01-31 or a moment such as 2027-01-31T16:00:00Z.")
