"""The search box: one license leads straight to its page, several are listed, what was pasted is judged.

What is searched for goes in a form's body and never into an address: it may be a device's facts or a license string.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import InvalidRequestError

_API = "/admin/api/search"
_MOST = 256 * 1024


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (ConsolePage("GET", "/admin/search", ask), ConsolePage("POST", "/admin/search", search, most=_MOST))


async def ask(visit: Visit) -> Response:
    """Show the large box, for what has several lines."""
    return visit.show("search.html", sought="", found=None)


async def search(visit: Visit) -> Response:
    """Show what was found, or go straight to the only license."""
    sought = visit.exactly("text")
    try:
        found = await visit.act("POST", _API, {"text": sought})
    except InvalidRequestError as refusal:
        return visit.show("search.html", refusal=refusal, sought=sought, found=None)
    hits = found["hits"]
    if len(hits) == 1 and found["kind"] == "text" and not found["has_more"]:
        return visit.go(f"/admin/licenses/{hits[0]['license']['id']}")
    return visit.show("search.html", sought=sought, found=found)
