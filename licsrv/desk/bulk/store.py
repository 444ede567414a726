"""The SQL of bulk work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, insert, or_, select, update
from sqlmodel import Session, col

from licsrv.audit import Action
from licsrv.audit.tables import AuditEntry
from licsrv.desk.bulk.rules import JobState, Outcome
from licsrv.desk.bulk.tables import BulkJob, BulkRow
from licsrv.desk.parameters import number_after
from licsrv.licensing.tables import License
from licsrv.platform.db import SLICE, delete_slice, execute, is_member, table_of
from licsrv.platform.paging import Window

_jobs, _rows, _licenses = table_of(BulkJob).c, table_of(BulkRow).c, table_of(License).c
_FRESH = {"populate_existing": True}
_FACTS = (
    _licenses.id, _licenses.code, _licenses.activated_at, _licenses.provisional_until, _licenses.refused_reason,
    _licenses.expires_at, _licenses.grace_until, _licenses.frozen_at, _licenses.revoked_at, _licenses.revoked_reason,
    _licenses.released_at, _licenses.maintenance_until, _licenses.source, _licenses.created_at, _licenses.product_id,
    _licenses.customer, _licenses.device_limit, _licenses.places_taken, _licenses.features,
)  # fmt: skip
_BY_CODE = select(*_FACTS).where(is_member(_licenses.code, "names"))
_BY_ID = select(*_FACTS).where(is_member(_licenses.id, "names"))
_ADD_ROWS = insert(table_of(BulkRow))
_NEXT = (
    select(_rows.number, _rows.license_id)
    .where(
        _rows.job_id == bindparam("of_job"),
        _rows.number > bindparam("after"),
        _rows.planned.not_in([Outcome.UNKNOWN, Outcome.REPEATED, Outcome.UNREADABLE]),
    )
    .order_by(_rows.number)
    .limit(bindparam("most"))
)
# The bounds say nothing new, but with them the database reads a piece of the list's index; without, PostgreSQL read the
# whole list for every group while it had no statistics of it (measured, see docs/performance.md).
_SETTLE = (
    update(table_of(BulkRow))
    .where(
        _rows.job_id == bindparam("of_job"),
        _rows.number.between(bindparam("first"), bindparam("last")),
        _rows.number.in_(bindparam("numbers", expanding=True)),
    )
    .values(outcome=bindparam("became"), why=bindparam("because"), done_at=bindparam("at"))
)
KEPT = timedelta(days=400)


def having_codes(session: Session, codes: Iterable[str]) -> Mapping[str, Any]:
    """Return the facts of the licenses that have exactly these codes, by the code."""
    return {row.code: row for row in execute(session, _BY_CODE, {"names": json.dumps(list(codes))})}


def having_ids(session: Session, ids: Iterable[str]) -> Mapping[str, Any]:
    """Return the facts of the licenses that have these ids, by the id."""
    return {row.id: row for row in execute(session, _BY_ID, {"names": json.dumps(list(ids))})}


def job(session: Session, job_id: str) -> BulkJob | None:
    """Return a job, without a lock."""
    return session.get(BulkJob, job_id, populate_existing=True)


def job_for_update(session: Session, job_id: str) -> BulkJob | None:
    """Return a job, locked until the end of the transaction."""
    query = select(BulkJob).where(col(BulkJob.id) == job_id).with_for_update()
    return session.scalars(query.execution_options(**_FRESH)).one_or_none()


def jobs(session: Session, window: Window, *, state: JobState | None = None) -> Sequence[BulkJob]:
    """Return jobs, newest first."""
    query = select(BulkJob).order_by(col(BulkJob.id).desc()).limit(window.fetched)
    if window.after is not None:
        query = query.where(col(BulkJob.id) < window.after[0])
    if state is not None:
        query = query.where(col(BulkJob.state) == str(state))
    return session.scalars(query).all()


def lock_checked(session: Session, maker: str) -> None:
    """Lock every job of a person that could be started, in one order, until the end of the transaction."""
    query = select(col(BulkJob.id)).where(col(BulkJob.maker) == maker, col(BulkJob.state) == str(JobState.CHECKED))
    session.execute(query.order_by(col(BulkJob.id)).with_for_update())


def started_alone(session: Session, maker: str, *, since: datetime, until: datetime, but: str = "") -> int:
    """Return on how many licenses a person started (other) jobs in that time without a second person."""
    query = select(func.coalesce(func.sum(col(BulkJob.licenses)), 0)).where(
        col(BulkJob.maker) == maker,
        col(BulkJob.started_at) > since,
        col(BulkJob.started_at) <= until,
        col(BulkJob.decided_by).is_(None),
        col(BulkJob.id) != but,
    )
    return int(session.scalar(query) or 0)


def was_requested_over_network(session: Session, job_id: str) -> bool:
    """Whether the audit knows the request by which a job was started."""
    query = select(col(AuditEntry.request_id)).where(
        col(AuditEntry.subject) == job_id, col(AuditEntry.action) == str(Action.BULK_REQUESTED)
    )
    return any(session.scalars(query))


def free_job(session: Session, owner: str, now: datetime) -> str | None:
    """Return the oldest running job that no other replica has."""
    is_free = or_(col(BulkJob.owner).is_(None), col(BulkJob.owner) == owner, col(BulkJob.lease_until) <= now)
    query = select(col(BulkJob.id)).where(
        col(BulkJob.state) == str(JobState.RUNNING), col(BulkJob.ended_at).is_(None), is_free
    )
    return session.scalars(query.order_by(col(BulkJob.id)).limit(1)).first()


def add_rows(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows of a list."""
    execute(session, _ADD_ROWS, list(rows))


