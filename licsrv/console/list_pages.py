"""Pages that list what operators watch: deliveries, callbacks, the audit, releases, keys."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, PageHandler, Visit
from licsrv.errors import NotFoundError, RefusalError

_OUTBOX = "/admin/api/outbox"
_RELEASES = "/admin/api/releases"
_DECISIONS = {"retry": "delivery-retried", "drop": "delivery-dropped"}
_RELEASE_DECISIONS = {"rollout": "release-rolled-out", "withdraw": "release-withdrawn"}
# What of a list's address is passed on to its operation.
_FILTERS = ("after", "state", "license", "code", "failed", "subject", "action", "product_id")


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", "/admin/outbox", outbox),
        ConsolePage("POST", "/admin/outbox/{id}/{decision}", decide),
        ConsolePage("POST", "/admin/releases/{decision}", decide_release),
        *(ConsolePage("GET", f"/admin/{name}", _lister(name)) for name in ("callbacks", "audit", "releases", "keys")),
    )


async def outbox(visit: Visit) -> Response:
    """Show what waits for the marketplace."""
    return await _list(visit, "outbox")


async def decide(visit: Visit) -> Response:
    """Try a delivery again, or give it up."""
    decision = visit.at["decision"]
    if decision not in _DECISIONS:
        raise NotFoundError("There is nothing at this address.")
    body = {"reason": visit.typed("reason")}
    try:
        await visit.act("POST", f"{_OUTBOX}/{{id}}/{decision}", body, at={"id": visit.at["id"]})
    except RefusalError as refusal:
        return await _list(visit, "outbox", refusal)
    return visit.go("/admin/outbox", said=_DECISIONS[decision])


async def decide_release(visit: Visit) -> Response:
    """Offer one published version to another share of the devices, or withdraw it."""
    decision = visit.at["decision"]
    if decision not in _RELEASE_DECISIONS:
        raise NotFoundError("There is nothing at this address.")
    names = ("product", "version", "channel", "platform", "reason")
    body = {name: visit.typed(name) for name in names}
    if decision == "rollout":
        body["percent"] = visit.typed("percent")
    try:
        done = await visit.act("POST", f"{_RELEASES}/{decision}", body)
    except RefusalError as refusal:
        return await _list(visit, "releases", refusal)
    return visit.go("/admin/releases", said=_RELEASE_DECISIONS[decision] if done["releases"] else "release-unchanged")


def _lister(name: str) -> PageHandler:
    return partial(_list, name=name)


async def _list(visit: Visit, name: str, refusal: RefusalError | None = None) -> Response:
    filters = {one: visit.query[one] for one in _FILTERS if visit.query.get(one)}
    found = await visit.look(f"/admin/api/{name}", query=filters)
    return visit.show(f"{name}.html", refusal=refusal, found=found, filters=filters)
