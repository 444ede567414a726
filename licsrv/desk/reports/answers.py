"""Reports as API, console and command line show them."""

from __future__ import annotations

from datetime import date

from pydantic import Field

from licsrv.desk.reports import service
from licsrv.desk.reports.questions import ABOUT, Question, Report
from licsrv.desk.reports.service import Picture
from licsrv.platform.fields import Body
from licsrv.words.names import name_of


class ReportAbout(Body):
    """A report that there is."""

    name: str
    title: str
    unit: str
    by: list[str] = Field(description="what it can be split by; the first where nothing is said")
    looks_ahead: bool


class ReportList(Body):
    """Every report."""

    items: list[ReportAbout]


class SeriesAnswer(Body):
    """One line: a value for each day."""

    name: str = Field(description=f"of the product, customer, reason or count; {service.OTHERS} for all others")
    label: str
    values: list[int]
    total: int


class ReportAnswer(Body):
    """What a report shows at a glance."""

    name: str
    title: str
    unit: str
    by: str
    timezone: str = Field(description="whose days these are")
    days: list[date]
    series: list[SeriesAnswer]


def reports() -> ReportList:
    """Return every report that there is."""
    items = [
        ReportAbout(
            name=name,
            title=name_of("report", name).en,
            unit=about.unit,
            by=list(about.by),
            looks_ahead=about.looks_ahead,
        )
        for name, about in ABOUT.items()
    ]
    return ReportList(items=items)


def report_shown(report: Report, asked: Question, found: Picture) -> ReportAnswer:
    """Return the figures of a report."""
    about = ABOUT[report]
    series = [
        SeriesAnswer(name=one.name, label=one.label, values=list(one.values), total=one.total) for one in found.series
    ]
    return ReportAnswer(
        name=report, title=name_of("report", report).en, unit=about.unit, by=asked.by, timezone=str(asked.zone),
        days=list(found.days), series=series,
    )  # fmt: skip
