"""What bulk work would do to a license and why not, and which way a job goes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Protocol

from licsrv.errors import InvalidRequestError
from licsrv.licensing.changes import LONGEST_GRACE
from licsrv.licensing.lifecycle import LicenseFacts
from licsrv.people.roles import Permission

_EARLIEST, _LATEST = datetime(2000, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)
COUNTED = timedelta(days=1)
"""How far back jobs count together for the approval limit."""


class BulkAction(StrEnum):
    """What is done to each license of a list."""

    REVOKE = "revoke"
    REINSTATE = "reinstate"
    EXTEND_GRACE = "extend_grace"
    SET_MAINTENANCE = "set_maintenance"


NEEDED: Mapping[BulkAction, Permission] = {
    BulkAction.REVOKE: Permission.CHANGE_LICENSES,
    BulkAction.REINSTATE: Permission.CHANGE_LICENSES,
    BulkAction.EXTEND_GRACE: Permission.EXTEND_GRACE,
    BulkAction.SET_MAINTENANCE: Permission.CHANGE_LICENSES,
}
"""What somebody must hold for an action besides the permission to start bulk work: nobody gets further by a list."""
_WITH_UNTIL = frozenset({BulkAction.EXTEND_GRACE, BulkAction.SET_MAINTENANCE})


class JobState(StrEnum):
    """Where a job stands.

    ::

        DRAFT -> CHECKED -> RUNNING -> FINISHED
                    |          ^
                    +-> WAITING (for a second person) -> REJECTED
        any that is not over -> STOPPED
    """

    DRAFT = "DRAFT"
    CHECKED = "CHECKED"
    WAITING = "WAITING"
    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    REJECTED = "REJECTED"
    STOPPED = "STOPPED"


class Outcome(StrEnum):
    """What becomes of a row: CHANGE is a plan, CHANGED and FAILED are what happened, the others are either."""

    CHANGE = "CHANGE"
    CHANGED = "CHANGED"
    UNCHANGED = "UNCHANGED"
    REFUSED = "REFUSED"
    UNKNOWN = "UNKNOWN"
    REPEATED = "REPEATED"
    UNREADABLE = "UNREADABLE"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is planned for a row, or what became of it, and why."""

    outcome: Outcome
    why: str = ""


class Facts(LicenseFacts, Protocol):
    """The facts of a license that decide here."""

    @property
    def maintenance_until(self) -> datetime | None:
        """Until when its releases are covered, where it has an end of its own."""


@dataclass(frozen=True, slots=True)
class Task:
    """What is done to each license."""

    action: BulkAction
    until: datetime | None = None


def task_of(action: BulkAction, until: datetime | None, *, now: datetime) -> Task:
    """Return a task that makes sense.

    Raises:
        InvalidRequestError: A date is missing, superfluous or out of bounds.
    """
    if (until is None) == (action in _WITH_UNTIL):
        raise InvalidRequestError(f"{action} takes {'no date' if until is not None else 'a date: until'}.")
    if until is not None and not _EARLIEST <= until < _LATEST:
        raise InvalidRequestError("until is out of bounds.")
    if action is BulkAction.EXTEND_GRACE and until is not None and not now < until <= now + LONGEST_GRACE:
        raise InvalidRequestError(f"A grace ends in the future, within {LONGEST_GRACE.days} days.")
    return Task(action, until)


def needs_approval(licenses: int, *, before: int, above: int) -> bool:
    """Whether a second person has to agree to work on so many licenses.

    Args:
        before: On how many the same person has started work in the last :data:`COUNTED` without anybody's word: a long
            list in short pieces is a long list.
    """
    return before + licenses > above


def decide(task: Task, license: Facts, *, now: datetime) -> Verdict:
    """Return what a task means for a license at ``now``; the dry run and the work itself both ask here."""
    return _DECIDE[task.action](task, license, now)


def _revoke(_: Task, license: Facts, now: datetime) -> Verdict:
    if license.released_at is not None:
        return _RELEASED
    if license.revoked_at is not None:
        return Verdict(Outcome.UNCHANGED, f"Revoked already, {_day(license.revoked_at)}.")
    return _CHANGE


def _reinstate(_: Task, license: Facts, now: datetime) -> Verdict:
    return _CHANGE if license.revoked_at is not None else Verdict(Outcome.UNCHANGED, "It is not revoked.")


def _set_maintenance(task: Task, license: Facts, now: datetime) -> Verdict:
    if license.released_at is not None:
        return _RELEASED
    if license.maintenance_until == task.until:
        return Verdict(Outcome.UNCHANGED, "Its maintenance ends then already.")
    return Verdict(Outcome.CHANGE, f"Its maintenance ended {_day(license.maintenance_until)}.")


def _extend_grace(task: Task, license: Facts, now: datetime) -> Verdict:
    if license.released_at is not None:
        return _RELEASED
    if task.until is None or task.until <= now:
        return Verdict(Outcome.REFUSED, "The grace would be over already.")
    if license.expires_at is None or license.activated_at is None:
        return Verdict(Outcome.REFUSED, "It never expires, or was never confirmed.")
    if license.expires_at >= task.until:
        return Verdict(Outcome.UNCHANGED, f"It runs until {_day(license.expires_at)} anyway.")
    if license.grace_until is not None and license.grace_until >= task.until:
        return Verdict(Outcome.UNCHANGED, f"Its grace runs until {_day(license.grace_until)} already.")
    return Verdict(Outcome.CHANGE, f"It expires {_day(license.expires_at)}.")


_CHANGE = Verdict(Outcome.CHANGE)
_RELEASED = Verdict(Outcome.REFUSED, "It is released: it is gone for good.")
_DECIDE: Mapping[BulkAction, Callable[[Task, Facts, datetime], Verdict]] = {
    BulkAction.REVOKE: _revoke,
    BulkAction.REINSTATE: _reinstate,
    BulkAction.EXTEND_GRACE: _extend_grace,
    BulkAction.SET_MAINTENANCE: _set_maintenance,
}


def _day(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment is not None else "nowhere: it had no end of its own"
