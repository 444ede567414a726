"""``/admin/api/reconciliation``: how the comparison with the marketplace stands, what differs, and settling it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, TypeVar

from pydantic import Field, StringConstraints
from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk.fields import Reasoned
from licsrv.desk.licenses import page, showing
from licsrv.desk.licenses.answers import DifferenceShown
from licsrv.desk.operations import AdminOperation, Call
from licsrv.errors import ConflictError, InvalidRequestError, LicenseNotFoundError, NotFoundError
from licsrv.marketplace.reconciliation import differences, store
from licsrv.marketplace.reconciliation import runs as reconciliation_runs
from licsrv.marketplace.reconciliation.differences import Repairs
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.marketplace.reconciliation.store import Filter
from licsrv.marketplace.reconciliation.tables import ReconciliationRun
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window

MOST = 500
"""How many differences one call repairs: it shall be answered while somebody waits."""
_PATH = "/admin/api/reconciliation"
_LATEST = 5
DifferenceId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{1,23}$")]
Word = TypeVar("Word", bound=StrEnum)


class State(StrEnum):
    """What has become of a difference: nothing yet, left as it is, or over (repaired, or vanished by itself)."""

    OPEN = "open"
    DISMISSED = "dismissed"
    CLOSED = "closed"


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
    """How the comparison with the marketplace stands; of the runs the latest five."""

    is_configured: bool = Field(description="whether there is a key pair to ask the marketplace with")
    under_way: RunShown | None
    runs: list[RunShown]
    open: dict[str, int] = Field(description=f"open differences by {', '.join(Kind)}")


class RunList(Body):
    """A page of comparisons, newest first."""

    items: list[RunShown]
    next: str | None


class DifferenceList(Body):
    """A page of differences, in the order in which they were found."""

    items: list[DifferenceShown]
    next: str | None


class StartedAnswer(Body):
    """The comparison that is under way; ``changed`` is false where it was so already."""

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


class RepairRequest(Reasoned):
    """Differences to be repaired: either these, or the open ones of a kind."""

    ids: list[DifferenceId] | None = Field(None, max_length=MOST)
    kind: Kind | None = None
    after: str | None = Field(None, max_length=200, description="with kind: the cursor that the call before answered")


class LeftShown(Body):
    """A difference that could not be repaired, and why."""

    id: str
    why: str


class RepairedAnswer(Body):
    """What became of many repairs. ``next``, where it is not null, goes into ``after`` to go on with the kind."""

    repaired: list[str]
    left: list[LeftShown]
    next: str | None


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    read, reconcile = Permission.READ_LICENSES, Permission.RECONCILE
    found, of_one = f"{_PATH}/differences", (NotFoundError, ConflictError)
    listing = ("kind", "license", "state", *paging.PARAMETERS)
    return (
        AdminOperation(
            "GET", _PATH, "Show how the comparison with the marketplace stands", read, show, result=StandAnswer
        ),
        AdminOperation(
            "GET", f"{_PATH}/runs", "List comparisons", read, list_runs, result=RunList, query=paging.PARAMETERS
        ),
        AdminOperation(
            "GET", found, "List differences from the marketplace", read, list_differences, None, DifferenceList,
            (LicenseNotFoundError,), listing,
        ),
        AdminOperation(
            "POST", f"{_PATH}/start", "Start a comparison of every license", reconcile, start, None, StartedAnswer,
            (ConflictError,),
        ),
        AdminOperation("POST", f"{_PATH}/stop", "Stop the comparison", reconcile, stop, Reasoned, StoppedAnswer),
        AdminOperation(
            "POST", f"{_PATH}/repair", "Take the marketplace's word over for many differences", reconcile, repair_many,
            RepairRequest, RepairedAnswer,
        ),
        AdminOperation(
            "POST", f"{found}/{{id}}/repair", "Take the marketplace's word over for a license", reconcile, repair,
            Reasoned, SettledAnswer, of_one,
        ),
        AdminOperation(
            "POST", f"{found}/{{id}}/dismiss", "Leave a difference as it is", reconcile, dismiss, Reasoned,
            SettledAnswer, (NotFoundError,),
        ),
    )  # fmt: skip


async def show(call: Call) -> StandAnswer:
    """Answer ``GET /admin/api/reconciliation``."""

    def use_case(session: Session) -> StandAnswer:
        stand = differences.summary(session, runs=_LATEST)
        return StandAnswer(
            is_configured=_is_configured(call),
            under_way=_run(stand.under_way) if stand.under_way is not None else None,
            runs=[_run(run) for run in stand.runs],
            open=dict(stand.open),
        )

    return await call.read(use_case)


async def list_runs(call: Call) -> RunList:
    """Answer ``GET /admin/api/reconciliation/runs``."""
    window = paging.window_of(call.request.query_params)

    def use_case(session: Session) -> RunList:
        found = store.runs(session, window.fetched, before=_after(window))
        made = paging.page_of(found, window, keys=lambda run: (run.id,), item=_run)
        return RunList(items=made.items, next=made.next)

    return await call.read(use_case)


async def list_differences(call: Call) -> DifferenceList:
    """Answer ``GET /admin/api/reconciliation/differences``."""
    query = call.request.query_params
    window, name = paging.window_of(query), query.get("license")
    kind, state = _word(query.get("kind"), Kind), _word(query.get("state"), State) or State.OPEN

    def use_case(session: Session) -> DifferenceList:
        license_id = page.license_of(session, name).id if name else None
        which = _filter(state, kind, license_id)
        rows = store.differences(session, which, after=_after(window) or "", limit=window.fetched)
        made = paging.page_of(
            rows, window, keys=lambda row: (row[0].id,), item=lambda row: showing.difference(row[0], row[1])
        )
        return DifferenceList(items=made.items, next=made.next)

    return await call.read(use_case)


async def start(call: Call) -> StartedAnswer:
    """Answer ``POST /admin/api/reconciliation/start``: a server asks, and goes on until the end."""
    differences.require_key_pair(is_configured=_is_configured(call))

    def use_case(session: Session) -> StartedAnswer:
        run, is_new = reconciliation_runs.start(session, cause=call.cause(), now=call.now)
        if run is None:
            raise AssertionError  # without a night a run is refused only while another one is under way
        return StartedAnswer(changed=is_new, run=_run(run))

    return await call.write(use_case)


async def stop(call: Call, body: Reasoned) -> StoppedAnswer:
    """Answer ``POST /admin/api/reconciliation/stop``; what was found stays."""

    def use_case(session: Session) -> StoppedAnswer:
        run = reconciliation_runs.stop(session, cause=call.cause(body.reason), now=call.now)
        return StoppedAnswer(changed=run is not None, run=_run(run) if run is not None else None)

    return await call.write(use_case)


async def repair(call: Call, body: Reasoned) -> SettledAnswer:
    """Answer ``POST /admin/api/reconciliation/differences/{id}/repair``."""
    difference_id, cause, alive = _id(call), call.cause(body.reason), call.desk.support.alive_unfreezes

    def use_case(session: Session) -> SettledAnswer:
        changed = differences.repair(session, difference_id, cause=cause, alive_unfreezes=alive, now=call.now)
        return SettledAnswer(id=difference_id, changed=changed)

    return await call.write(use_case)


async def dismiss(call: Call, body: Reasoned) -> SettledAnswer:
    """Answer ``POST /admin/api/reconciliation/differences/{id}/dismiss``."""
    difference_id, cause = _id(call), call.cause(body.reason)

    def use_case(session: Session) -> SettledAnswer:
        changed = differences.dismiss(session, difference_id, cause=cause, now=call.now)
        return SettledAnswer(id=difference_id, changed=changed)

    return await call.write(use_case)


async def repair_many(call: Call, body: RepairRequest) -> RepairedAnswer:
    """Answer ``POST /admin/api/reconciliation/repair``.

    Each portion is a transaction, and the answer is kept in that of the last one. Who is interrupted may send the call
    again, under its key too: what was repaired is over and is not repaired twice.
    """
    ids, following = await _meant(call, body)
    cause, done = call.cause(body.reason), Repairs()
    *before, last = [*differences.portions(ids)] or [()]
    for portion in before:
        done += await call.change(lambda session: _repaired(session, portion, call, cause))  # noqa: B023 - run before the next turn

    return await call.write(lambda session: _repairs(done + _repaired(session, last, call, cause), following))


async def _meant(call: Call, body: RepairRequest) -> tuple[Sequence[str], str | None]:
    """Return which differences are to be repaired, and the cursor behind them where there may be more."""
    kind, ids = body.kind, body.ids
    if kind is None and ids is not None and body.after is None:
        return list(dict.fromkeys(ids)), None
    if kind is None or ids is not None:
        raise InvalidRequestError("Name either ids or a kind, which after may go on with.")
    after = _after(paging.window_of({"after": body.after} if body.after else {})) or ""
    found = await call.read(lambda session: differences.open_ids(session, kind, after=after, limit=MOST + 1))
    return found[:MOST], paging.cursor((found[MOST - 1],)) if len(found) > MOST else None


def _repaired(session: Session, ids: Sequence[str], call: Call, cause: Cause) -> Repairs:
    alive = call.desk.support.alive_unfreezes
    return differences.repair_many(session, ids, cause=cause, alive_unfreezes=alive, now=call.now)


def _repairs(done: Repairs, following: str | None) -> RepairedAnswer:
    left = [LeftShown(id=name, why=why) for name, why in done.left.items()]
    return RepairedAnswer(repaired=list(done.repaired), left=left, next=following)


def _filter(state: State, kind: Kind | None, license_id: str | None) -> Filter:
    is_closed = state is State.CLOSED
    return Filter(is_closed, None if is_closed else state is State.DISMISSED, kind, license_id)


def _run(run: ReconciliationRun) -> RunShown:
    return RunShown.model_validate(run, from_attributes=True)


def _is_configured(call: Call) -> bool:
    return bool(call.desk.support.key_pair)


def _id(call: Call) -> str:
    text: str = call.request.path_params["id"]
    if not (text.isascii() and text.isalnum()):
        raise NotFoundError("There is no such difference; nothing was changed.")
    return text


def _after(window: Window) -> str | None:
    return window.after[0] if window.after is not None else None


def _word(text: str | None, words: type[Word]) -> Word | None:
    """Read one of a few words; None where there is none."""
    if not text:
        return None
    try:
        return words(text)
    except ValueError:
        raise InvalidRequestError(f"Only one of {', '.join(words)} can be asked for.") from None
