"""``/admin/api/reconciliation``: the status of the comparison with the marketplace, its differences, and repairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StringConstraints
from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.desk import names
from licsrv.desk.fields import Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.parameters import text_of, word_of
from licsrv.desk.reconciliation import answers
from licsrv.desk.reconciliation.answers import (
    DifferenceList,
    RepairedAnswer,
    RunList,
    SettledAnswer,
    StandAnswer,
    StartedAnswer,
    State,
    StoppedAnswer,
)
from licsrv.errors import ConflictError, InvalidRequestError, LicenseNotFoundError, NotFoundError
from licsrv.marketplace.reconciliation import differences
from licsrv.marketplace.reconciliation import runs as reconciliation_runs
from licsrv.marketplace.reconciliation.differences import Repairs
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.ids import is_id

MOST = 500
"""How many differences one call repairs: a person waits for the answer."""
_PATH = "/admin/api/reconciliation"
DifferenceId = Annotated[str, StringConstraints(pattern=r"^[0-9a-z]{1,23}$")]


class RepairRequest(Reasoned):
    """Differences to be repaired: either these, or the open ones of a kind."""

    ids: list[DifferenceId] | None = Field(None, max_length=MOST)
    kind: Kind | None = None
    after: str | None = Field(None, max_length=200, description="with kind: the cursor that the call before answered")


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    read, reconcile = Permission.READ_LICENSES, Permission.RECONCILE
    found, of_one = f"{_PATH}/differences", (NotFoundError, ConflictError)
    listing = ("kind", "license", "state", *paging.PARAMETERS)
    return (
        AdminOperation(
            "GET", _PATH, "Show the status of the comparison with the marketplace", permission=read, handler=show,
            result=StandAnswer,
        ),
        AdminOperation(
            "GET", f"{_PATH}/runs", "List comparisons", permission=read, handler=list_runs, result=RunList,
            query=paging.PARAMETERS,
        ),
        AdminOperation(
            "GET", found, "List differences from the marketplace", permission=read, handler=list_differences,
            result=DifferenceList, refusals=(LicenseNotFoundError,), query=listing,
        ),
        AdminOperation(
            "POST", f"{_PATH}/start", "Start a comparison of every license", permission=reconcile, handler=start,
            result=StartedAnswer, refusals=(ConflictError,),
        ),
        AdminOperation(
            "POST", f"{_PATH}/stop", "Stop the comparison", permission=reconcile, handler=stop, body=Reasoned,
            result=StoppedAnswer,
        ),
        AdminOperation(
            "POST", f"{_PATH}/repair", "Take the marketplace's word over for many differences", permission=reconcile,
            handler=repair_many, body=RepairRequest, result=RepairedAnswer,
        ),
        AdminOperation(
            "POST", f"{found}/{{id}}/repair", "Take the marketplace's word over for a license", permission=reconcile,
            handler=repair, body=Reasoned, result=SettledAnswer, refusals=of_one,
        ),
        AdminOperation(
            "POST", f"{found}/{{id}}/dismiss", "Leave a difference as it is", permission=reconcile, handler=dismiss,
            body=Reasoned, result=SettledAnswer, refusals=(NotFoundError,),
        ),
    )  # fmt: skip


async def show(call: Call) -> StandAnswer:
    """Answer ``GET /admin/api/reconciliation``."""
    is_configured = _is_configured(call)
    return await call.read(lambda session: answers.stand(session, is_configured=is_configured))


async def list_runs(call: Call) -> RunList:
    """Answer ``GET /admin/api/reconciliation/runs``."""
    window = call.window()
    return await call.read(lambda session: answers.run_list(session, window))


async def list_differences(call: Call) -> DifferenceList:
    """Answer ``GET /admin/api/reconciliation/differences``."""
    window, name = call.window(), text_of(call.query, "license")
    kind, state = word_of(call.query, "kind", Kind), word_of(call.query, "state", State) or State.OPEN

    def use_case(session: Session) -> DifferenceList:
        license_id = names.license_of(session, name).id if name is not None else None
        return answers.difference_list(session, window, state=state, kind=kind, license_id=license_id)

    return await call.read(use_case)


async def start(call: Call) -> StartedAnswer:
    """Answer ``POST /admin/api/reconciliation/start``: a server asks, and goes on until the end."""
    differences.require_key_pair(is_configured=_is_configured(call))

    def use_case(session: Session) -> StartedAnswer:
        run, is_new = reconciliation_runs.start(session, cause=call.cause(), now=call.now)
        if run is None:
            raise AssertionError  # a run on demand is refused only while another one is active
        return StartedAnswer(changed=is_new, run=answers.run_shown(run))

    return await call.write(use_case)


async def stop(call: Call, body: Reasoned) -> StoppedAnswer:
    """Answer ``POST /admin/api/reconciliation/stop``; what was found stays."""

    def use_case(session: Session) -> StoppedAnswer:
        run = reconciliation_runs.stop(session, cause=call.cause(body.reason), now=call.now)
        return StoppedAnswer(changed=run is not None, run=answers.run_shown(run) if run is not None else None)

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
        done += await call.change(lambda session: _repaired(session, portion, call, cause=cause))  # noqa: B023 - run before the next turn

    return await call.write(
        lambda session: answers.repaired(done + _repaired(session, last, call, cause=cause), following)
    )


async def _meant(call: Call, body: RepairRequest) -> tuple[Sequence[str], str | None]:
    """Return which differences are to be repaired, and the cursor behind them where there may be more."""
    kind, ids = body.kind, body.ids
    if kind is None and ids is not None and body.after is None:
        return list(dict.fromkeys(ids)), None
    if kind is None or ids is not None:
        raise InvalidRequestError("Name either ids or a kind, which after may go on with.")
    after = answers.after_of(paging.window_of({"after": body.after} if body.after else {}))
    found = await call.read(lambda session: differences.open_ids(session, kind, after=after, limit=MOST + 1))
    return found[:MOST], paging.cursor((found[MOST - 1],)) if len(found) > MOST else None


def _repaired(session: Session, ids: Sequence[str], call: Call, cause: Cause) -> Repairs:
    alive = call.desk.support.alive_unfreezes
    return differences.repair_many(session, ids, cause=cause, alive_unfreezes=alive, now=call.now)


def _is_configured(call: Call) -> bool:
    return bool(call.desk.support.key_pair)


def _id(call: Call) -> str:
    text: str = call.at["id"]
    if not is_id(text):
        raise NotFoundError("There is no such difference; nothing was changed.")
    return text
