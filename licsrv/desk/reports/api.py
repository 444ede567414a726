"""``/admin/api/reports``: figures for a picture, and files with every row."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sqlmodel import Session
from starlette.responses import Response

from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.reports import answers, service, sheets
from licsrv.desk.reports.answers import ReportAnswer, ReportList
from licsrv.desk.reports.questions import PARAMETERS, Question, Report, one_of, question
from licsrv.desk.reports.sheets import Format
from licsrv.errors import NotFoundError
from licsrv.people.roles import Permission

_PATH = "/admin/api/reports"


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    read, one = Permission.READ_REPORTS, f"{_PATH}/{{name}}"
    return (
        AdminOperation("GET", _PATH, "List the reports", permission=read, handler=listed, result=ReportList),
        AdminOperation(
            "GET", one, "Show a report's figures", permission=read, handler=show, result=ReportAnswer,
            refusals=(NotFoundError,), query=PARAMETERS,
        ),
        AdminOperation(
            "GET", f"{one}/file", "Download every row of a report as CSV or XLSX", permission=read, handler=file,
            refusals=(NotFoundError,), query=("format", *PARAMETERS), media_type="text/csv",
            also=(sheets.TYPES[Format.XLSX],),
        ),
    )  # fmt: skip


async def listed(_: Call) -> ReportList:
    """Answer ``GET /admin/api/reports``."""
    return answers.reports()


async def show(call: Call) -> ReportAnswer:
    """Answer ``GET /admin/api/reports/{name}``."""
    report, asked = _asked(call)
    found = await call.read(lambda session: service.picture(session, report, asked))
    return answers.report_shown(report, asked, found)


async def file(call: Call) -> Response:
    """Answer ``GET /admin/api/reports/{name}/file``."""
    report, asked = _asked(call)
    form = one_of(call.query.get("format", "csv"), Format)
    make = partial(_sheet, report=report, asked=asked, call=call)
    name = f"{report}-{asked.first}-{asked.last}"
    return await sheets.download(call.desk.database, make, name=name, form=form)


def _sheet(session: Session, *, report: Report, asked: Question, call: Call) -> sheets.Sheet:
    return service.sheet(session, report, asked, now=call.now)


def _asked(call: Call) -> tuple[Report, Question]:
    name = call.at["name"]
    if name not in list(Report):
        raise NotFoundError(f"There is no such report; there are {', '.join(Report)}.")
    report = Report(name)
    zone = call.desk.settings.day_zone
    return report, question(report, call.query, zone=zone, now=call.now)
