"""The page for the comparison with the marketplace: its progress, what differs, and settling it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, Visit
from licsrv.desk.reconciliation.answers import State
from licsrv.errors import NotFoundError, RefusalError
from licsrv.marketplace.reconciliation.rules import Kind

_API = "/admin/api/reconciliation"
_ONE = f"{_API}/differences/{{id}}"
_PAGE = "/admin/reconciliation"
_RUN = {"start": "reconciliation-started", "stop": "reconciliation-stopped"}
_DECISIONS = {"repair": "difference-repaired", "dismiss": "difference-dismissed"}
_FILTERS = ("kind", "license", "state", "after")


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", _PAGE, show),
        ConsolePage("POST", f"{_PAGE}/repair", repair_many),
        ConsolePage("POST", f"{_PAGE}/{{decision}}", decide_run),
        ConsolePage("POST", f"{_PAGE}/differences/{{id}}/{{decision}}", decide),
    )


async def decide_run(visit: Visit) -> Response:
    """Start a comparison, or stop the one that is under way."""
    decision = visit.at["decision"]
    if decision not in _RUN:
        raise NotFoundError("There is nothing at this address.")
    body = {"reason": visit.typed("reason")} if decision == "stop" else None
    try:
        done = await visit.act("POST", f"{_API}/{decision}", body)
    except RefusalError as refusal:
        return await show(visit, refusal)
    return visit.go(_PAGE, said=_RUN[decision] if done["changed"] else "")


async def repair_many(visit: Visit) -> Response:
    """Repair the differences that the page showed; what is left says why."""
    body = {"ids": visit.form.get("id", []), "reason": visit.typed("reason")}
    try:
        done = await visit.act("POST", f"{_API}/repair", body)
    except RefusalError as refusal:
        return await show(visit, refusal)
    if done["left"]:
        return await show(visit, done=done)
    return visit.go(_here(visit), said="differences-repaired")


async def decide(visit: Visit) -> Response:
    """Repair or dismiss one difference."""
    try:
        said = await settle(visit)
    except RefusalError as refusal:
        return await show(visit, refusal)
    return visit.go(_here(visit), said=said)


async def settle(visit: Visit) -> str:
    """Do what a form says about the difference in its address, and return which sentence the next page shows.

    Raises:
        RefusalError: What is refused.
    """
    decision = visit.at["decision"]
    if decision not in _DECISIONS:
        raise NotFoundError("There is nothing at this address.")
    body = {"reason": visit.typed("reason")}
    await visit.act("POST", f"{_ONE}/{decision}", body, at={"id": visit.at["id"]})
    return _DECISIONS[decision]


def _filters(visit: Visit) -> dict[str, str]:
    return {name: visit.query.get(name, "") for name in _FILTERS}


def _query(filters: Mapping[str, str]) -> str:
    given = urlencode({name: value for name, value in filters.items() if value})
    return f"?{given}" if given else ""


def _here(visit: Visit) -> str:
    return f"{_PAGE}{_query(_filters(visit))}"


async def show(visit: Visit, refusal: RefusalError | None = None, *, done: object = None) -> Response:
    """Show the progress of the comparison, and what differs."""
    filters = _filters(visit)

    def narrowed(**changes: str) -> str:
        return f"{_PAGE}{_query({**filters, 'after': '', **changes})}"

    return visit.show(
        "reconciliation.html",
        refusal=refusal,
        done=done,
        progress=await visit.look(_API),
        found=await visit.look(f"{_API}/differences", query=filters),
        filters=filters,
        narrowed=narrowed,
        here=_here(visit),
        query=_query(filters),
        kinds=list(Kind),
        states=list(State),
    )
