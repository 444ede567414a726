"""Read and write the marketplace's ``yyyyMMddHHmmss`` times. Pure.

It does not know which time zone a field is in: the caller says, because the pages differ (protocol §5.3).
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo

_FORMAT = "%Y%m%d%H%M%S"
# strptime alone takes 12 and 13 digits and Unicode digits. The guide's online debugger shows a form with three more
# digits, milliseconds, which say nothing a license needs.
_PATTERN = re.compile(r"([0-9]{14})(?:[0-9]{3})?")


def parse(text: str, *, timezone: tzinfo) -> datetime | None:
    """Read 14 digits (or 17: milliseconds are dropped) as a moment in UTC; ``None`` when they are not one.

    ``None`` covers a wrong length, anything but ASCII digits, a day that no calendar has, and a moment that leaves
    the years 1 to 9999 on its way to UTC.
    """
    match = _PATTERN.fullmatch(text)
    if match is None:
        return None
    try:
        return datetime.strptime(match[1], _FORMAT).replace(tzinfo=timezone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def render(moment: datetime) -> str:
    """Write a moment as 14 digits in UTC.

    Raises:
        ValueError: The moment has no time zone; guessing one would shift a license by hours.
    """
    if moment.tzinfo is None:
        raise ValueError("A moment for the marketplace needs a time zone.")
    utc = moment.astimezone(UTC)
    return f"{utc.year:04d}" + utc.strftime("%m%d%H%M%S")  # %Y drops leading zeros on some platforms
