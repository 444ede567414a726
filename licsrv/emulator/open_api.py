"""The open API's entrance: journal, faults, gateway, method; then the product line's operation, then the answer.

Knows no field of any body. Every answer carries the envelope of the operation's dialect, unless a fault asks for
something else.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from licsrv.emulator import rewriting
from licsrv.emulator.aksk import SignedRequest, parse_authorization
from licsrv.emulator.deliveries import shown
from licsrv.emulator.errors import GatewayRefusedError, OpenApiRefusedError
from licsrv.emulator.faults import FaultKind, Side
from licsrv.emulator.json_text import MAX_BYTES
from licsrv.emulator.open_api_codes import (
    GATEWAY_CODE,
    GATEWAY_PREFIX,
    GATEWAY_STATUS,
    TAIL_LOCKED,
    UNAUTHORIZED,
    UNAUTHORIZED_NAME,
    OpenApiCode,
    Wording,
)
from licsrv.emulator.product_line import BASE_PATH, Call, Dialect, Operation
from licsrv.emulator.replies import Reply, html_reply, json_bytes, respond
from licsrv.emulator.requests_journal import ReceivedRequest

if TYPE_CHECKING:
    from licsrv.emulator.emulator import Emulator
    from licsrv.emulator.faults import Fault


class OpenApiEndpoint:
    """One path of the open API, as an ASGI application that sees every method."""

    def __init__(self, emulator: Emulator, operation: Operation) -> None:
        self._emulator = emulator
        self._operation = operation

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request and write it down."""
        request = Request(scope, receive)
        skew = self._take(FaultKind.CLOCK_SKEW_SECONDS)
        now = self._emulator.clock.now() + timedelta(seconds=skew.number if skew else 0)
        content = await _read(request)
        reply = await self._reply(request, content, now)
        self._emulator.requests.add(_journal_entry(request, content or b"", reply, now=now))
        await respond(reply, now=now, scope=scope, receive=receive, send=send)

    async def _reply(self, request: Request, content: bytes | None, now: datetime) -> Reply:
        """Go the way of a request.

        1. Faults that come before the gateway: delay, HTTP status. 2. The gateway. 3. The method. 4. A forced code.
        5. The operation. 6. Faults that come after its effect: lost answer, garbage.
        """
        if delay := self._take(FaultKind.DELAY_SECONDS):
            await asyncio.sleep(delay.number)
        if broken := self._take(FaultKind.STATUS):
            return html_reply(int(broken.number), "HTTP status (fault)")
        return self._spoil_answer(self._decide(request, content, now))

    def _decide(self, request: Request, content: bytes | None, now: datetime) -> Reply:
        try:
            return self._perform(request, content, now)
        except GatewayRefusedError as refusal:
            return _gateway_reply(GATEWAY_STATUS, GATEWAY_CODE, GATEWAY_PREFIX + refusal.tail)
        except OpenApiRefusedError as refusal:
            return self._coded(refusal.code, None, reason=refusal.reason)

    def _perform(self, request: Request, content: bytes | None, now: datetime) -> Reply:
        if content is None:
            # GAP: the gateway's own limit and text; any client that gets here is in error.
            return _gateway_reply(413, "APIGW.0201", f"Request body is longer than {MAX_BYTES} bytes")
        self._authenticate(request, content, now)
        if request.method != self._operation.method:
            raise OpenApiRefusedError(self._operation.dialect().wrong_method)
        if forced := self._forced():
            return forced
        return self._coded(self._operation.dialect().success, self._operation.perform(_call(request, content, now)))

    def _authenticate(self, request: Request, content: bytes, now: datetime) -> None:
        # From the scope: request.url is put together with the Host header, which a caller may fill with anything.
        path, query = request.scope["path"], request.scope["query_string"].decode("latin-1")
        signed = SignedRequest(request.method, path, query=query, headers=dict(request.headers.items()), body=content)
        signed = replace(signed, body_may_be_unsigned=self._operation.body_may_be_unsigned)
        if self._take(FaultKind.LOCK_KEY_PAIR):
            raise GatewayRefusedError(TAIL_LOCKED)
        refuse = self._take(FaultKind.REFUSE_SIGNATURE) is not None
        self._emulator.gateway.authenticate(signed, now=now, refuse=refuse)

    def _forced(self) -> Reply | None:
        """Return the answer a fault asks for; a code that this operation does not know is not for it."""
        fault = self._emulator.faults.find(Side.OPEN_API, FaultKind.ERROR_CODE, self._operation.name)
        known = {code.value: code for code in self._operation.dialect().wordings}
        name = fault.text if fault else ""
        code = known.get(name.removesuffix(UNAUTHORIZED_NAME.removeprefix(OpenApiCode.INTERNAL_ERROR)))
        if code is None:
            return None
        self._take(FaultKind.ERROR_CODE)
        if name == UNAUTHORIZED_NAME:
            return _enveloped(
                UNAUTHORIZED.status, self._operation.dialect(), code=code, message=UNAUTHORIZED.message, data=None
            )
        return self._coded(code, None)

    def _coded(self, code: StrEnum, data: Mapping[str, object] | None, *, reason: str = "") -> Reply:
        dialect = self._operation.dialect()
        status, message = self._phrase(dialect.wordings[code])
        return _enveloped(status, dialect, code=code, message=message, data=data, reason=reason)

    def _phrase(self, wording: Wording) -> tuple[int, str]:
        if self._emulator.settings.legacy_http_status:
            return wording.legacy_status, wording.legacy_message
        return wording.status, wording.message

    def _spoil_answer(self, reply: Reply) -> Reply:
        reply = self._rewrite(reply)
        if lost := self._take(FaultKind.LOSE_ANSWER):
            outcome = f"{reply.outcome}, answer lost (fault)"
            return Reply(200, b"", outcome, closes=True) if lost.text == "close" else html_reply(502, outcome)
        if garbage := self._take(FaultKind.GARBAGE):
            return Reply(200, garbage.text.encode(), f"{reply.outcome}, answer garbled (fault)")
        return reply

    def _rewrite(self, reply: Reply) -> Reply:
        """Write the answer in another form than documented, where a fault asks for one."""
        content = reply.content
        for kind, change in _CHANGES.items():
            if fault := self._take(kind):
                content = rewriting.rewritten(content, change(fault.text))
        return replace(reply, content=content)

    def _take(self, kind: FaultKind) -> Fault | None:
        return self._emulator.faults.take(Side.OPEN_API, kind, self._operation.name)


