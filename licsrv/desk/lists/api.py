"""``/admin/api/desk``, ``…/outbox``, ``…/callbacks``, ``…/audit``, ``…/products``, ``…/keys``, ``…/releases``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime

from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response, StreamingResponse

from licsrv import audit
from licsrv.audit import Cause, Mark
from licsrv.desk.deliveries import actions
from licsrv.desk.fields import Reasoned
from licsrv.desk.licenses import page
from licsrv.desk.lists import lists
from licsrv.desk.lists.lists import Callbacks, Deliveries, Entries, Keys, Products, Releases
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.today import board
from licsrv.desk.today.board import BoardAnswer
from licsrv.errors import ConflictError, InvalidRequestError, LicenseNotFoundError, NotFoundError
from licsrv.outbox.rules import State
from licsrv.people.roles import Permission
from licsrv.platform import paging
from licsrv.platform.fields import Body

JSON_LINES = "application/jsonl"
_LINES_AT_ONCE = 1000
_LONGEST_NUMBER = 9
_Decide = Callable[..., bool]


class DecidedAnswer(Body):
    """What became of a delivery. ``changed`` is false where it was so already, or is being tried at this moment."""

    id: int
    changed: bool


class AuditChecked(Body):
    """Whether the audit's chain is whole."""

    is_intact: bool
    entries: int
    end: str = Field(description="its last entry and that one's hash, to be noted elsewhere and sent as noted later")
    problem: str | None


def operations() -> Sequence[AdminOperation]:
    """Return the operations with the permissions that they ask for."""
    read, outbox = Permission.READ_LICENSES, Permission.MANAGE_OUTBOX
    of_delivery = (NotFoundError, ConflictError)
    return (
        AdminOperation(
            "GET", "/admin/api/desk", "Show what needs somebody", read, show_board, result=BoardAnswer,
        ),
        AdminOperation(
            "GET", "/admin/api/outbox", "List deliveries to the marketplace", Permission.READ_OUTBOX, list_deliveries,
            result=Deliveries, refusals=(LicenseNotFoundError,), query=("state", "license", *paging.PARAMETERS),
        ),
        AdminOperation(
            "POST", "/admin/api/outbox/{id}/retry", "Try a delivery again now", outbox, retry_delivery,
            body=Reasoned, result=DecidedAnswer, refusals=of_delivery,
        ),
        AdminOperation(
            "POST", "/admin/api/outbox/{id}/drop", "Give a delivery up for good", outbox, drop_delivery,
            body=Reasoned, result=DecidedAnswer, refusals=of_delivery,
        ),
        AdminOperation(
            "GET", "/admin/api/callbacks", "List what the marketplace sent", Permission.READ_OUTBOX, list_callbacks,
            result=Callbacks, query=("code", "failed", *paging.PARAMETERS),
        ),
        AdminOperation(
            "GET", "/admin/api/audit", "List the audit", Permission.READ_AUDIT, list_audit,
            result=Entries, query=("subject", "action", *paging.PARAMETERS),
        ),
        AdminOperation(
            "GET", "/admin/api/audit/export", "Export the audit, a line of JSON for each entry",
            Permission.EXPORT_AUDIT, export_audit, media_type=JSON_LINES, query=("after_seq",),
        ),
        AdminOperation(
            "GET", "/admin/api/audit/check", "Check that no entry of the audit was changed, taken out or cut off",
            Permission.EXPORT_AUDIT, check_audit, result=AuditChecked, query=("noted",),
        ),
        AdminOperation(
            "GET", "/admin/api/products", "List products", read, list_products,
            result=Products, query=paging.PARAMETERS,
        ),
        AdminOperation(
            "GET", "/admin/api/keys", "List signing keys, without their private halves", Permission.READ_KEYS,
            list_keys, result=Keys,
        ),
        AdminOperation(
            "GET", "/admin/api/releases", "List published versions", read, list_releases,
            result=Releases, query=("product_id", *paging.PARAMETERS),
        ),
    )  # fmt: skip


async def show_board(call: Call) -> BoardAnswer:
    """Answer ``GET /admin/api/desk``."""
    tools, zone = call.desk.support, call.desk.settings.day_zone
    keyring = tools.keyring()
    return await call.read(
        lambda session: board.board(
            session,
            keyring=keyring,
            key_pair=tools.key_pair,
            clock_difference=tools.clock_difference(),
            view=tools.view(call.now),
            zone=zone,
        )
    )


