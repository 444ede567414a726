"""``/admin/api/audit``: who changed what, when and why, and whether that record is complete."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from starlette.responses import Response, StreamingResponse

from licsrv.audit import Action, Mark
from licsrv.desk.audit import answers
from licsrv.desk.audit.answers import AuditChecked, Entries
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.parameters import number_of, text_of, word_of
from licsrv.errors import InvalidRequestError
from licsrv.people.roles import Permission
from licsrv.platform import paging

JSON_LINES = "application/jsonl"
_LINES_AT_ONCE = 1000
_PATH = "/admin/api/audit"


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    return (
        AdminOperation(
            "GET", _PATH, "List the audit", permission=Permission.READ_AUDIT, handler=list_audit, result=Entries,
            query=("subject", "action", *paging.PARAMETERS),
        ),
        AdminOperation(
            "GET", f"{_PATH}/export", "Export the audit, a line of JSON for each entry",
            permission=Permission.EXPORT_AUDIT, handler=export_audit, media_type=JSON_LINES, query=("after_seq",),
        ),
        AdminOperation(
            "GET", f"{_PATH}/check", "Check that no entry of the audit was changed, taken out or cut off",
            permission=Permission.EXPORT_AUDIT, handler=check_audit, result=AuditChecked, query=("noted",),
        ),
    )  # fmt: skip


async def list_audit(call: Call) -> Entries:
    """Answer ``GET /admin/api/audit``."""
    window, subject, action = call.window(), text_of(call.query, "subject"), word_of(call.query, "action", Action)
    return await call.read(lambda session: answers.entries(session, window, subject=subject, action=action))


async def export_audit(call: Call) -> Response:
    """Answer ``GET /admin/api/audit/export``: page by page, however long the audit is."""
    after = number_of(call.query.get("after_seq") or "0")
    if after is None:
        raise InvalidRequestError("after_seq is the number of an entry.")
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_lines(call, after), headers=headers, media_type=JSON_LINES)


async def _lines(call: Call, after: int) -> AsyncIterator[str]:
    last: int | None = after
    while last is not None:
        from_here = last
        found, last = await call.read(lambda session: answers.lines(session, from_here, _LINES_AT_ONCE))  # noqa: B023 - run before the next turn
        yield "".join(found)


async def check_audit(call: Call) -> AuditChecked:
    """Answer ``GET /admin/api/audit/check``: the whole chain is read, so a long one takes a while."""
    text = text_of(call.query, "noted")
    try:
        noted = Mark.parse(text) if text is not None else None
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None
    return await call.read(lambda session: answers.checked(session, noted))
