"""Use cases that carry a job out: it is claimed under a lease, and executed group by group.

A group is one transaction: licenses, audit, revocation list, what became of each row, and how far the job is. So a
process that dies leaves whole groups behind, and the next one repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.bulk import rules, store
from licsrv.desk.bulk.jobs import informed, task_of
from licsrv.desk.bulk.rules import JobState, Outcome, Task, Verdict
from licsrv.desk.bulk.tables import BulkJob
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
    """Claim the oldest running job without a living owner; None when there is none.

    Returns:
        The job's id.
    """
    found = store.free_job(session, owner, now)
    job = store.job_for_update(session, found) if found is not None else None
    if job is None or job.state != JobState.RUNNING or not _is_free(job, owner, now):  # another replica was faster
        return None
    job.owner, job.lease_until = owner, now + LEASE
    session.add(job)
    return job.id


def _is_free(job: BulkJob, owner: str, now: datetime) -> bool:
    return job.owner in {None, owner} or job.lease_until is None or job.lease_until <= now


def let_go(session: Session, job_id: str, owner: str) -> None:
    """Give a job back, so that another replica can continue at once."""
    job = store.job_for_update(session, job_id)
    if job is not None and job.owner == owner:
        job.owner = job.lease_until = None
        session.add(job)


def carry_out(session: Session, job_id: str, *, owner: str, most: int = GROUP, now: datetime) -> Progress | None:
    """Carry out the next rows of a job; None, and nothing is done, when another replica has it or it has ended."""
    job = _mine(session, job_id, owner)
    if job is None:
        return None
    rows = store.next_rows(session, job.id, job.cursor, limit=most)
    if not rows:
        return _finish(session, job, now)

    licenses = _locked(session, rows)
    task = informed(session, task_of(job))
    verdicts = {row.number: _verdict(task, licenses.get(row.license_id), now) for row in rows}

    chosen = [licenses[row.license_id] for row in rows if verdicts[row.number].outcome is Outcome.CHANGE]
    if chosen:
        task.action.apply(session, chosen, task.given, cause=_cause(job), now=now)
    return _note(session, job, verdicts, now=now)


def skip(session: Session, job_id: str, *, owner: str, now: datetime) -> Progress | None:
    """Record that the next row failed, and move past it."""
    job = _mine(session, job_id, owner)
    rows = store.next_rows(session, job.id, job.cursor, limit=1) if job is not None else []
    if job is None or not rows:
        return None
    verdict = Verdict(Outcome.FAILED, "An internal error occurred; see the log.")
    return _note(session, job, {rows[0].number: verdict}, now=now)


def _mine(session: Session, job_id: str, owner: str) -> BulkJob | None:
    job = store.job_for_update(session, job_id)
    return job if job is not None and job.state == JobState.RUNNING and job.owner == owner else None


def _locked(session: Session, rows: Sequence[Any]) -> Mapping[str, License]:
    ids = [row.license_id for row in rows]
    return {license.id: license for license in licensing_store.licenses_by_ids_for_update(session, ids)}


def _verdict(task: Task, license: License | None, now: datetime) -> Verdict:
    if license is None:
        return Verdict(Outcome.UNKNOWN, "The license no longer exists.")
    return rules.decide(task, license, now=now)


def _cause(job: BulkJob) -> Cause:
    return Cause(job.created_by, f"bulk-{job.id}", job.reason)


def _note(session: Session, job: BulkJob, verdicts: Mapping[int, Verdict], *, now: datetime) -> Progress:
    alike: dict[Verdict, list[int]] = {}
    for number, verdict in verdicts.items():
        became = Verdict(Outcome.CHANGED) if verdict.outcome is Outcome.CHANGE else verdict
        alike.setdefault(became, []).append(number)
    for became, numbers in alike.items():
        store.settle(session, job.id, numbers, outcome=became.outcome, why=became.why, now=now)
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
