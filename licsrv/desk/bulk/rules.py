"""What may be done to a list, what becomes of each line, and which way a job goes. Pure.

What an action means for a license is decided by the action itself, for a list as for a single license.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from licsrv.desk.licenses.actions import ACTIONS
from licsrv.desk.licenses.actions.staff_action import Change, Facts, Given, Refused, StaffAction, Takes
from licsrv.errors import InvalidRequestError
from licsrv.licensing.own_sales import AS_BEFORE, Catalogue, NewTerms
from licsrv.platform import days

FOR_LISTS: Mapping[str, StaffAction] = {name: action for name, action in ACTIONS.items() if action.is_for_lists}


LONGEST_WHY = 200


class JobState(StrEnum):
    """How far a job is.

    ::

        DRAFT -> CHECKED -> RUNNING -> FINISHED
                    |          ^
                    +-> WAITING (for a second person) -> REJECTED
        any that is not closed -> STOPPED
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


@dataclass(frozen=True, slots=True)
class Task:
    """What is done to each license."""

    action: StaffAction
    until: datetime | None = None
    terms: NewTerms = AS_BEFORE
    catalogue: Catalogue = field(default_factory=dict)
    floating: frozenset[str] = frozenset()

    @property
    def given(self) -> Given:
        """What the action is given."""
        return Given(until=self.until, terms=self.terms, catalogue=self.catalogue, floating=self.floating)


def task_of(name: str, until: datetime | None, *, terms: NewTerms | None = None, now: datetime) -> Task:
    """Return a task that makes sense.

    Raises:
        InvalidRequestError: There is no such action for lists; a date is missing, superfluous or out of bounds, or
            terms are.
    """
    action = FOR_LISTS.get(name)
    if action is None:
        raise InvalidRequestError(f"Only one of {', '.join(FOR_LISTS)} can be done to a list.")
    if until is None and Takes.UNTIL in action.takes:
        raise InvalidRequestError(f"{name} takes a date: until.")
    if until is not None and Takes.UNTIL not in action.takes:
        raise InvalidRequestError(f"{name} takes no date.")
    if until is not None and not days.EARLIEST <= until < days.LATEST:
        raise InvalidRequestError("until is out of bounds.")
    if terms is not None and Takes.TERMS not in action.takes:
        raise InvalidRequestError(f"{name} takes no terms.")
    task = Task(action, until, terms or AS_BEFORE)
    problem = action.problem(task.given, now=now)
    if problem is not None:
        raise problem
    return task


def needs_approval(licenses: int, *, before: int, above: int) -> bool:
    """Whether a second person has to approve work on so many licenses.

    Args:
        before: On how many the same person has worked alone in the last day, single revocations included: a long list
            in short pieces is a long list.
    """
    return before + licenses > above


def decide(task: Task, license: Facts, *, now: datetime) -> Verdict:
    """Return what a task means for a license at ``now``, as the action decides it, for the dry run and the work."""
    decision = task.action.decide(license, task.given, now=now)
    if isinstance(decision, Change):
        return Verdict(Outcome.CHANGE, _kept(decision.note.en) if decision.note is not None else "")
    if isinstance(decision, Refused):
        return Verdict(Outcome.REFUSED, _kept(decision.refusal.detail))
    return Verdict(Outcome.UNCHANGED, _kept(decision.why.en))


def _kept(why: str) -> str:
    """Return as much of a sentence as a row keeps."""
    return why if len(why) <= LONGEST_WHY else f"{why[: LONGEST_WHY - 1]}…"