_CHANGES: dict[FaultKind, Callable[[str], rewriting.Change]] = {
    FaultKind.MEMBERS: rewriting.replacing,
    FaultKind.DATE_FORM: rewriting.dated,
    FaultKind.CHARGING_MODE: lambda mode: rewriting.replacing(json.dumps({"chargingMode": mode})),
    FaultKind.CODE_PREFIX: rewriting.prefixed,
}


class UnknownPath:
    """Everything below the base path that is no operation; the gateway answers it.

    GAP: the gateway's text for this host; the API gateway's general code for an unpublished API is taken.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 404 and write it down."""
        request, now = Request(scope, receive), self._emulator.clock.now()
        reply = _gateway_reply(404, "APIGW.0101", "The API does not exist or has not been published")
        self._emulator.requests.add(_journal_entry(request, b"", reply, now=now))
        await respond(reply, now=now, scope=scope, receive=receive, send=send)


def routes(emulator: Emulator, operations: Sequence[Operation]) -> list[Route]:
    """Return the routes of the open API."""
    known = [Route(BASE_PATH + each.path, OpenApiEndpoint(emulator, each)) for each in operations]
    return [*known, Route(BASE_PATH + "/{rest:path}", UnknownPath(emulator))]


def _call(request: Request, content: bytes, now: datetime) -> Call:
    return Call(
        path_values=dict(request.path_params),
        query=request.scope["query_string"].decode("latin-1"),
        content_type=request.headers.get("content-type", ""),
        content=content,
        received_at=now,
    )


async def _read(request: Request) -> bytes | None:
    """Return the body, or None when it is too long; the rest of a long body is not read."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > MAX_BYTES:
            return None
    return bytes(content)


def _enveloped(
    status: int,
    dialect: Dialect,
    code: StrEnum,
    message: str,
    data: Mapping[str, object] | None,
    *,
    reason: str = "",
) -> Reply:
    return Reply(status, json_bytes(dialect.envelope(code, message, data)), f"{code.value} {reason}".strip())


def _gateway_reply(status: int, code: str, message: str) -> Reply:
    body = {"error_msg": message, "error_code": code, "request_id": secrets.token_hex(16)}
    return Reply(status, json_bytes(body), f"{code} {message}")


def _journal_entry(request: Request, content: bytes, reply: Reply, now: datetime) -> ReceivedRequest:
    return ReceivedRequest(
        at=now,
        method=request.method,
        path=request.scope["path"],
        ak=_ak_of(request),
        http_status=reply.status,
        outcome=reply.outcome,
        body=shown(content),
    )


def _ak_of(request: Request) -> str | None:
    try:
        return parse_authorization(request.headers.get("authorization", "")).access
    except ValueError:
        return None
