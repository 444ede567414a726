"""``/admin/api/bulk``: create a job, give it a list, start it, decide about another person's, and take its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from pydantic import AwareDatetime, Field
from sqlmodel import Session
from starlette.responses import Response

from licsrv.desk.bulk import answers, intake, jobs, rules
from licsrv.desk.bulk.answers import BulkAnswer, BulkList, BulkRowList
from licsrv.desk.bulk.rules import FOR_LISTS, JobState, Outcome
from licsrv.desk.bulk.tables import BulkJob
from licsrv.desk.fields import Reasoned
from licsrv.desk.licenses.actions.answers import TermsRequest
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.parameters import word_of
from licsrv.desk.reports import sheets
from licsrv.desk.reports.sheets import Format
from licsrv.errors import (
    BodyTooLargeError,
    ConflictError,
    NotFoundError,
    UnsupportedMediaTypeError,
)
from licsrv.people.roles import Permission
from licsrv.platform import paging

_PATH = "/admin/api/bulk"
_JOB = f"{_PATH}/{{id}}"
_START, _APPROVE = Permission.START_BULK, Permission.APPROVE_BULK


class NewBulk(Reasoned):
    """Bulk work that shall be prepared; for a revocation the customers read the reason."""

    action: str = Field(examples=["revoke"], json_schema_extra={"enum": [*FOR_LISTS]})
    until: AwareDatetime | None = Field(None, description="for extend, extend_grace and set_maintenance")
    terms: TermsRequest | None = Field(None, description="for set_terms")


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    missing = (NotFoundError,)
    reads = partial(AdminOperation, "GET", permission=Permission.READ_LICENSES)
    decides = partial(AdminOperation, "POST", body=Reasoned, result=BulkAnswer, refusals=(*missing, ConflictError))
    rows_query, jobs_query = (*paging.PARAMETERS, "outcome"), (*paging.PARAMETERS, "state")
    return (
        reads(_PATH, "List bulk jobs", handler=listed, result=BulkList, query=jobs_query),
        AdminOperation(
            "POST", _PATH, "Prepare a bulk job", permission=_START, handler=make, body=NewBulk, result=BulkAnswer,
        ),
        reads(_JOB, "Show a bulk job and its progress", handler=show, result=BulkAnswer, refusals=missing),
        AdminOperation(
            "PUT", f"{_JOB}/list", "Upload a bulk job's list (text or CSV) with a dry run", permission=_START,
            handler=upload, result=BulkAnswer, takes=intake.TYPES,
            refusals=(*missing, ConflictError, BodyTooLargeError, UnsupportedMediaTypeError),
        ),
        reads(
            f"{_JOB}/rows", "List what a bulk job does to each line", handler=rows, result=BulkRowList,
            refusals=missing, query=rows_query,
        ),
        reads(
            f"{_JOB}/result", "Download a bulk job's result", handler=result, refusals=missing, query=("format",),
            media_type="text/csv", also=(sheets.TYPES[Format.XLSX],),
        ),
        decides(f"{_JOB}/start", "Start a bulk job, or ask for approval", permission=_START, handler=start),
        decides(f"{_JOB}/approve", "Approve another person's bulk job", permission=_APPROVE, handler=approve),
        decides(
            f"{_JOB}/reject", "Reject another person's bulk job", permission=_APPROVE, handler=_decide(jobs.reject),
        ),
        decides(f"{_JOB}/stop", "Stop a bulk job", permission=_START, handler=_decide(jobs.stop)),
    )  # fmt: skip


async def listed(call: Call) -> BulkList:
    """Answer ``GET /admin/api/bulk``."""
    window = call.window()
    state = word_of(call.query, "state", JobState)

    return await call.read(lambda session: answers.jobs(session, window, state=state))


async def make(call: Call, body: NewBulk) -> BulkAnswer:
    """Answer ``POST /admin/api/bulk``."""
    terms = body.terms.terms() if body.terms is not None else None
    task = rules.task_of(body.action, body.until, terms=terms, now=call.now)

    def use_case(session: Session) -> BulkAnswer:
        job = jobs.make(session, task, actor=call.actor, cause=call.cause(body.reason), now=call.now)
        return _answer(call, session, job)

    return await call.write(use_case)


async def show(call: Call) -> BulkAnswer:
    """Answer ``GET /admin/api/bulk/{id}``."""
    return await call.read(
        lambda session: answers.answer(session, answers.known(session, call.at["id"]), above=_above(call), now=call.now)
    )


async def upload(call: Call) -> BulkAnswer:
    """Answer ``PUT /admin/api/bulk/{id}/list``; the same list again has the same effect."""
    intake.require_list(call.request.headers.get("content-type", ""))
    await call.read(lambda session: answers.known(session, call.at["id"]))  # before 16 MiB are sent in vain
    raw = await intake.body_of(call.request.stream())
    await intake.take_in(call, call.at["id"], raw, actor=call.actor, clock=call.desk.clock)
    return await show(call)


async def rows(call: Call) -> BulkRowList:
    """Answer ``GET /admin/api/bulk/{id}/rows``."""
    window = call.window()
    word = word_of(call.query, "outcome", Outcome)

    outcomes = (word,) if word is not None else ()
    return await call.read(
        lambda session: answers.rows(session, answers.known(session, call.at["id"]), window, outcomes=outcomes)
    )


async def result(call: Call) -> Response:
    """Answer ``GET /admin/api/bulk/{id}/result``: every line, with what was planned and what became of it."""
    form = word_of(call.query, "format", Format) or Format.CSV
    job = await call.read(lambda session: answers.known(session, call.at["id"]).id)
    make_sheet = partial(answers.sheet, job_id=job)
    return await sheets.download(call.desk.database, make_sheet, name=f"bulk-{job}", form=form)


async def start(call: Call, body: Reasoned) -> BulkAnswer:
    """Answer ``POST /admin/api/bulk/{id}/start``."""
    cause = call.cause(body.reason)

    def use_case(session: Session) -> BulkAnswer:
        job = jobs.start(
            session, call.at["id"], actor=call.actor, approval_above=_above(call), cause=cause, now=call.now
        )  # fmt: skip
        return _answer(call, session, job)

    return await call.write(use_case)


async def approve(call: Call, body: Reasoned) -> BulkAnswer:
    """Answer ``POST /admin/api/bulk/{id}/approve``."""
    return await _decide(partial(jobs.approve, wait=call.desk.settings.approver_wait))(call, body)  # type: ignore[no-any-return]


def _decide(decide: Callable[..., BulkJob]) -> Callable[[Call, Reasoned], Any]:
    async def handler(call: Call, body: Reasoned) -> BulkAnswer:
        cause = call.cause(body.reason)

        def use_case(session: Session) -> BulkAnswer:
            job = decide(session, call.at["id"], actor=call.actor, cause=cause, now=call.now)
            return _answer(call, session, job)

        return await call.write(use_case)

    return handler


def _answer(call: Call, session: Session, job: BulkJob) -> BulkAnswer:
    return answers.answer(session, job, above=_above(call), now=call.now)


def _above(call: Call) -> int:
    return call.desk.settings.bulk_approval_above