def delete_rows(session: Session, job_id: str) -> None:
    """Forget the list of a job."""
    execute(session, delete(table_of(BulkRow)).where(_rows.job_id == job_id))


def next_rows(session: Session, job_id: str, after: int, limit: int) -> Sequence[Any]:
    """Return the numbers and licenses of the next rows that are to be carried out."""
    found: Sequence[Any] = execute(session, _NEXT, {"of_job": job_id, "after": after, "most": limit}).all()
    return found


def settle(session: Session, job_id: str, numbers: Sequence[int], outcome: Outcome, why: str, *, now: datetime) -> None:
    """Note that the same became of rows, with one statement for all."""
    bounds = {"first": min(numbers), "last": max(numbers)}
    values = {"became": str(outcome), "because": why, "at": now}
    execute(session, _SETTLE, {"of_job": job_id, "numbers": list(numbers), **bounds, **values})


def rows(session: Session, job_id: str, window: Window, outcomes: Sequence[Outcome] = ()) -> Sequence[BulkRow]:
    """Return rows in the order of the list; with ``outcomes`` only those that are, or are planned as, one of them."""
    query = select(BulkRow).where(col(BulkRow.job_id) == job_id).order_by(col(BulkRow.number)).limit(window.fetched)
    query = query.where(col(BulkRow.number) > number_after(window, first=0))
    if outcomes:
        query = query.where(func.coalesce(BulkRow.outcome, BulkRow.planned).in_([str(word) for word in outcomes]))
    return session.scalars(query).all()


def all_rows(session: Session, job_id: str) -> Iterable[Any]:
    """Return every row in the order of the list, a few at a time."""
    query = select(table_of(BulkRow)).where(_rows.job_id == job_id).order_by(_rows.number)
    return session.execute(query.execution_options(yield_per=1000))


def count(session: Session, job_id: str) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """Return how many rows are planned as what, and of how many what has become."""
    query = (
        select(_rows.planned, _rows.outcome, func.count()).where(_rows.job_id == job_id)
    ).group_by(_rows.planned, _rows.outcome)  # fmt: skip
    planned: dict[str, int] = {}
    became: dict[str, int] = {}
    for plan, outcome, number in session.execute(query):
        planned[plan] = planned.get(plan, 0) + number
        if outcome is not None:
            became[outcome] = became.get(outcome, 0) + number
    return planned, became


def prune(session: Session, *, before: datetime) -> int:
    """Forget some rows of jobs that were over before a moment, and of drafts as old; the jobs once no row is left.

    Returns:
        How many rows were deleted; :data:`licsrv.platform.db.SLICE` when there may be more.
    """
    old = and_(
        _jobs.created_at < before, or_(_jobs.ended_at < before, _jobs.state.in_([JobState.DRAFT, JobState.CHECKED]))
    )
    deleted = delete_slice(session, BulkRow, _rows.job_id.in_(select(_jobs.id).where(old)))
    if deleted < SLICE:
        session.execute(delete(table_of(BulkJob)).where(old))
    return deleted
