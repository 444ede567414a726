"""Pages for reports: one at a time, as pictures and figures, with the files behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from licsrv.console import pictures
from licsrv.console.visits import ConsolePage, Visit
from licsrv.errors import InvalidRequestError

_API = "/admin/api/reports"
_ASKED = ("from", "to", "by", "product", "customer")


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (ConsolePage("GET", "/admin/reports", first), ConsolePage("GET", "/admin/reports/{name}", show))


async def first(visit: Visit) -> Response:
    """Go to the first report."""
    reports = (await visit.look(_API))["items"]
    return visit.go(f"/admin/reports/{reports[0]['name']}")


async def show(visit: Visit) -> Response:
    """Show a report for the days that are asked for; what cannot be asked is explained above the usual ones."""
    name = visit.at["name"]
    reports = (await visit.look(_API))["items"]
    asked = {one: visit.query[one] for one in _ASKED if visit.query.get(one)}
    refusal = None
    try:
        found = await visit.look(f"{_API}/{{name}}", at={"name": name}, query=asked)
    except InvalidRequestError as error:
        refusal, asked = error, {}
        found = await visit.look(f"{_API}/{{name}}", at={"name": name})
    about = next(one for one in reports if one["name"] == name)
    return visit.show(
        "report.html",
        refusal=refusal,
        reports=reports,
        about=about,
        found=found,
        asked=asked,
        files=urlencode(asked),
        charts=[(one, _chart(found["days"], one)) for one in found["series"]],
    )


def _chart(days: Sequence[str], series: Mapping[str, Any]) -> object:
    return pictures.bars(list(zip(days, series["values"], strict=True)))
