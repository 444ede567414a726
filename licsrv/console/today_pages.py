"""The first page: what needs somebody's attention today."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console.visits import Page, Visit
from licsrv.people.roles import Permission

_API = "/admin/api/desk"


def pages() -> Sequence[Page]:
    """Return the pages of this module."""
    return (Page("GET", "/admin", home),)


async def home(visit: Visit) -> Response:
    """Show the desk to whoever may read licenses, and a greeting to everybody else."""
    may_read = visit.may(Permission.READ_LICENSES, "GET", _API)
    return visit.show("desk.html", desk=await visit.look(_API) if may_read else None)
