"""Use cases of people: a job is created, gets its list, is started, approved, rejected or stopped.

A list and its dry run are one thing: each line is looked up when it is uploaded, and what would become of it is kept
with it. The approver sees that, and it cannot change afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.bulk import rules, store
from licsrv.desk.bulk.rules import FOR_LISTS, JobState, Outcome, Task, Verdict
from licsrv.desk.bulk.tables import BulkJob
from licsrv.desk.bulk.uploaded_list import Entry
from licsrv.desk.licenses import store as singles
from licsrv.desk.licenses.actions.answers import TermsRequest, members_of
from licsrv.desk.licenses.actions.service import catalogue_for, floating_for
from licsrv.desk.licenses.singles import COUNTED
from licsrv.errors import ConflictError, ForbiddenError, NotFoundError
from licsrv.licensing import spellings
from licsrv.licensing import store as licensing
from licsrv.licensing.own_sales import AS_BEFORE
from licsrv.licensing.spellings import Meant
from licsrv.people.actors import Actor, Via, claimed_in
from licsrv.people.roles import Permission
from licsrv.platform.ids import is_id, new_id

_OVER = frozenset({JobState.FINISHED, JobState.REJECTED, JobState.STOPPED})


def make(session: Session, task: Task, *, actor: Actor, cause: Cause, now: datetime) -> BulkJob:
    """Make a job without a list.

    Raises:
        ForbiddenError: The actor may not do this to a single license either.
    """
    actor.require(task.action.permission)
    job = BulkJob(
        id=new_id(now),
        action=task.action.name,
        until=task.until,
        terms=dict(members_of(task.terms)) if task.terms.named else None,
        reason=cause.reason,
        state=JobState.DRAFT,
        created_at=now,
        created_by=actor.name,
        maker=actor.person,
    )
    session.add(job)
    session.flush()
    return job


def begin_list(session: Session, job_id: str, *, actor: Actor, now: datetime) -> Check:
    """Delete the list of a job before a new one; return the dry run of the new one.

    Raises:
        ConflictError: The job was started.
        ForbiddenError: It belongs to another person.
    """
    job = _own(session, job_id, actor)
    _require(job, JobState.DRAFT, JobState.CHECKED)
    store.delete_rows(session, job.id)
    job.state, job.total, job.licenses, job.listed_at = JobState.DRAFT, 0, 0, None
    job.upload = new_id(now)
    session.add(job)
    return Check(job.id, job.upload, informed(session, task_of(job)), now=now)


def task_of(job: BulkJob) -> Task:
    """Return what a job does to each license."""
    terms = TermsRequest.model_validate(job.terms).terms() if job.terms is not None else AS_BEFORE
    return Task(FOR_LISTS[job.action], job.until, terms)


def informed(session: Session, task: Task) -> Task:
    """Return a task with what its action has to know of the products."""
    catalogue, floating = catalogue_for(session, task.action), floating_for(session, task.action)
    return replace(task, catalogue=catalogue, floating=floating)


@dataclass(frozen=True)
class _Found:
    """What a line of a list leads to: the license that it means, or why it means none."""

    license: Any
    meant: Meant


_NO_MEANING = Meant()
_NOTHING = _Found(None, _NO_MEANING)


def _found(session: Session, names: Set[str]) -> Mapping[str, _Found]:
    """Look up the lines of a list: a code exactly, then an id, then a code as people type it."""
    rows = store.having_codes(session, names)
    ids = store.having_ids(session, [spellings.clean(name) for name in names if name not in rows])
    found = {name: rows.get(name) or ids.get(spellings.clean(name)) for name in names}
    meant = licensing.codes_meant(session, [name for name, row in found.items() if row is None])
    typed = store.having_codes(session, [one.code for one in meant.values() if one.code is not None])
    return {
        name: _Found(row, _NO_MEANING) if row is not None else _Found(typed.get(meant[name].code or ""), meant[name])
        for name, row in found.items()
    }


def _why_unknown(meant: Meant) -> str:
    if meant.is_ambiguous:
        return "Several licenses may be meant: write the code exactly."
    if meant.look_alike is not None:
        return f"There is no license with this code or id. Did you mean {meant.look_alike}?"
    return "There is no license with this code or id."


class Check:
    """The dry run: says of each line of a list, in turn, which license it is and what would become of it."""

    def __init__(self, job_id: str, upload: str, task: Task, *, now: datetime) -> None:
        self.job_id = job_id
        self.upload = upload
        self._task = task
        self._now = now
        self._seen: set[str] = set()
        self.total = 0

    def rows(self, session: Session, entries: Sequence[Entry]) -> list[dict[str, Any]]:
        """Return the next lines as rows of the job."""
        found = _found(session, {entry.name for entry in entries if entry.name})
        return [self._row(entry, found.get(entry.name, _NOTHING)) for entry in entries]

    def _row(self, entry: Entry, found: _Found) -> dict[str, Any]:
        license, verdict = found.license, self._verdict(entry, found)
        self.total += 1
        return {
            "job_id": self.job_id,
            "number": self.total,
            "line": entry.line,
            "given": entry.given,
            "license_id": license.id if license is not None else None,
            "code": license.code if license is not None else "",
            "planned": str(verdict.outcome),
            "planned_why": verdict.why,
            "why": "",
        }

    def _verdict(self, entry: Entry, found: _Found) -> Verdict:
        license = found.license
        if not entry.name:
            return Verdict(Outcome.UNREADABLE, "This is neither a code nor an id.")
        if license is None:
            return Verdict(Outcome.UNKNOWN, _why_unknown(found.meant))
        if license.id in self._seen:
            return Verdict(Outcome.REPEATED, "An earlier line names the same license.")
        self._seen.add(license.id)
        return rules.decide(self._task, license, now=self._now)

    @property
    def licenses(self) -> int:
        """How many licenses the list names."""
        return len(self._seen)


def keep_rows(session: Session, check: Check, rows: Sequence[dict[str, Any]]) -> None:
    """Write rows of a list that is being uploaded.

    Raises:
        ConflictError: Another list of the job was uploaded meanwhile.
    """
    job = _uploading(session, check)
    job.total += len(rows)
    session.add(job)
    store.add_rows(session, rows)


def finish_list(session: Session, check: Check, *, now: datetime) -> BulkJob:
    """End the upload of a list: its dry run is complete.

    Raises:
        ConflictError: Another list of the job was uploaded meanwhile.
    """
    job = _uploading(session, check)
    job.state, job.licenses, job.listed_at = JobState.CHECKED, check.licenses, now
    session.add(job)
    session.flush()
    return job


def start(
    session: Session, job_id: str, *, actor: Actor, approval_above: int, cause: Cause, now: datetime
) -> BulkJob:  # fmt: skip
    """Start a job, or request approval where it is large; again changes nothing.

    Raises:
        ConflictError: It has no list, or is closed.
        ForbiddenError: It belongs to another person, or the actor may no longer do this.
    """
    store.lock_checked(session, actor.person)  # one after the other, or two pieces of a list do not see each other
    job = _own(session, job_id, actor)
    actor.require(task_of(job).action.permission)
    if job.state in {JobState.WAITING, JobState.RUNNING}:
        return job
    _require(job, JobState.CHECKED)
    waits = needs_approval(session, job, above=approval_above, now=now)
    job.state = JobState.WAITING if waits else JobState.RUNNING
    job.started_at = None if waits else now
    _note(session, job, Action.BULK_REQUESTED if waits else Action.BULK_STARTED, cause=cause, now=now)
    return job


def needs_approval(session: Session, job: BulkJob, *, above: int, now: datetime) -> bool:
    """Whether a job needs, or needed, the approval of a second person."""
    at = job.started_at or now
    since = at - COUNTED
    before = store.started_alone(session, job.maker, since=since, until=at, but=job.id)
    before += singles.single_revocations(session, job.maker, since=since, until=at)
    return rules.needs_approval(job.licenses, before=before, above=above)


def approve(
    session: Session, job_id: str, *, actor: Actor, cause: Cause, now: datetime, wait: timedelta = timedelta()
) -> BulkJob:
    """Approve another person's job; it starts.

    Args:
        wait: For how long a new approver, or one with new credentials, cannot approve.

    Raises:
        ConflictError: It does not wait for this.
        ForbiddenError: The actor made it, is no person, is new, or may not do it to a single license.
    """
    actor.require_seasoned(wait, now=now)
    job = _decided(session, job_id, actor, cause=cause, now=now)
    actor.require(task_of(job).action.permission)
    job.state, job.started_at = JobState.RUNNING, now
    _note(session, job, Action.BULK_APPROVED, cause=cause, now=now)
    return job


def reject(session: Session, job_id: str, *, actor: Actor, cause: Cause, now: datetime) -> BulkJob:
    """Reject another person's job; none of it is carried out.

    Raises:
        ConflictError: It does not wait for this.
        ForbiddenError: The actor made it (they can stop it), or is no person.
    """
    job = _decided(session, job_id, actor, cause=cause, now=now)
    job.state, job.ended_at = JobState.REJECTED, now
    _note(session, job, Action.BULK_REJECTED, cause=cause, now=now)
    return job


def stop(session: Session, job_id: str, *, actor: Actor, cause: Cause, now: datetime) -> BulkJob:
    """Stop a job; changes that were made remain, and its runner notices after the current group. Again: no change.

    Raises:
        ConflictError: It is already closed.
        ForbiddenError: It belongs to another person, and the actor may not approve bulk jobs.
    """
    job = _job(session, job_id)
    if job.state == JobState.STOPPED:
        return job
    if not _is_maker(job, actor):
        actor.require(Permission.APPROVE_BULK)
    if job.state in _OVER:
        raise ConflictError("The job is already closed.", state=job.state)
    job.state, job.ended_at, job.owner, job.lease_until = JobState.STOPPED, now, None, None
    job.decision = cause.reason
    _note(session, job, Action.BULK_STOPPED, cause=cause, now=now)
    return job


def _decided(session: Session, job_id: str, actor: Actor, cause: Cause, now: datetime) -> BulkJob:
    job = _job(session, job_id)
    _require(job, JobState.WAITING)
    if actor.via is Via.TOKEN and not actor.account:
        raise ForbiddenError("A second person has to decide, and this token belongs to no person.")
    if _may_be_maker(job, actor):
        raise ForbiddenError(
            "The person who created a job cannot decide about it.",
            action="Ask another person who may approve bulk jobs.",
        )
    if actor.via is Via.TERMINAL and _was_made_at_a_terminal_unknown(session, job):
        raise ForbiddenError(
            "An older version made this job at a terminal, and did not note whose.",
            action="Let a person approve it in a session of the desk, or prepare it again.",
        )
    job.decided_by, job.decided_at, job.decision = actor.name, now, cause.reason
    return job


def _uploading(session: Session, check: Check) -> BulkJob:
    job = _job(session, check.job_id)
    if job.state != JobState.DRAFT or job.upload != check.upload:
        raise ConflictError("Another list of this job was uploaded meanwhile.", action="Check which list it has.")
    return job


def _own(session: Session, job_id: str, actor: Actor) -> BulkJob:
    job = _job(session, job_id)
    if not _is_maker(job, actor):
        raise ForbiddenError("This job belongs to another person.", action="Create your own job.")
    return job


def _is_maker(job: BulkJob, actor: Actor) -> bool:
    return job.maker == actor.person


def _may_be_maker(job: BulkJob, actor: Actor) -> bool:
    """Whether the actor is the maker; a name claimed at the terminal counts on either side."""
    makers = {job.maker, claimed_in(job.created_by)} - {""}
    return not makers.isdisjoint({actor.person, actor.claimed})


def _was_made_at_a_terminal_unknown(session: Session, job: BulkJob) -> bool:
    """Whether a job may be of a terminal whose user id is not known, as versions before user ids were noted made them.

    Those named a person at the terminal as they do one in a session. What comes in over the network has a request id.
    """
    return job.created_by.startswith("staff:") and not store.was_requested_over_network(session, job.id)


def _job(session: Session, job_id: str) -> BulkJob:
    job = store.job_for_update(session, job_id) if is_id(job_id) else None
    if job is None:
        raise NotFoundError("There is no such job.")
    return job


def _require(job: BulkJob, *states: JobState) -> None:
    if job.state not in states:
        raise ConflictError(f"The job is {job.state}; it would have to be {' or '.join(states)}.", state=job.state)


def _note(session: Session, job: BulkJob, action: Action, cause: Cause, now: datetime) -> None:
    detail = {"action": job.action, "lines": job.total, "licenses": job.licenses, "done": job.cursor}
    if job.until is not None:
        detail["until"] = job.until.isoformat()
    session.add(job)
    session.flush()
    audit.record(session, action, subject=job.id, cause=cause, detail=detail, now=now)
