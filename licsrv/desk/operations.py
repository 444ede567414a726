"""The checks before every operation of the desk, always all of them and in this order.

1. Who calls (:mod:`licsrv.people.authentication`), CSRF included; 2. not too often; 3. with the one permission that the
operation names, and a fresh proof of identity where it asks for one; 4. with a body that fits; 5. not a call that was
answered already (:mod:`licsrv.desk.idempotency`). Only then the operation itself runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlmodel import Session
from starlette.requests import Request
from starlette.responses import Response

from licsrv.audit import Cause
from licsrv.desk import idempotency
from licsrv.desk.desk import Desk
from licsrv.desk.idempotency import Repeatable
from licsrv.errors import (
    ConflictError,
    ForbiddenError,
    InvalidRequestError,
    RefusalError,
    ServiceUnavailableError,
    StepUpRequiredError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from licsrv.people import authentication
from licsrv.people.actors import ANONYMOUS, Actor
from licsrv.people.authentication import CSRF_HEADER, SAFE_METHODS
from licsrv.people.roles import OF_EVERY_PERSON, Permission
from licsrv.people.sessions import Browser
from licsrv.platform import paging
from licsrv.platform.openapi import Operation, SecurityScheme, parse_model
from licsrv.platform.paging import Window
from licsrv.platform.web import MAX_BODY_BYTES, client_request_id_of, read_body, request_id_of, require_json

TOKEN_SCHEME, COOKIE_SCHEME, CSRF_SCHEME = "staff_token", "staff_session", "csrf_token"
SECURITY_SCHEMES: dict[str, SecurityScheme] = {
    TOKEN_SCHEME: {"type": "http", "scheme": "bearer", "description": "an API token of the support desk, lsat_…"},
    COOKIE_SCHEME: {
        "type": "apiKey", "in": "cookie", "name": authentication.COOKIE,
        "description": f"a signed-in browser ({authentication.PLAIN_COOKIE} on a loopback without TLS)",
    },
    CSRF_SCHEME: {
        "type": "apiKey", "in": "header", "name": CSRF_HEADER,
        "description": "with the cookie on unsafe calls, together with this server's Origin",
    },
}  # fmt: skip
_OF_THE_WAY = (UnauthenticatedError, ForbiddenError, TooManyRequestsError, InvalidRequestError, ServiceUnavailableError)

Result = TypeVar("Result")
Answer = TypeVar("Answer", bound=BaseModel)


class _AnsweredAlready(Exception):  # noqa: N818 - no error: another call was first
    """Another call took the key while this one waited."""

    def __init__(self, answer: str) -> None:
        super().__init__()
        self.answer = answer


@dataclass(frozen=True)
class Call:
    """One call under way: who makes it, when, and what it may work with."""

    request: Request
    actor: Actor
    desk: Desk
    now: datetime
    repeatable: Repeatable | None = None

    @property
    def at(self) -> Mapping[str, str]:
        """The parameters in the path."""
        return self.request.path_params

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters behind the path."""
        return self.request.query_params

    def window(self, *, keys: int = 1) -> Window:
        """Return which page of a list is asked for; see :func:`licsrv.platform.paging.window_of`."""
        return paging.window_of(self.query, keys=keys)

    @property
    def browser(self) -> Browser:
        """Where it comes from."""
        return authentication.browser_of(self.request)

    @property
    def request_id(self) -> str:
        """The id of this request."""
        return request_id_of(self.request.scope)

    def cause(self, reason: str = "") -> Cause:
        """Return who did something and why, as the audit records it."""
        named = client_request_id_of(self.request.scope)
        return replace(self.actor.cause(self.request_id, reason), client_request_id=named)

    async def read(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a look-up."""
        return await self.desk.read(use_case)

    async def change(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a use case that changes something, of an operation that cannot be repeated under a key."""
        return await self.desk.writer.run(use_case)

    async def write(self, use_case: Callable[[Session], Answer]) -> Answer:
        """Run the use case that is this call, once for its ``Idempotency-Key``, and return the answer it makes.

        An operation calls this once. The answer is kept in the transaction of the change.
        """
        return await self.desk.writer.run(lambda session: self._once(session, use_case))

    def _once(self, session: Session, use_case: Callable[[Session], Answer]) -> Answer:
        call = self.repeatable
        if call is None:
            return use_case(session)
        if not idempotency.take(session, call, now=self.now):
            given = idempotency.answer_given(session, call, now=self.now)
            raise _AnsweredAlready(given or "{}")
        answer = use_case(session)
        idempotency.keep(session, call, answer.model_dump_json())
        return answer


Handler = Callable[..., Awaitable[BaseModel | Response]]


@dataclass(frozen=True)
class AdminOperation:
    """One method of one path of the desk.

    Args:
        permission: What a caller must hold; the only place where an operation says so.
        handler: ``async (call, body?) -> BaseModel | Response``.
        body: Model of the JSON body, where there is one.
        result: Model of the 200 answer; None where ``media_type`` says what it is instead.
        refusals: What it can answer in addition to the refusals of all operations.
        query: Names of its query parameters.
        most: The longest body in bytes.
        takes: Media types of a body that is no JSON; the handler reads it.
        also: Further media types of the 200 answer.
        needs_proof: Whether a person has to have proved again who they are a short while ago: it gives away access.
    """

    method: str
    path: str
    summary: str
    permission: Permission
    handler: Handler
    body: type[BaseModel] | None = None
    result: type[BaseModel] | None = None
    refusals: Sequence[type[RefusalError]] = ()
    query: Sequence[str] = ()
    tag: str = "support desk"
    media_type: str = "application/json"
    most: int = MAX_BODY_BYTES
    takes: Sequence[str] = ()
    also: Sequence[str] = ()
    needs_proof: bool = False

    @property
    def is_unsafe(self) -> bool:
        """Whether it changes something."""
        return self.method not in SAFE_METHODS

    @property
    def is_repeatable(self) -> bool:
        """Whether it takes an ``Idempotency-Key``.

        What gives out cookies does not, nor what takes a file: sent again it has the same effect anyway.
        """
        return self.is_unsafe and self.permission not in OF_EVERY_PERSON and not self.takes


def guarded(operation: AdminOperation, desk: Desk) -> Operation:
    """Return an operation of the desk as the service serves and documents it."""

    async def handler(request: Request) -> Response:
        return await _serve(operation, desk, request)

    conflict = (ConflictError,) if operation.is_repeatable else ()
    proof = (StepUpRequiredError,) if operation.needs_proof else ()
    return Operation(
        operation.method,
        operation.path,
        f"{operation.summary} ({operation.permission})",
        tag=operation.tag,
        handler=handler,
        body=operation.body,
        reads_body=True,
        takes=operation.takes,
        also=operation.also,
        result=operation.result,
        media_type=operation.media_type,
        refusals=tuple(dict.fromkeys((*_OF_THE_WAY, *proof, *conflict, *operation.refusals))),
        security=_security(operation),
        query=operation.query,
        headers=(idempotency.HEADER,) if operation.is_repeatable else (),
    )


def _security(operation: AdminOperation) -> Sequence[Sequence[str]]:
    """Return which credentials do, each a set that goes together."""
    if operation.permission is Permission.SIGN_IN:
        return ()
    cookie = (COOKIE_SCHEME, CSRF_SCHEME) if operation.is_unsafe else (COOKIE_SCHEME,)
    return (cookie,) if operation.permission is Permission.OWN_ACCOUNT else ((TOKEN_SCHEME,), cookie)


async def _serve(operation: AdminOperation, desk: Desk, request: Request) -> Response:
    now = desk.clock.now()
    actor = await _actor(operation, desk, request, now=now)  # 1, 2
    actor.require(operation.permission)  # 3
    if operation.needs_proof:
        actor.require_proof(desk.settings.step_up, now=now)

    raw = b""
    arguments: list[Any] = []
    if operation.body is not None:  # 4
        require_json(request.scope)
        raw = await read_body(request.receive, limit=operation.most)
        arguments.append(parse_model(operation.body, raw))

    repeatable = None
    if operation.is_repeatable:  # 5
        sealing_key = desk.key_for("answers")
        repeatable = idempotency.repeatable(request, actor, raw, sealing_key=sealing_key)
        if repeatable is not None and (given := await _given(desk, repeatable, now)) is not None:
            return _replay(given)
    try:
        answer = await operation.handler(Call(request, actor, desk, now=now, repeatable=repeatable), *arguments)
    except _AnsweredAlready as already:
        return _replay(already.answer)
    return answer if isinstance(answer, Response) else json_response(answer)


async def _actor(operation: AdminOperation, desk: Desk, request: Request, now: datetime) -> Actor:
    if operation.permission is Permission.SIGN_IN:
        authentication.require_no_foreign_page(request, desk)
        await desk.count_call(f"address:{authentication.browser_of(request).address}")
        return ANONYMOUS
    actor = await authentication.authenticate(request, desk, now=now)
    await desk.count_call(actor.principal)
    return actor


async def _given(desk: Desk, call: Repeatable, now: datetime) -> str | None:
    return await desk.read(lambda session: idempotency.answer_given(session, call, now=now))


def json_response(answer: BaseModel) -> Response:
    """Return an answer that no cache may store."""
    return Response(answer.model_dump_json(), media_type="application/json", headers={"Cache-Control": "no-store"})


def _replay(answer: str) -> Response:
    headers = {"Cache-Control": "no-store", idempotency.REPLAYED_HEADER: "true"}
    return Response(answer, media_type="application/json", headers=headers)
