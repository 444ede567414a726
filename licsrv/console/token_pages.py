"""Pages for programs: their tokens, a new one shown once, and its end."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import RefusalError
from licsrv.people.roles import GRANTABLE

_API = "/admin/api/tokens"
_PAGE = "/admin/tokens"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", _PAGE, listed),
        ConsolePage("POST", _PAGE, make),
        ConsolePage("POST", f"{_PAGE}/{{id}}/revoke", revoke),
    )


async def make(visit: Visit) -> Response:
    """Make a token and show it, this one time."""
    body = {
        "name": visit.typed("name"),
        "scopes": visit.form.get("scopes", []),
        "expires_at": visit.end_of("expires_on"),
        "reason": visit.typed("reason"),
    }
    try:
        made = await visit.act("POST", _API, body)
    except RefusalError as refusal:
        return await listed(visit, refusal)
    return visit.show("token_made.html", made=made)


async def revoke(visit: Visit) -> Response:
    """Let a token be worth nothing."""
    try:
        await visit.act("POST", f"{_API}/{{id}}/revoke", {"reason": visit.typed("reason")}, at={"id": visit.at["id"]})
    except RefusalError as refusal:
        return await listed(visit, refusal)
    return visit.go(_PAGE, said="token-revoked")


async def listed(visit: Visit, refusal: RefusalError | None = None) -> Response:
    """Show every token, newest first, and the form for a new one."""
    found = await visit.look(_API, query=visit.after)
    scopes = sorted(scope for scope in GRANTABLE if scope in visit.permissions)
    return visit.show("tokens.html", refusal=refusal, found=found, scopes=scopes, typed=visit.typed, form=visit.form)
