"""``/admin/api/bulk``: create a job, give it a list, start it, decide about another person's, and take its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, TypeVar

from pydantic import AwareDatetime, Field
from sqlmodel import Session
from starlette.responses import Response

from licsrv.desk.bulk import intake, jobs, rules, store
from licsrv.desk.bulk.rules import FOR_LISTS, JobState, Outcome
from licsrv.desk.bulk.tables import BulkJob, BulkRow
from licsrv.desk.fields import Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.reports import sheets
from licsrv.desk.reports.sheets import Format, Sheet
from licsrv.errors import (
    BodyTooLargeError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    UnsupportedMediaTypeError,
)
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window

_PATH = "/admin/api/bulk"
_JOB = f"{_PATH}/{{id}}"
_START, _APPROVE = Permission.START_BULK, Permission.APPROVE_BULK
_HEADINGS = ("line", "given", "license_id", "code", "planned", "planned_why", "outcome", "why", "done_at")
_LONGEST_NUMBER = 6
Word = TypeVar("Word", bound=StrEnum)


class NewBulk(Reasoned):
    """Bulk work that shall be prepared; for a revocation the customers read the reason."""

    action: str = Field(examples=["revoke"], json_schema_extra={"enum": [*FOR_LISTS]})
    until: AwareDatetime | None = Field(None, description="for extend_grace and set_maintenance")


class BulkAnswer(Body):
    """A job, and how far it is.

    ``planned`` and ``outcomes`` count its lines by what the dry run says and by what has become of them.
    """

    id: str
    action: str
    until: datetime | None
    reason: str
    state: str = Field(description=", ".join(JobState))
    created_at: datetime
    created_by: str
    listed_at: datetime | None
    lines: int
    licenses: int = Field(description="how many licenses the list names")
    needs_approval: bool = Field(
        description="whether a second person has to approve so many, with those that its maker started alone in a day"
    )
    started_at: datetime | None
    decided_by: str | None = Field(description="who approved or rejected it")
    decided_at: datetime | None
    decision: str = Field(description="the reason they gave")
    ended_at: datetime | None
    done: int = Field(description="lines that were processed")
    changed: int
    planned: dict[str, int] = Field(description=f"by {', '.join(Outcome)}")
    outcomes: dict[str, int]


class BulkSummary(Body):
    """A job in a list of jobs."""

    id: str
    action: str
    state: str
    reason: str
    created_at: datetime
    created_by: str
    lines: int
    licenses: int
    done: int
    changed: int
    ended_at: datetime | None


class BulkList(Body):
    """A page of jobs, newest first."""

    items: list[BulkSummary]
    next: str | None


class BulkRowAnswer(Body):
    """A line of a list."""

    line: int
    given: str
    license_id: str | None
    code: str
    planned: str
    planned_why: str
    outcome: str | None
    why: str
    done_at: datetime | None


class BulkRowList(Body):
    """A page of lines, in the order of the list."""

    items: list[BulkRowAnswer]
    next: str | None


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    missing = (NotFoundError,)
    reads = partial(AdminOperation, "GET", permission=Permission.READ_LICENSES)
    decides = partial(AdminOperation, "POST", body=Reasoned, result=BulkAnswer, refusals=(*missing, ConflictError))
    rows_query, jobs_query = (*paging.PARAMETERS, "outcome"), (*paging.PARAMETERS, "state")
    return (
        reads(_PATH, "List bulk jobs", handler=listed, result=BulkList, query=jobs_query),
        AdminOperation(
            "POST", _PATH, "Prepare a bulk job", permission=_START, handler=make, body=NewBulk, result=BulkAnswer
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
        decides(
            f"{_JOB}/approve", "Approve another person's bulk job", permission=_APPROVE, handler=_decide(jobs.approve)
        ),
        decides(
            f"{_JOB}/reject", "Reject another person's bulk job", permission=_APPROVE, handler=_decide(jobs.reject)
        ),
        decides(f"{_JOB}/stop", "Stop a bulk job", permission=_START, handler=_decide(jobs.stop)),
    )  # fmt: skip


async def listed(call: Call) -> BulkList:
    """Answer ``GET /admin/api/bulk``."""
    window = paging.window_of(call.request.query_params)
    state = _word(call.request.query_params.get("state"), JobState)

    def use_case(session: Session) -> BulkList:
        found = store.jobs(session, window, state=state)
        page = paging.page_of(found, window, keys=lambda job: (job.id,), item=_summary)
        return BulkList(items=page.items, next=page.next)

    return await call.read(use_case)


async def make(call: Call, body: NewBulk) -> BulkAnswer:
    """Answer ``POST /admin/api/bulk``."""
    task = rules.task_of(body.action, body.until, now=call.now)

    def use_case(session: Session) -> BulkAnswer:
        job = jobs.make(session, task, actor=call.actor, cause=call.cause(body.reason), now=call.now)
        return answer(session, job, above=_above(call), now=call.now)

    return await call.write(use_case)


async def show(call: Call) -> BulkAnswer:
    """Answer ``GET /admin/api/bulk/{id}``."""
    return await call.read(lambda session: answer(session, known(session, _id(call)), above=_above(call), now=call.now))


async def upload(call: Call) -> BulkAnswer:
    """Answer ``PUT /admin/api/bulk/{id}/list``; the same list again has the same effect."""
    intake.require_list(call.request.headers.get("content-type", ""))
    await call.read(lambda session: known(session, _id(call)))  # before 16 MiB are sent in vain
    raw = await intake.body_of(call.request.stream())
    await intake.take_in(call, _id(call), raw, actor=call.actor, clock=call.desk.clock)
    return await show(call)


async def rows(call: Call) -> BulkRowList:
    """Answer ``GET /admin/api/bulk/{id}/rows``."""
    window = _numbered(paging.window_of(call.request.query_params))
    word = _word(call.request.query_params.get("outcome"), Outcome)

    def use_case(session: Session) -> BulkRowList:
        job = known(session, _id(call))
        found = store.rows(session, job.id, window, outcomes=(word,) if word is not None else ())
        page = paging.page_of(found, window, keys=lambda row: (str(row.number),), item=row_answer)
        return BulkRowList(items=page.items, next=page.next)

    return await call.read(use_case)


async def result(call: Call) -> Response:
    """Answer ``GET /admin/api/bulk/{id}/result``: every line, with what was planned and what became of it."""
    form = _word(call.request.query_params.get("format", "csv"), Format) or Format.CSV
    job = await call.read(lambda session: known(session, _id(call)).id)
    make_sheet = partial(sheet, job_id=job)
    return await sheets.download(call.desk.database, make_sheet, name=f"bulk-{job}", form=form)


async def start(call: Call, body: Reasoned) -> BulkAnswer:
    """Answer ``POST /admin/api/bulk/{id}/start``."""
    cause = call.cause(body.reason)

    def use_case(session: Session) -> BulkAnswer:
        job = jobs.start(
            session, _id(call), actor=call.actor, approval_above=_above(call), cause=cause, now=call.now
        )  # fmt: skip
        return answer(session, job, above=_above(call), now=call.now)

    return await call.write(use_case)


def _decide(decide: Callable[..., BulkJob]) -> Callable[[Call, Reasoned], Any]:
    async def handler(call: Call, body: Reasoned) -> BulkAnswer:
        cause = call.cause(body.reason)

        def use_case(session: Session) -> BulkAnswer:
            job = decide(session, _id(call), actor=call.actor, cause=cause, now=call.now)
            return answer(session, job, above=_above(call), now=call.now)

        return await call.write(use_case)

    return handler


def sheet(session: Session, job_id: str) -> Sheet:
    """Return every line of a job as a sheet."""
    found = store.all_rows(session, job_id)
    return Sheet(_HEADINGS, ([getattr(row, name) for name in _HEADINGS] for row in found))


def answer(session: Session, job: BulkJob, *, above: int, now: datetime) -> BulkAnswer:
    """Return a job with its counts."""
    planned, outcomes = store.count(session, job.id)
    return BulkAnswer(
        id=job.id, action=job.action, until=job.until, reason=job.reason, state=job.state, created_at=job.created_at,
        created_by=job.created_by, listed_at=job.listed_at, lines=job.total, licenses=job.licenses,
        needs_approval=jobs.needs_approval(session, job, above=above, now=now), started_at=job.started_at,
        decided_by=job.decided_by, decided_at=job.decided_at, decision=job.decision, ended_at=job.ended_at,
        done=job.cursor, changed=job.changed, planned=dict(planned), outcomes=dict(outcomes),
    )  # fmt: skip


def row_answer(row: BulkRow) -> BulkRowAnswer:
    """Return a line as an answer."""
    return BulkRowAnswer(
        line=row.line, given=row.given, license_id=row.license_id, code=row.code, planned=row.planned,
        planned_why=row.planned_why, outcome=row.outcome, why=row.why, done_at=row.done_at,
    )  # fmt: skip


def _summary(job: BulkJob) -> BulkSummary:
    return BulkSummary(
        id=job.id, action=job.action, state=job.state, reason=job.reason, created_at=job.created_at,
        created_by=job.created_by, lines=job.total, licenses=job.licenses, done=job.cursor, changed=job.changed,
        ended_at=job.ended_at,
    )  # fmt: skip


def _id(call: Call) -> str:
    return str(call.request.path_params["id"])


def _above(call: Call) -> int:
    return call.desk.settings.bulk_approval_above


def known(session: Session, job_id: str) -> BulkJob:
    """Return a job that there is.

    Raises:
        NotFoundError: There is none with this id.
    """
    job = store.job(session, job_id) if job_id.isascii() and job_id.isalnum() else None
    if job is None:
        raise NotFoundError("There is no such job.")
    return job


def _word(text: str | None, words: type[Word]) -> Word | None:
    """Read one of a few words; None where there is none."""
    if text is None:
        return None
    try:
        return words(text)
    except ValueError:
        raise InvalidRequestError(f"Only one of {', '.join(words)} can be asked for.") from None


def _numbered(window: Window) -> Window:
    if window.after is not None:
        text = window.after[0]
        if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
            raise InvalidRequestError("after is no cursor of this list.", action="Begin at the first page.")
    return window
