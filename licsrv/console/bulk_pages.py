"""Pages for bulk jobs: a new job with its list, the dry run, the approval, progress, and the result."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import Response

from licsrv.console.action_pages import terms_of
from licsrv.console.visits import ConsolePage, Visit
from licsrv.desk.bulk.rules import FOR_LISTS
from licsrv.errors import NotFoundError, RefusalError

_API = "/admin/api/bulk"
_ONE = f"{_API}/{{id}}"
_PAGE = "/admin/bulk"
_DECISIONS = frozenset({"start", "approve", "reject", "stop"})
_MOST_LIST = 32 * 1024 * 1024


def pages() -> Sequence[ConsolePage]:
    """Return the pages of this module."""
    return (
        ConsolePage("GET", _PAGE, listed),
        ConsolePage("POST", _PAGE, make, most=_MOST_LIST),
        ConsolePage("GET", f"{_PAGE}/{{id}}", show),
        ConsolePage("POST", f"{_PAGE}/{{id}}/list", upload, most=_MOST_LIST),
        ConsolePage("POST", f"{_PAGE}/{{id}}/{{decision}}", decide),
    )


async def make(visit: Visit) -> Response:
    """Prepare a job, give it its list, and show what the dry run says."""
    body = {
        "action": visit.typed("action"),
        "reason": visit.typed("reason"),
        "until": visit.end_of("until") or None,
        "terms": terms_of(visit) or None,
    }
    try:
        job = await visit.act("POST", _API, body)
    except RefusalError as refusal:
        return await listed(visit, refusal)
    return await _take_list(visit, str(job["id"]))


async def show(visit: Visit) -> Response:
    """Show a job."""
    return await _one(visit, visit.at["id"])


async def upload(visit: Visit) -> Response:
    """Give a job its list once more."""
    return await _take_list(visit, visit.at["id"])


async def decide(visit: Visit) -> Response:
    """Start, approve, reject or stop a job."""
    decision, job_id = visit.at["decision"], visit.at["id"]
    if decision not in _DECISIONS:
        raise NotFoundError("There is nothing at this address.")
    try:
        await visit.act("POST", f"{_ONE}/{decision}", {"reason": visit.typed("reason")}, at={"id": job_id})
    except RefusalError as refusal:
        return await _one(visit, job_id, refusal)
    return visit.go(f"{_PAGE}/{job_id}", said=f"bulk-{decision}")


async def _take_list(visit: Visit, job_id: str) -> Response:
    try:
        await visit.act("PUT", f"{_ONE}/list", at={"id": job_id}, text=visit.exactly("list"), key="")
    except RefusalError as refusal:
        return await _one(visit, job_id, refusal)
    return visit.go(f"{_PAGE}/{job_id}")


async def listed(visit: Visit, refusal: RefusalError | None = None) -> Response:
    """Show every job, newest first, and the form for a new one."""
    found = await visit.look(_API, query=visit.after)
    return visit.show("bulk.html", refusal=refusal, found=found, actions=list(FOR_LISTS), typed=visit.typed)


async def _one(visit: Visit, job_id: str, refusal: RefusalError | None = None) -> Response:
    at = {"id": job_id}
    job = await visit.look(_ONE, at=at)
    outcome = visit.query.get("outcome", "")
    rows = await visit.look(f"{_ONE}/rows", at=at, query={"after": visit.query.get("after", ""), "outcome": outcome})
    return visit.show("bulk_job.html", refusal=refusal, job=job, rows=rows, outcome=outcome)
