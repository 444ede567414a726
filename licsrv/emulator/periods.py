"""Years, months and days that a product is paid by, and where they end; pure."""

from __future__ import annotations

import calendar
from datetime import datetime, timedelta
from enum import StrEnum

from licsrv.emulator.clock import later
from licsrv.emulator.errors import ControlError

MAX_PERIODS = 1000


class PeriodType(StrEnum):
    """What a period-charged product is paid by."""

    YEAR = "year"
    MONTH = "month"
    DAY = "day"


def after(start: datetime, period_type: PeriodType, number: int) -> datetime:
    """Return the moment a number of years, months or days later; 29 February becomes the 28th where it must.

    Raises:
        ControlError: The number makes no sense, or the moment lies outside the calendar.
    """
    if not 1 <= number <= MAX_PERIODS:
        raise ControlError(f"period_number must be between 1 and {MAX_PERIODS}")
    if period_type is PeriodType.DAY:
        return later(start, timedelta(days=number))
    months = start.year * 12 + start.month - 1 + number * (12 if period_type is PeriodType.YEAR else 1)
    year, month = divmod(months, 12)
    if year >= 9000:
        raise ControlError("that moment lies outside the calendar")
    last_day = calendar.monthrange(year, month + 1)[1]
    return start.replace(year=year, month=month + 1, day=min(start.day, last_day))
