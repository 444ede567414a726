"""Bulk jobs as API, console and command line show them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.bulk import jobs as use_cases
from licsrv.desk.bulk import store
from licsrv.desk.bulk.rules import JobState, Outcome
from licsrv.desk.bulk.tables import BulkJob, BulkRow
from licsrv.desk.fields import Listing
from licsrv.desk.reports.sheets import Sheet
from licsrv.errors import NotFoundError
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.ids import is_id
from licsrv.platform.paging import Window

_HEADINGS = ("line", "given", "license_id", "code", "planned", "planned_why", "outcome", "why", "done_at")


class BulkAnswer(Body):
    """A job, and how far it is.

    ``planned`` and ``outcomes`` count its lines by what the dry run says and by what has become of them.
    """

    id: str
    action: str
    until: datetime | None
    terms: dict[str, Any] | None = Field(description="what set_terms sets")
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


class BulkList(Listing[BulkSummary]):
    """A page of jobs, newest first."""


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


class BulkRowList(Listing[BulkRowAnswer]):
    """A page of lines, in the order of the list."""


def known(session: Session, job_id: str) -> BulkJob:
    """Return a job that there is.

    Raises:
        NotFoundError: There is none with this id.
    """
    job = store.job(session, job_id) if is_id(job_id) else None
    if job is None:
        raise NotFoundError("There is no such job.")
    return job


def jobs(session: Session, window: Window, *, state: JobState | None = None) -> BulkList:
    """Return the jobs, newest first."""
    found = store.jobs(session, window, state=state)
    return BulkList.of(paging.page_of(found, window, keys=lambda job: (job.id,), item=_summary))


def rows(session: Session, job: BulkJob, window: Window, *, outcomes: tuple[Outcome, ...]) -> BulkRowList:
    """Return the lines of a job, in the order of its list."""
    found = store.rows(session, job.id, window, outcomes=outcomes)
    return BulkRowList.of(paging.page_of(found, window, keys=lambda row: (str(row.number),), item=_line))


def answer(session: Session, job: BulkJob, *, above: int, now: datetime) -> BulkAnswer:
    """Return a job with its counts."""
    planned, outcomes = store.count(session, job.id)
    return BulkAnswer(
        id=job.id, action=job.action, until=job.until, terms=job.terms, reason=job.reason, state=job.state,
        created_at=job.created_at, created_by=job.created_by, listed_at=job.listed_at, lines=job.total,
        licenses=job.licenses,
        needs_approval=use_cases.needs_approval(session, job, above=above, now=now), started_at=job.started_at,
        decided_by=job.decided_by, decided_at=job.decided_at, decision=job.decision, ended_at=job.ended_at,
        done=job.cursor, changed=job.changed, planned=dict(planned), outcomes=dict(outcomes),
    )  # fmt: skip


def sheet(session: Session, job_id: str) -> Sheet:
    """Return every line of a job as a sheet."""
    found = store.all_rows(session, job_id)
    return Sheet(_HEADINGS, ([getattr(row, name) for name in _HEADINGS] for row in found))


def _line(row: BulkRow) -> BulkRowAnswer:
    return BulkRowAnswer.model_validate(row, from_attributes=True)


def _summary(job: BulkJob) -> BulkSummary:
    return BulkSummary(
        id=job.id, action=job.action, state=job.state, reason=job.reason, created_at=job.created_at,
        created_by=job.created_by, lines=job.total, licenses=job.licenses, done=job.cursor, changed=job.changed,
        ended_at=job.ended_at,
    )  # fmt: skip
