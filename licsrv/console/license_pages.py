"""The license page: what it is, why, and everything that can be done about it, each thing in three steps.

An action is asked for (it says what it would change), then done for a reason, and undone by its opposite.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from licsrv.console import pictures, reconciliation_pages
from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import RefusalError

_API = "/admin/api/licenses/{license}"
_PAGE = "/admin/licenses/{license}"
_MATCH = f"{_API}/match"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", _PAGE, page),
        ConsolePage("POST", f"{_PAGE}/compare", compare),
        ConsolePage("POST", f"{_PAGE}/differences/{{id}}/{{decision}}", settle),
        ConsolePage("POST", f"{_PAGE}/match", match),
        ConsolePage("POST", f"{_PAGE}/file", download),
    )


async def compare(visit: Visit) -> Response:
    """Ask the marketplace now and show its answer next to ours."""
    try:
        compared = await visit.act("POST", f"{_API}/compare", at=_at(visit))
    except RefusalError as refusal:
        return await page(visit, refusal)
    return await page(visit, compared=compared)


async def settle(visit: Visit) -> Response:
    """Adopt the marketplace's value, or leave a difference as it is."""
    try:
        said = await reconciliation_pages.settle(visit)
    except RefusalError as refusal:
        return await page(visit, refusal)
    return visit.go(f"/admin/licenses/{quote(visit.at['license'], safe='')}", said=said)


async def match(visit: Visit) -> Response:
    """Show how each device compares with a pasted fingerprint, the nearest first, and what it would get."""
    try:
        asked = {"device_info": visit.exactly("device_info")}
        matched = await visit.act("POST", _MATCH, asked, at=_at(visit), key="")
        asked |= {"at": begins} if (begins := visit.begin_of("at")) else {}
        explained = await visit.act("POST", f"{_API}/explain", asked, at=_at(visit), key="")
    except RefusalError as refusal:
        return await page(visit, refusal)
    return await page(visit, matched=matched, explained=explained)


async def download(visit: Visit) -> Response:
    """Send a license file for a device, to be passed on to a customer who cannot fetch it."""
    at = _at(visit) | {"device": visit.typed("device_id")}
    try:
        return await visit.fetch("POST", f"{_API}/devices/{{device}}/file", {"reason": visit.typed("reason")}, at=at)
    except RefusalError as refusal:
        return await page(visit, refusal)


async def page(
    visit: Visit,
    refusal: RefusalError | None = None,
    *,
    compared: Mapping[str, Any] | None = None,
    done: Mapping[str, Any] | None = None,
    matched: Mapping[str, Any] | None = None,
    explained: Mapping[str, Any] | None = None,
) -> Response:
    """Show a license, with what was refused, compared, done or matched just now."""
    at = _at(visit)
    found = matched or await visit.look(_API, at=at)
    at = {"license": found["license"]["id"]}
    timeline = await visit.look(f"{_API}/timeline", at=at, query=visit.after)
    usage = await visit.look(f"{_API}/usage", at=at)
    return visit.show(
        "license.html",
        refusal=refusal,
        found=found,
        timeline=timeline,
        usage=usage,
        year=picture_of(usage),
        compared=compared,
        done=done,
        explained=explained,
        at=visit.typed("at"),
        device_info=visit.exactly("device_info"),
        can_match=visit.api.has("POST", _MATCH),
    )


def picture_of(usage: Mapping[str, Any]) -> object:
    """Return a year of use as a picture."""
    days = {date.fromisoformat(one["day"]): int(one["devices"]) for one in usage["days"]}
    return pictures.year_of_use(date.fromisoformat(usage["first_day"]), date.fromisoformat(usage["last_day"]), days)


def _at(visit: Visit) -> dict[str, str]:
    return {"license": visit.at["license"]}
