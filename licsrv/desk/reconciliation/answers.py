"""The comparison with the marketplace as API, console and command line show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import Listing
from licsrv.desk.reconciliation import repairing
from licsrv.marketplace.reconciliation import differences, store
from licsrv.marketplace.reconciliation.differences import Repairs
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.marketplace.reconciliation.store import Filter
from licsrv.marketplace.reconciliation.tables import Difference, ReconciliationRun
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window
from licsrv.words.sentences import Sentence

LATEST = 5
"""How many runs the overview shows."""


class State(StrEnum):
    """What has become of a difference: nothing yet, left as it is, or over (repaired, or vanished by itself)."""

    OPEN = "open"
    DISMISSED = "dismissed"
    CLOSED = "closed"


class DifferenceShown(Body):
    """In what a license differs from the marketplace's word, and what repairing it would change."""

    id: str
    license_id: str
    code: str
    kind: str
    ours: str
    theirs: str
    explained: str
    asked_at: datetime
    found_at: datetime
    dismissed_at: datetime | None
    dismissed_by: str | None
    closed_at: datetime | None
    closed_by: str | None = Field(description="who repaired it; null where it has vanished by itself")
    reason: str = Field(description="why it was repaired or dismissed")
    repairing: Sentence = Field(description="what repairing it changes, or why it cannot be repaired here")
    is_repairable: bool
    is_final: bool = Field(description="whether repairing it cannot be undone")


class RunShown(Body):
    """A comparison of every license.

    ``state``: RUNNING, FINISHED, STOPPED by a person, FAILED because the marketplace did not answer for too long.
    """

    id: str
    state: str
    started_by: str
    started_at: datetime
    ended_at: datetime | None
    waits_until: datetime | None = Field(description="when the marketplace is tried again")
    total: int = Field(description="licenses to ask about")
    compared: int
    found: int = Field(description="differences that are new")
    vanished: int = Field(description="differences that are over")
    note: str


class StandAnswer(Body):
    """The status of the comparison with the marketplace, with the latest five runs."""

    is_configured: bool = Field(description="whether there is a key pair to ask the marketplace with")
    under_way: RunShown | None
    runs: list[RunShown]
    open: dict[str, int] = Field(description=f"open differences by {', '.join(Kind)}")


class RunList(Listing[RunShown]):
    """A page of comparisons, newest first."""


class DifferenceList(Listing[DifferenceShown]):
    """A page of differences, in the order in which they were found."""


class StartedAnswer(Body):
    """The comparison that is under way; ``changed`` is false if it was under way before."""

    changed: bool
    run: RunShown


class StoppedAnswer(Body):
    """The comparison that was stopped; ``changed`` is false where none was under way."""

    changed: bool
    run: RunShown | None


class SettledAnswer(Body):
    """What became of a difference; ``changed`` is false where it was settled already."""

    id: str
    changed: bool


class LeftShown(Body):
    """A difference that could not be repaired, and why."""

    id: str
    why: str


class RepairedAnswer(Body):
    """What became of many repairs. ``next``, where it is not null, goes into ``after`` to go on with the kind."""

    repaired: list[str]
    left: list[LeftShown]
    next: str | None


def stand(session: Session, *, is_configured: bool, runs: int = LATEST) -> StandAnswer:
    """Return how the comparison with the marketplace is going.

    Args:
        is_configured: Whether there is a key pair to ask the marketplace with.
    """
    found = differences.summary(session, runs=runs)
    return StandAnswer(
        is_configured=is_configured,
        under_way=run_shown(found.under_way) if found.under_way is not None else None,
        runs=[run_shown(run) for run in found.runs],
        open=dict(found.open),
    )


def run_list(session: Session, window: Window) -> RunList:
    """Return comparisons, newest first."""
    found = store.runs(session, window.fetched, before=after_of(window) or None)
    return RunList.of(paging.page_of(found, window, keys=lambda run: (run.id,), item=run_shown))


def run(session: Session, run_id: str) -> RunShown:
    """Return one comparison that there is."""
    return run_shown(session.get_one(ReconciliationRun, run_id))


def run_shown(run: ReconciliationRun) -> RunShown:
    """Return a comparison."""
    return RunShown.model_validate(run, from_attributes=True)


def difference_list(
    session: Session, window: Window, *, state: State, kind: Kind | None, license_id: str | None
) -> DifferenceList:
    """Return differences in the order in which they were found."""
    is_closed = state is State.CLOSED
    which = Filter(is_closed, None if is_closed else state is State.DISMISSED, kind, license_id=license_id)
    rows = store.differences(session, which, after=after_of(window), limit=window.fetched)
    return DifferenceList.of(
        paging.page_of(rows, window, keys=lambda row: (row[0].id,), item=lambda row: difference_shown(row[0], row[1]))
    )


def of_license(session: Session, license_id: str, *, most: int = paging.MOST) -> list[DifferenceShown]:
    """Return what a license differs in now, what was dismissed included."""
    return shown(store.differences(session, Filter(is_dismissed=None, license_id=license_id), limit=most))


def shown(rows: Sequence[tuple[Difference, str]]) -> list[DifferenceShown]:
    """Return differences, each read with the code of its license."""
    return [difference_shown(row, code) for row, code in rows]


def difference_shown(row: Difference, code: str) -> DifferenceShown:
    """Return a difference, with what repairing it would change."""
    effect = repairing.effect_of(row.kind, row.theirs)
    members: Mapping[str, Any] = row.model_dump() | {
        "code": code, "repairing": effect.says, "is_repairable": effect.is_possible, "is_final": effect.is_final,
    }  # fmt: skip
    return DifferenceShown.model_validate(members)


def repaired(done: Repairs, following: str | None) -> RepairedAnswer:
    """Return what became of many repairs.

    Args:
        following: The cursor behind them, where there may be more.
    """
    left = [LeftShown(id=name, why=why) for name, why in done.left.items()]
    return RepairedAnswer(repaired=list(done.repaired), left=left, next=following)


def after_of(window: Window) -> str:
    """Return the key behind which a page begins; empty for the first page."""
    return window.after[0] if window.after is not None else ""
