"""What can be done to a license, in three steps: choose it, read what it will change and why, confirm; then undo it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Any

from starlette.responses import Response

from licsrv.console import license_pages
from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import ConflictError, NotFoundError, RefusalError
from licsrv.licensing import entitlements

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
    hidden = {name: value if isinstance(value, str) else json.dumps(value) for name, value in given.items()}
    values: Mapping[str, Any] = {"license": license, "shown": shown, "given": hidden, "reason": visit.typed("reason")}
    return visit.show("action.html", refusal=refusal, **values)


def _given(visit: Visit) -> dict[str, Any]:
    """Return what the action is given next to the license."""
    given = {
        "device_id": visit.typed("device_id"),
        "seat_id": visit.typed("seat_id"),
        "branch": visit.typed("branch"),
        "until": visit.end_of("until"),
        "text": visit.exactly("text"),
        "terms": _carried(visit.typed("terms")) or terms_of(visit),
    }
    return {name: value for name, value in given.items() if value}


def _carried(text: str) -> object:
    """Return the terms that a step before passed on; anything else as it is, for the operation to judge."""
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return text


def terms_of(visit: Visit) -> dict[str, Any]:
    """Return the terms that a form changes: of each field what was typed, where it is not what the field had before."""
    typed = {
        "expires_at": visit.end_of("end") or None,
        "places": visit.typed("places") or None,
        "features": _features(visit),
        "customer": visit.typed("customer"),
        "product_id": visit.typed("product_id"),
    }
    fields = {"expires_at": "end"}
    return {name: value for name, value in typed.items() if _is_changed(visit, fields.get(name, name))}


def _is_changed(visit: Visit, name: str) -> bool:
    return ",".join(filter(None, visit.form.get(name, []))).strip() != visit.typed(f"was_{name}")


def _features(visit: Visit) -> list[str] | None:
    """Return the chosen features; None where a product's are all chosen. In a list's form they are typed."""
    typed = [one.strip() for text in visit.form.get("features", []) for one in text.split(",") if one.strip()]
    if typed and ",".join(typed) == visit.typed("all_features"):
        return None
    stated = [_feature(one, visit.day_zone) for one in typed]
    return list({entitlements.read(one).name: one for one in stated}.values())  # what is typed is behind the boxes


def _feature(text: str, zone: tzinfo) -> str:
    """Return a feature with the moment at which its typed day is over; else as it was typed, as ``Visit.end_of``."""
    try:
        return entitlements.canonical(text, zone)
    except ValueError:
        return text


def _path(action: str, step: str) -> str:
    """Return the operation of an action; there is none where there is no such action."""
    return f"{_API}/{action}/{step}"


def _at(visit: Visit) -> dict[str, str]:
    return {"license": visit.at["license"]}
