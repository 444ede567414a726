"""Moments and spans as answers, pages and commands show them; ``days`` reads what people type. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

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
