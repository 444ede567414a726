"""The use cases of whoever carries a job out: it is taken under a lease, and worked off group by group.

A group is one transaction: licenses, audit, revocation list, what became of each row, and how far the job is. So a
process that dies leaves whole groups behind, and whoever goes on does nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.bulk import rules, store
from licsrv.desk.bulk.jobs import task_of
from licsrv.desk.bulk.rules import BulkAction, JobState, Outcome, Task, Verdict
from licsrv.desk.bulk.tables import BulkJob
from licsrv.licensing import changes
from licsrv.licensing import store as licensing_store
from licsrv.licensing.tables import License

GROUP = 400
LEASE = timedelta(seconds=60)


@dataclass(frozen=True)
class Progress:
    """How far a job is."""

    done: int
    total: int
    changed: int
    is_over: bool


def claim(session: Session, *, owner: str, now: datetime) -> str | None:
    """Take the oldest running job that nobody works on, from a dead owner too; None when there is none.

    Returns:
        The job's id.
    """
    found = store.free_job(session, owner, now)
    job = store.job_for_update(session, found) if found is not None else None
    if job is None or job.state != JobState.RUNNING or not _is_free(job, owner, now):  # somebody was faster
        return None
    job.owner, job.lease_until = owner, now + LEASE
    session.add(job)
    return job.id


def _is_free(job: BulkJob, owner: str, now: datetime) -> bool:
    return job.owner in {None, owner} or job.lease_until is None or job.lease_until <= now


def let_go(session: Session, job_id: str, owner: str) -> None:
    """Give a job back, so that another replica goes on at once."""
    job = store.job_for_update(session, job_id)
    if job is not None and job.owner == owner:
        job.owner = job.lease_until = None
        session.add(job)


def carry_out(session: Session, job_id: str, *, owner: str, most: int = GROUP, now: datetime) -> Progress | None:
    """Carry out the next rows of a job; None, and nothing is done, when it is not the owner's any more, or over."""
    job = _mine(session, job_id, owner)
    if job is None:
        return None
    rows = store.next_rows(session, job.id, job.cursor, most)
    if not rows:
        return _finish(session, job, now)

    licenses = _locked(session, rows)
    task = task_of(job)
    verdicts = {row.number: _verdict(task, licenses.get(row.license_id), now) for row in rows}

    chosen = [licenses[row.license_id] for row in rows if verdicts[row.number].outcome is Outcome.CHANGE]
    if chosen:
        _APPLY[task.action](session, chosen, task, _cause(job), now)
    return _note(session, job, verdicts, now)


def skip(session: Session, job_id: str, *, owner: str, now: datetime) -> Progress | None:
    """Note of the next row that it could not be carried out, and go on behind it."""
    job = _mine(session, job_id, owner)
    rows = store.next_rows(session, job.id, job.cursor, 1) if job is not None else []
    if job is None or not rows:
        return None
    verdict = Verdict(Outcome.FAILED, "Something went wrong on our side; the log says what.")
    return _note(session, job, {rows[0].number: verdict}, now)


def _mine(session: Session, job_id: str, owner: str) -> BulkJob | None:
    job = store.job_for_update(session, job_id)
    return job if job is not None and job.state == JobState.RUNNING and job.owner == owner else None


def _locked(session: Session, rows: Sequence[Any]) -> Mapping[str, License]:
    ids = [row.license_id for row in rows]
    return {license.id: license for license in licensing_store.licenses_by_ids_for_update(session, ids)}


def _verdict(task: Task, license: License | None, now: datetime) -> Verdict:
    if license is None:
        return Verdict(Outcome.UNKNOWN, "The license is not there any more.")
    return rules.decide(task, license, now=now)


def _cause(job: BulkJob) -> Cause:
    return Cause(job.created_by, f"bulk-{job.id}", job.reason)


def _note(session: Session, job: BulkJob, verdicts: Mapping[int, Verdict], now: datetime) -> Progress:
    alike: dict[Verdict, list[int]] = {}
    for number, verdict in verdicts.items():
        alike.setdefault(verdict, []).append(number)
    for verdict, numbers in alike.items():
        outcome = Outcome.CHANGED if verdict.outcome is Outcome.CHANGE else verdict.outcome
        store.settle(session, job.id, numbers, outcome, verdict.why, now=now)
    job.cursor = max(verdicts)
    job.changed += sum(verdict.outcome is Outcome.CHANGE for verdict in verdicts.values())
    job.lease_until = now + LEASE
    session.add(job)
    session.flush()
    return Progress(job.cursor, job.total, job.changed, is_over=False)


def _finish(session: Session, job: BulkJob, now: datetime) -> Progress:
    job.state, job.ended_at, job.cursor = JobState.FINISHED, now, job.total
    job.owner = job.lease_until = None
    session.add(job)
    session.flush()
    detail = {"action": job.action, "lines": job.total, "licenses": job.licenses, "changed": job.changed}
    audit.record(session, Action.BULK_FINISHED, subject=job.id, cause=_cause(job), detail=detail, now=now)
    return Progress(job.total, job.total, job.changed, is_over=True)


_Apply = Callable[[Session, Sequence[License], Task, Cause, datetime], None]


def _revoke(session: Session, licenses: Sequence[License], _: Task, cause: Cause, now: datetime) -> None:
    changes.revoke_many(session, licenses, cause=cause, now=now)


def _reinstate(session: Session, licenses: Sequence[License], _: Task, cause: Cause, now: datetime) -> None:
    changes.reinstate_many(session, licenses, cause=cause, now=now)


def _extend_grace(session: Session, licenses: Sequence[License], task: Task, cause: Cause, now: datetime) -> None:
    for license in licenses:
        changes.change_grace(session, license, task.until, cause=cause, now=now)


def _set_maintenance(session: Session, licenses: Sequence[License], task: Task, cause: Cause, now: datetime) -> None:
    for license in licenses:
        changes.change_maintenance(session, license, task.until, cause=cause, now=now)


_APPLY: Mapping[BulkAction, _Apply] = {
    BulkAction.REVOKE: _revoke,
    BulkAction.REINSTATE: _reinstate,
    BulkAction.EXTEND_GRACE: _extend_grace,
    BulkAction.SET_MAINTENANCE: _set_maintenance,
}
