"""Which reports there are, and what is asked of one: which days, of what, grouped by what. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import TypeVar

from licsrv.errors import InvalidRequestError
from licsrv.platform import days
from licsrv.platform.text_limits import is_storable

LONGEST_SPAN = 366
PARAMETERS = ("from", "to", "by", "product", "customer")
_EARLIEST, _LATEST = days.EARLIEST.date(), days.LATEST.date() - timedelta(days=1)
_LONGEST_NAME = 200
_PAST, _AHEAD = timedelta(days=29), timedelta(days=89)


class Report(StrEnum):
    """What can be reported."""

    ACTIVE_DEVICES = "active-devices"
    REFUSALS = "refusals"
    EXPIRIES = "expiries"
    USAGE = "usage"


class By(StrEnum):
    """What the figures of a day are split by."""

    NOTHING = "nothing"
    PRODUCT = "product"
    CUSTOMER = "customer"
    REASON = "reason"


@dataclass(frozen=True)
class About:
    """What a report is of, and what its figures can be split by; the first is taken where nothing is said."""

    unit: str
    by: tuple[By, ...]
    looks_ahead: bool = False


ABOUT: Mapping[Report, About] = {
    Report.ACTIVE_DEVICES: About("devices", (By.NOTHING, By.PRODUCT, By.CUSTOMER)),
    Report.REFUSALS: About("devices", (By.REASON, By.PRODUCT, By.CUSTOMER, By.NOTHING)),
    Report.EXPIRIES: About("licenses", (By.NOTHING, By.PRODUCT, By.CUSTOMER), looks_ahead=True),
    Report.USAGE: About("devices", (By.NOTHING,)),
}


@dataclass(frozen=True)
class Question:
    """What is asked of a report. ``first`` and ``last`` are days of ``zone``, both included."""

    first: date
    last: date
    by: By
    zone: tzinfo
    product: str | None = None
    customer: str | None = None

    @property
    def days(self) -> Iterator[date]:
        """Every day that is asked about."""
        return (self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1))

    @property
    def begins_at(self) -> datetime:
        """The first moment that is asked about."""
        return days.begins_at(self.first, self.zone)

    @property
    def ends_at(self) -> datetime:
        """The first moment that is not asked about any more."""
        return days.ends_at(self.last, self.zone)

    def day_of(self, moment: datetime) -> date:
        """Return the day of a moment."""
        return days.day_of(moment, self.zone)


def question(report: Report, asked: Mapping[str, str], *, zone: tzinfo, now: datetime) -> Question:
    """Read what is asked of a report from query parameters; what is left out is the last (or next) weeks of all.

    Raises:
        InvalidRequestError: Something cannot be read, or is too much.
    """
    about = ABOUT[report]
    today = now.astimezone(zone).date()
    first = _day(asked, "from")
    last = _day(asked, "to")
    if first is None:
        first = today if about.looks_ahead and last is None else (last or today) - _PAST
    if last is None:
        last = first + _AHEAD if about.looks_ahead else max(today, first)
    if not _EARLIEST <= first <= last <= _LATEST or (last - first).days >= LONGEST_SPAN:
        raise InvalidRequestError(f"Ask for 1 to {LONGEST_SPAN} days, the first one first.")
    by = one_of(asked.get("by", about.by[0]), By)
    if by not in about.by:
        raise InvalidRequestError(f"This report can be split by {', '.join(about.by)}.")
    return Question(first, last, by, zone=zone, product=_name(asked, "product"), customer=_name(asked, "customer"))


Word = TypeVar("Word", bound=StrEnum)


def one_of(text: str, words: type[Word]) -> Word:
    """Read one of a few words.

    Raises:
        InvalidRequestError: It is none of them.
    """
    try:
        return words(text)
    except ValueError:
        raise InvalidRequestError(f"Only one of {', '.join(words)} can be asked for.") from None


def _day(asked: Mapping[str, str], name: str) -> date | None:
    text = asked.get(name)
    if text is None:
        return None
    try:
        return days.read_day(text)
    except ValueError:
        raise InvalidRequestError(
            f"{name} must be a day such as 2027-01-31, from {_EARLIEST.year} to {_LATEST.year}."
        ) from None


def _name(asked: Mapping[str, str], name: str) -> str | None:
    text = asked.get(name)
    if text is not None and (len(text) > _LONGEST_NAME or not is_storable(text)):
        raise InvalidRequestError(f"{name} has at most {_LONGEST_NAME} characters.")
    return text
