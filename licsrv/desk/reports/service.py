"""Reports: the small series of a picture, and the sheet with every row. It reads and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlmodel import Session

from licsrv.desk.reports import store
from licsrv.desk.reports.questions import By, Question, Report
from licsrv.desk.reports.sheets import Cell, Sheet
from licsrv.licensing import lifecycle

MOST_SERIES = 10
OTHERS = "…"
"""The series of everything that is too small for one of its own."""
_USAGE = ("recorded", "reported", "waiting", "failed")


@dataclass(frozen=True)
class Series:
    """One line of a picture: a value for each day."""

    name: str
    label: str
    values: Sequence[int]

    @property
    def total(self) -> int:
        """The sum of all days."""
        return sum(self.values)


@dataclass(frozen=True)
class Picture:
    """What a report shows at a glance: at most :data:`MOST_SERIES` lines, largest first, and one of the others."""

    days: Sequence[date]
    series: Sequence[Series]


def picture(session: Session, report: Report, question: Question) -> Picture:
    """Return what a report shows at a glance."""
    counted: dict[str, Counter[date]] = {}
    for day, group, number in _COUNTED[report](session, question):
        counted.setdefault(group or "", Counter())[_as_day(day)] += number
    if report is not Report.USAGE:
        counted = _largest(counted)
    labels = store.labels(session) if question.by is By.PRODUCT else {}
    days = list(question.days)
    series = [Series(name, labels.get(name, name), [found[day] for day in days]) for name, found in counted.items()]
    return Picture(days, series)


def _largest(counted: Mapping[str, Counter[date]]) -> dict[str, Counter[date]]:
    ordered = sorted(counted.items(), key=lambda pair: (-pair[1].total(), pair[0]))
    found = dict(ordered[:MOST_SERIES])
    if len(ordered) > MOST_SERIES:
        others: Counter[date] = Counter()
        for _, days in ordered[MOST_SERIES:]:
            others.update(days)
        found[OTHERS] = others
    return found


def _as_day(day: date | str) -> date:
    return date.fromisoformat(day) if isinstance(day, str) else day


def _expiries(session: Session, question: Question) -> store.Counted:
    counted = Counter((question.day_of(ends_at), group) for ends_at, group in store.expiries(session, question))
    return [(day, group, number) for (day, group), number in counted.items()]


def _usage(session: Session, question: Question) -> Iterator[tuple[Any, str, int]]:
    rows = store.usage(session, question)
    for place, name in enumerate(_USAGE, start=1):
        yield question.first, name, 0  # so that the line is there even where nothing happened
        yield from ((row[0], name, row[place]) for row in rows)


_COUNTED: Mapping[Report, Callable[[Session, Question], Iterable[tuple[Any, str, int]]]] = {
    Report.ACTIVE_DEVICES: store.active_devices,
    Report.REFUSALS: store.refusals,
    Report.EXPIRIES: _expiries,
    Report.USAGE: _usage,
}


def sheet(session: Session, report: Report, question: Question, *, now: datetime) -> Sheet:
    """Return every row behind a report."""
    match report:
        case Report.ACTIVE_DEVICES:
            rows = store.active_devices_rows(session, question)
            return Sheet(("day", "product_id", "customer", "devices"), rows)
        case Report.REFUSALS:
            rows = store.refusals_rows(session, question)
            return Sheet(("day", "reason", "code", "product_id", "customer", "device"), rows)
        case Report.EXPIRIES:
            licenses = store.expiries_rows(session, question)
            return Sheet(_LICENSE_HEADINGS, (_license_row(license, now) for license in licenses))
        case Report.USAGE:
            rows = store.usage_rows(session, question)
            headings = ("day", "code", "product_id", "customer", *_USAGE, "missing")
            return Sheet(headings, (_usage_row(row) for row in rows))


_LICENSE_HEADINGS = (
    "code", "license_id", "product_id", "customer", "order_id", "expires_at", "grace_until", "status", "devices",
)  # fmt: skip


def _license_row(license: Any, now: datetime) -> Sequence[Cell]:
    return (
        license.code, license.id, license.product_id, license.customer, license.order_id, license.expires_at,
        license.grace_until, str(lifecycle.status(license, now)), license.places_taken,
    )  # fmt: skip


def _usage_row(row: Any) -> Sequence[Cell]:
    day, code, product_id, customer, *counts = row
    recorded, reported, waiting, failed = map(int, counts)
    missing = max(recorded - reported - waiting - failed, 0)
    return day, code, product_id, customer, recorded, reported, waiting, failed, missing
