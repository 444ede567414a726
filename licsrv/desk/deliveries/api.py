"""``/admin/api/outbox``: what is reported to the marketplace, and what to do with a delivery that it refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlmodel import Session

from licsrv.desk import names
from licsrv.desk.deliveries import actions, answers
from licsrv.desk.deliveries.answers import DecidedAnswer, Deliveries
from licsrv.desk.fields import Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.parameters import number_of, text_of, word_of
from licsrv.errors import ConflictError, LicenseNotFoundError, NotFoundError
from licsrv.outbox.rules import State
from licsrv.people.roles import Permission
from licsrv.platform import paging

_PATH = "/admin/api/outbox"
_Decide = Callable[..., bool]


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    manage, refusals = Permission.MANAGE_OUTBOX, (NotFoundError, ConflictError)
    return (
        AdminOperation(
            "GET", _PATH, "List deliveries to the marketplace", permission=Permission.READ_OUTBOX,
            handler=list_deliveries, result=Deliveries, refusals=(LicenseNotFoundError,),
            query=("state", "license", *paging.PARAMETERS),
        ),
        AdminOperation(
            "POST", f"{_PATH}/{{id}}/retry", "Try a delivery again now", permission=manage, handler=retry_delivery,
            body=Reasoned, result=DecidedAnswer, refusals=refusals,
        ),
        AdminOperation(
            "POST", f"{_PATH}/{{id}}/drop", "Give a delivery up for good", permission=manage, handler=drop_delivery,
            body=Reasoned, result=DecidedAnswer, refusals=refusals,
        ),
    )  # fmt: skip


async def list_deliveries(call: Call) -> Deliveries:
    """Answer ``GET /admin/api/outbox``."""
    window, name, state = call.window(), text_of(call.query, "license"), word_of(call.query, "state", State)
    states = answers.OPEN if state is None else (state,)

    def use_case(session: Session) -> Deliveries:
        license_id = names.license_of(session, name).id if name is not None else None
        return answers.deliveries(session, window, states=states, license_id=license_id)

    return await call.read(use_case)


async def retry_delivery(call: Call, body: Reasoned) -> DecidedAnswer:
    """Answer ``POST /admin/api/outbox/{id}/retry``."""
    return await _decide(call, body, actions.retry)


async def drop_delivery(call: Call, body: Reasoned) -> DecidedAnswer:
    """Answer ``POST /admin/api/outbox/{id}/drop``."""
    return await _decide(call, body, actions.drop)


async def _decide(call: Call, body: Reasoned, decide: _Decide) -> DecidedAnswer:
    row_id, cause = _delivery_id(call), call.cause(body.reason)

    def use_case(session: Session) -> DecidedAnswer:
        return DecidedAnswer(id=row_id, changed=decide(session, row_id, cause=cause, now=call.now))

    return await call.write(use_case)


def _delivery_id(call: Call) -> int:
    number = number_of(call.at["id"])
    if number is None:
        raise actions.unknown(0)
    return number
