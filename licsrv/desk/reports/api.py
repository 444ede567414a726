"""``/admin/api/reports``: figures for a picture, and files with every row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import partial

from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response

from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.reports import service, sheets
from licsrv.desk.reports.questions import ABOUT, PARAMETERS, Question, Report, one_of, question
from licsrv.desk.reports.sheets import Format
from licsrv.errors import NotFoundError
from licsrv.people.roles import Permission
from licsrv.platform.fields import Body
from licsrv.words.names import name_of

_PATH = "/admin/api/reports"


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


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    read, one = Permission.READ_REPORTS, f"{_PATH}/{{name}}"
    return (
        AdminOperation("GET", _PATH, "List the reports", read, listed, result=ReportList),
        AdminOperation(
            "GET", one, "Show a report's figures", read, show, None, ReportAnswer, (NotFoundError,), PARAMETERS
        ),
        AdminOperation(
            "GET", f"{one}/file", "Download every row of a report as CSV or XLSX", read, file,
            refusals=(NotFoundError,), query=("format", *PARAMETERS), media_type="text/csv",
            also=(sheets.TYPES[Format.XLSX],),
        ),
    )  # fmt: skip


async def listed(_: Call) -> ReportList:
    """Answer ``GET /admin/api/reports``."""
    items = [
        ReportAbout(
            name=name, title=name_of("report", name).en, unit=about.unit, by=list(about.by),
            looks_ahead=about.looks_ahead,
        )
        for name, about in ABOUT.items()
    ]  # fmt: skip
    return ReportList(items=items)


async def show(call: Call) -> ReportAnswer:
    """Answer ``GET /admin/api/reports/{name}``."""
    report, asked = _asked(call)
    found = await call.read(lambda session: service.picture(session, report, asked))
    about = ABOUT[report]
    series = [
        SeriesAnswer(name=one.name, label=one.label, values=list(one.values), total=one.total) for one in found.series
    ]
    return ReportAnswer(
        name=report, title=name_of("report", report).en, unit=about.unit, by=asked.by,
        timezone=str(asked.zone), days=list(found.days),
        series=series,
    )  # fmt: skip


async def file(call: Call) -> Response:
    """Answer ``GET /admin/api/reports/{name}/file``."""
    report, asked = _asked(call)
    form = one_of(call.request.query_params.get("format", "csv"), Format)
    make = partial(_sheet, report=report, asked=asked, call=call)
    name = f"{report}-{asked.first}-{asked.last}"
    return await sheets.download(call.desk.database, make, name=name, form=form)


def _sheet(session: Session, *, report: Report, asked: Question, call: Call) -> sheets.Sheet:
    return service.sheet(session, report, asked, now=call.now)


def _asked(call: Call) -> tuple[Report, Question]:
    name = call.request.path_params["name"]
    if name not in list(Report):
        raise NotFoundError(f"There is no such report; there are {', '.join(Report)}.")
    report = Report(name)
    zone = call.desk.settings.day_zone
    return report, question(report, call.request.query_params, zone=zone, now=call.now)
