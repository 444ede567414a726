"""The first page: what needs attention today."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, Visit
from licsrv.people.roles import Permission

_API = "/admin/api/desk"


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (ConsolePage("GET", "/admin", home),)


async def home(visit: Visit) -> Response:
    """Show what needs attention to a visitor who may read licenses, and a greeting to others."""
    may_read = visit.may(Permission.READ_LICENSES, "GET", _API)
    return visit.show("today.html", today=await visit.look(_API) if may_read else None)
