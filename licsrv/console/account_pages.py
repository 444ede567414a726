"""Pages for the people of the desk: the list, a new one, one person with what can be done to their account."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import RefusalError
from licsrv.people.roles import Role

_API = "/admin/api/accounts"
_ONE = f"{_API}/{{name}}"
_PAGE = "/admin/accounts"
_SAID = {"disable": "account-disabled", "enable": "account-enabled", "end-sessions": "sessions-ended"}


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    one = f"{_PAGE}/{{name}}"
    return (
        ConsolePage("GET", _PAGE, listed),
        ConsolePage("POST", _PAGE, add),
        ConsolePage("GET", one, show),
        ConsolePage("POST", one, change),
        ConsolePage("POST", f"{one}/reset-password", reset_password),
        ConsolePage("POST", f"{one}/{{action}}", act),
    )


async def add(visit: Visit) -> Response:
    """Add a person and show their temporary password, this one time."""
    names = ("name", "role", "display_name", "language", "reason")
    body = {name: visit.typed(name) for name in names} | {"name": visit.typed("name").lower()}
    try:
        made = await visit.act("POST", _API, body)
    except RefusalError as refusal:
        return await listed(visit, refusal)
    return visit.show("temporary_password.html", made=made)


async def change(visit: Visit) -> Response:
    """Change a person's role, name or language."""
    names = ("role", "display_name", "language", "reason")
    try:
        await visit.act("PUT", _ONE, {name: visit.typed(name) for name in names}, at=_at(visit))
    except RefusalError as refusal:
        return await show(visit, refusal)
    return visit.go(_address(visit), said="account-changed")


async def reset_password(visit: Visit) -> Response:
    """Give a person a temporary password and show it, this one time."""
    body = {"reason": visit.typed("reason"), "second_factor": visit.typed("second_factor") == "1"}
    try:
        made = await visit.act("POST", f"{_ONE}/reset-password", body, at=_at(visit))
    except RefusalError as refusal:
        return await show(visit, refusal)
    return visit.show("temporary_password.html", made=made)


async def act(visit: Visit) -> Response:
    """Disable or enable an account, or end its sessions."""
    action = visit.at["action"]
    try:
        await visit.act("POST", f"{_ONE}/{action}", {"reason": visit.typed("reason")}, at=_at(visit))
    except RefusalError as refusal:
        return await show(visit, refusal)
    return visit.go(_address(visit), said=_SAID.get(action, ""))


def _at(visit: Visit) -> dict[str, str]:
    return {"name": visit.at["name"]}


def _address(visit: Visit) -> str:
    return f"{_PAGE}/{visit.at['name']}"  # an operation took the name, so it is one


async def listed(visit: Visit, refusal: RefusalError | None = None) -> Response:
    """Show every account, by name, and the form for a new one."""
    found = await visit.look(_API, query=visit.after)
    return visit.show("accounts.html", refusal=refusal, found=found, roles=list(Role), typed=visit.typed)


async def show(visit: Visit, refusal: RefusalError | None = None) -> Response:
    """Show one person."""
    account = await visit.look(_ONE, at=_at(visit))
    sessions = (await visit.look(f"{_ONE}/sessions", at=_at(visit)))["items"]
    return visit.show("account.html", refusal=refusal, account=account, sessions=sessions, roles=list(Role))