async def list_deliveries(call: Call) -> Deliveries:
    """Answer ``GET /admin/api/outbox``."""
    window, states, name = paging.window_of(call.request.query_params), _states(call), _parameter(call, "license")

    def use_case(session: Session) -> Deliveries:
        license_id = page.license_of(session, name).id if name is not None else None
        return lists.deliveries(session, window, states=states, license_id=license_id)

    return await call.read(use_case)


def _states(call: Call) -> Sequence[State]:
    word = _parameter(call, "state")
    if word is None:
        return (State.WAITING, State.PARKED)
    if word.upper() not in list(State):
        raise InvalidRequestError(f"state is one of {', '.join(State)}.")
    return (State(word.upper()),)


def _parameter(call: Call, name: str) -> str | None:
    """Return a query parameter that can be looked up; None where it is left out or empty."""
    value = call.request.query_params.get(name)
    if value is not None and "\x00" in value:
        raise InvalidRequestError(f"{name} has characters that cannot be stored.")
    return value or None


async def retry_delivery(call: Call, body: Reasoned) -> DecidedAnswer:
    """Answer ``POST /admin/api/outbox/{id}/retry``."""
    return await _decide(call, body, actions.retry)


async def drop_delivery(call: Call, body: Reasoned) -> DecidedAnswer:
    """Answer ``POST /admin/api/outbox/{id}/drop``."""
    return await _decide(call, body, actions.drop)


async def _decide(call: Call, body: Reasoned, decide: _Decide) -> DecidedAnswer:
    row_id, cause = _delivery_id(call), call.cause(body.reason)
    return await call.write(lambda session: _decided(session, row_id, decide, cause, call.now))


def _decided(session: Session, row_id: int, decide: _Decide, cause: Cause, now: datetime) -> DecidedAnswer:
    return DecidedAnswer(id=row_id, changed=decide(session, row_id, cause=cause, now=now))


def _delivery_id(call: Call) -> int:
    text: str = call.request.path_params["id"]
    if not (text.isascii() and text.isdecimal() and len(text) < len(str(2**31))):
        raise actions.unknown(0) from None
    return int(text)


async def list_callbacks(call: Call) -> Callbacks:
    """Answer ``GET /admin/api/callbacks``."""
    window, code = paging.window_of(call.request.query_params), _parameter(call, "code")
    only_failed = _parameter(call, "failed") in {"1", "true"}
    return await call.read(lambda session: lists.callbacks(session, window, code=code, only_failed=only_failed))


async def list_audit(call: Call) -> Entries:
    """Answer ``GET /admin/api/audit``."""
    window = paging.window_of(call.request.query_params)
    subject, action = _parameter(call, "subject"), _parameter(call, "action")
    return await call.read(lambda session: lists.audit_entries(session, window, subject=subject, action=action))


async def export_audit(call: Call) -> Response:
    """Answer ``GET /admin/api/audit/export``: page by page, however long the audit is."""
    text = _parameter(call, "after_seq") or "0"
    if not (text.isascii() and text.isdecimal() and len(text) <= _LONGEST_NUMBER):
        raise InvalidRequestError("after_seq is the number of an entry.")
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(_lines(call, int(text)), headers=headers, media_type=JSON_LINES)


async def _lines(call: Call, after: int) -> AsyncIterator[str]:
    last: int | None = after
    while last is not None:
        from_here = last
        found, last = await call.read(lambda session: lists.audit_lines(session, from_here, _LINES_AT_ONCE))  # noqa: B023 - run before the next turn
        yield "".join(found)


async def check_audit(call: Call) -> AuditChecked:
    """Answer ``GET /admin/api/audit/check``: the whole chain is read, which takes a while where it is long."""
    text = _parameter(call, "noted")
    try:
        noted = Mark.parse(text) if text is not None else None
    except ValueError as error:
        raise InvalidRequestError(str(error)) from None

    def use_case(session: Session) -> AuditChecked:
        problem, end = audit.verify(session, noted), audit.mark(session)
        entries = end.seq if end is not None else 0
        return AuditChecked(is_intact=problem is None, entries=entries, end=str(end or ""), problem=problem)

    return await call.read(use_case)


async def list_products(call: Call) -> Products:
    """Answer ``GET /admin/api/products``."""
    window = paging.window_of(call.request.query_params)
    return await call.read(lambda session: lists.products(session, window))


async def list_keys(call: Call) -> Keys:
    """Answer ``GET /admin/api/keys``."""
    return lists.keys(call.desk.support.keyring(), now=call.now)


async def list_releases(call: Call) -> Releases:
    """Answer ``GET /admin/api/releases``."""
    window, product_id = paging.window_of(call.request.query_params), _parameter(call, "product_id")
    return await call.read(lambda session: lists.releases(session, window, product_id=product_id, now=call.now))
