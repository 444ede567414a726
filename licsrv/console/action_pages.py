"""What can be done to a license, in three steps: choose it, read what it will change and why, confirm; then undo it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from starlette.responses import Response

from licsrv.console import license_pages
from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import ConflictError, NotFoundError, RefusalError

_PAGE = "/admin/licenses/{license}"
_API = "/admin/api/licenses/{license}/actions"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (ConsolePage("POST", f"{_PAGE}/ask", ask), ConsolePage("POST", f"{_PAGE}/do", do))


async def do(visit: Visit) -> Response:
    """Carry an action out and show the license as it is now, with a way back where there is one."""
    action, given = visit.typed("action"), _given(visit)
    body = given | {"reason": visit.typed("reason"), "state": visit.typed("state") or None}
    try:
        done = await visit.act("POST", _path(action, "do"), body, at=_at(visit))
    except (ConflictError, NotFoundError) as refusal:
        return await license_pages.page(visit, refusal)
    except RefusalError as refusal:
        return await ask(visit, refusal)
    return await license_pages.page(visit, done=done)


async def ask(visit: Visit, refusal: RefusalError | None = None) -> Response:
    """Show what an action would change, and ask for a reason."""
    action, given = visit.typed("action"), _given(visit)
    try:
        shown = await visit.act("POST", _path(action, "preview"), given, at=_at(visit), key="")
    except RefusalError as error:
        return await license_pages.page(visit, refusal or error)
    license = (await visit.look("/admin/api/licenses/{license}", at=_at(visit)))["license"]
    values: Mapping[str, Any] = {"license": license, "shown": shown, "given": given, "reason": visit.typed("reason")}
    return visit.show("action.html", refusal=refusal, **values)


def _given(visit: Visit) -> dict[str, str]:
    """Return what the action is given next to the license."""
    given = {
        "device_id": visit.typed("device_id"),
        "until": visit.end_of("until"),
        "text": visit.exactly("text"),
    }
    return {name: value for name, value in given.items() if value}


def _path(action: str, step: str) -> str:
    """Return the operation of an action; there is none where there is no such action."""
    return f"{_API}/{action}/{step}"


def _at(visit: Visit) -> dict[str, str]:
    return {"license": visit.at["license"]}
