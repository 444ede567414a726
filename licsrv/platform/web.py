"""HTTP around the use cases: request ids, security headers, body limits, problem+json (RFC 9457).

Plain ASGI: the heartbeat route pays for every layer. What a route does is not known here.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from licsrv.errors import (
    BodyTooLargeError,
    InvalidRequestError,
    KeyringError,
    MethodNotAllowedError,
    NotFoundError,
    RefusalError,
    ServiceUnavailableError,
    StorageBusyError,
    StorageError,
    StorageUnwritableError,
    UnsupportedMediaTypeError,
)
from licsrv.platform import addresses, logs
from licsrv.platform.clock import stopwatch
from licsrv.platform.logs import REQUEST_ID
from licsrv.platform.metrics import Metrics

Headers = Sequence[tuple[bytes, bytes]]
PROBLEM_JSON = "application/problem+json"
PROBLEM_TYPE = "urn:licsrv:problem:"
MAX_BODY_BYTES = 64 * 1024
_DRAIN_BYTES = 4 * 1024 * 1024
_KEY_SECONDS = 60  # the operator has to make or restore a key
_STORAGE_SECONDS = 20  # a failover or an operator has to end it

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
_HOT_HEADERS = _SECURITY_HEADERS[:2]  # the others say something of pages only, and each costs a little
_QUIET_ROUTES = frozenset({"/v1/heartbeats", "/v1/seats/renew", "/healthz", "/readyz", "/metrics"})
_JSON_HEADER = (b"content-type", b"application/json")
_log = logs.logger(__name__)


class Gateway:
    """Outermost layer: names, times and counts each request, adds headers, turns uncaught errors into a 500.

    Args:
        app: Serves everything.
        hot: Applications that serve ``(method, path)`` themselves, past the routing that costs them a tenth of their
            speed; they turn their refusals into answers by themselves.
        addresses: How much of the caller's address request lines hold: ``full``, ``shortened`` or ``none``.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        hot: Mapping[tuple[str, str], ASGIApp] | None = None,
        addresses: str = "shortened",
    ) -> None:
        self._app = app
        self._shown = _SHOWN[addresses]
        self._metrics = metrics
        self._hot = hot or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"{random.getrandbits(64):016x}"
        named = _named_by_client(scope)
        scope.setdefault("state", {}).update(request_id=request_id, client_request_id=named)
        token = REQUEST_ID.set(request_id)
        hot = self._hot.get((scope["method"], scope["path"]))
        exchange = _Exchange(send, (request_id, named), _SECURITY_HEADERS if hot is None else _HOT_HEADERS)
        started = stopwatch()
        try:
            if hot is not None:
                scope["matched_path"] = scope["path"]
            await (hot or self._app)(scope, receive, exchange.send)
        except ClientDisconnect:
            exchange.status = 499
        except Exception:
            _log.exception("request failed", path=scope["path"], method=scope["method"])
            if not exchange.started:
                await internal_problem(request_id)(scope, receive, exchange.send)
        finally:
            self._record(scope, exchange.status, stopwatch() - started)
            REQUEST_ID.reset(token)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = _route_of(scope)
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.count_request(route, method, status, seconds=seconds)
        if status >= 400 or route not in _QUIET_ROUTES:
            more = {"address": self._shown(scope["client"][0])} if scope.get("client") and self._shown else {}
            if named := client_request_id_of(scope):
                more["client_request_id"] = named
            milliseconds = round(seconds * 1000, 1)
            _log.info("request", method=method, route=route, status=status, milliseconds=milliseconds, **more)


_SHOWN = {"full": addresses.address_of, "shortened": addresses.network_of, "none": None}
_ID_HEADERS = (b"x-request-id", b"x-client-request-id")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class _Exchange:
    """One answer under way: remembers its status and adds our headers to its start."""

    def __init__(self, send: Send, ids: tuple[str, str], headers: Headers) -> None:
        self._send = send
        self._ids = [(name, one.encode("ascii")) for name, one in zip(_ID_HEADERS, ids, strict=True) if one]
        self._headers = headers
        self.started = False
        self.status = 500

    async def send(self, message: Message) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = list(message.get("headers", ()))
            given = {name for name, _ in headers}
            headers += [pair for pair in self._headers if pair[0] not in given]
            headers += self._ids
            message["headers"] = headers
        await self._send(message)


def _named_by_client(scope: Scope) -> str:
    """Return what the client calls its request; empty where it says nothing well-formed. It never becomes our id."""
    for name, value in scope["headers"]:
        if name == b"x-request-id":
            text = value.decode("latin-1")
            return str(text) if _REQUEST_ID.fullmatch(text) else ""
    return ""


def _route_of(scope: Scope) -> str:
    """Return the route's pattern, never the path itself: paths are chosen by callers and would flood the metrics."""
    route = scope.get("route")
    return getattr(route, "path", None) or scope.get("matched_path") or "unmatched"


def request_id_of(scope: Scope | Mapping[str, Any]) -> str:
    """Return the id that :class:`Gateway` gave this request."""
    return str(scope.get("state", {}).get("request_id", ""))


def client_request_id_of(scope: Scope | Mapping[str, Any]) -> str:
    """Return what the client called this request; empty where it did not."""
    return str(scope.get("state", {}).get("client_request_id", ""))


async def read_body(receive: Receive, *, limit: int = MAX_BODY_BYTES) -> bytes:
    """Read the whole body, at most ``limit`` bytes.

    A longer body is read to its end (up to a few MiB) and thrown away, so that its sender gets the answer instead of
    a broken connection.

    Raises:
        BodyTooLargeError: It is longer.
        ClientDisconnect: The caller went away.
    """
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body: bytes = message.get("body", b"")
        if len(body) <= limit:
            return body
    chunks, size = [], 0
    while message["type"] == "http.request":
        size += len(message.get("body", b""))
        if size <= limit:
            chunks.append(message.get("body", b""))
        if not message.get("more_body", False) or size > _DRAIN_BYTES:
            break
        message = await receive()
    else:
        raise ClientDisconnect
    if size > limit:
        raise BodyTooLargeError(f"The body is longer than the {limit} bytes that this address reads.")
    return b"".join(chunks)


def authorization_of(scope: Scope) -> str:
    """Return the ``Authorization`` header; empty where there is none."""
    for name, value in scope["headers"]:
        if name == b"authorization":
            return str(value.decode("latin-1"))
    return ""


async def send_json(send: Send, body: bytes) -> None:
    """Answer 200 with a JSON text, past the object that a response otherwise is."""
    headers = [_JSON_HEADER, (b"content-length", str(len(body)).encode("ascii"))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def require_json(scope: Scope) -> None:
    """Refuse a body that does not say it is JSON.

    Raises:
        UnsupportedMediaTypeError: Any other or no content type.
    """
    for name, value in scope["headers"]:
        if name == b"content-type":
            if value.split(b";")[0].strip().lower() == b"application/json":
                return
            break
    raise UnsupportedMediaTypeError("The body must be JSON.", action="Send the header Content-Type: application/json.")


def problem_document(error: RefusalError, request_id: str) -> dict[str, object]:
    """Return the problem+json members of a refusal."""
    document: dict[str, object] = {
        "type": PROBLEM_TYPE + error.code.lower().replace("_", "-"),
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "code": error.code,
        "request_id": request_id,
    }
    if error.action is not None:
        document["action"] = error.action
    if error.trace:
        document["trace"] = [step.shown() for step in error.trace]
    return document | error.extra


def problem_response(error: RefusalError, request_id: str) -> Response:
    """Return a refusal as a response."""
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else {}
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(problem_document(error, request_id), error.status, headers, media_type=PROBLEM_JSON)


def internal_problem(request_id: str) -> Response:
    """Return the plain answer to an error of ours; what happened is in the log under the same request id."""
    document = {
        "type": PROBLEM_TYPE + "internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "Something went wrong on our side; nothing was changed. Support can find it by the request id.",
        "code": "INTERNAL_ERROR",
        "request_id": request_id,
    }
    return Response(json.dumps(document), 500, media_type=PROBLEM_JSON)


async def answer_json(
    scope: Scope,
    receive: Receive,
    send: Send,
    *,
    answer: Callable[[Scope, Receive], Awaitable[bytes]],
    metrics: Metrics,
) -> None:
    """Serve one request past the framework: 200 with the JSON text that ``answer`` returns, or its refusal, counted."""
    try:
        body = await answer(scope, receive)
    except (RefusalError, StorageError, KeyringError) as error:
        refusal = as_refusal(error)
        if refusal is None:
            raise
        metrics.refusals.labels(refusal.code).inc()
        await problem_response(refusal, request_id_of(scope))(scope, receive, send)
        return
    await send_json(send, body)


def as_refusal(error: Exception) -> RefusalError | None:
    """Return an error as callers see it, or None where it is a fault of ours.

    Which key is missing concerns the operator only: that is logged here.
    """
    if isinstance(error, RefusalError):
        return error
    if isinstance(error, KeyringError):
        _log.error("something cannot be signed", exc_info=error)
        return ServiceUnavailableError(
            "The service cannot sign its answer now; nothing was changed.",
            action="Try again later, or ask the vendor's support.",
            retry_after=_KEY_SECONDS,
        )
    if isinstance(error, StorageError):
        return _from_storage(error)
    if isinstance(error, HTTPException):
        return _from_http(error)
    return None


def _from_storage(error: StorageError) -> RefusalError:
    """Say whether waiting a moment helps, or an operator has to act; the reason itself is in the log."""
    if isinstance(error, StorageBusyError):
        return ServiceUnavailableError(
            "The service is too busy to answer; nothing was changed.", action="Try again in a moment.", retry_after=2
        )
    cannot = "cannot save anything" if isinstance(error, StorageUnwritableError) else "cannot use its database"
    return ServiceUnavailableError(
        f"The service {cannot} now; nothing was changed.",
        action="Try again later, or ask the vendor's support.",
        retry_after=_STORAGE_SECONDS,
    )


def _from_http(error: HTTPException) -> RefusalError | None:
    if error.status_code == 404:
        return NotFoundError("There is nothing at this address.")
    if error.status_code == 405:
        return MethodNotAllowedError("This address does not take this method.")
    if error.status_code == 400:
        return InvalidRequestError("The request cannot be read.")
    return None


def exception_handlers(metrics: Metrics) -> dict[Any, ExceptionHandler]:
    """Return Starlette's table of handlers: every declared error becomes a problem document."""

    async def handle(request: Request, error: Exception) -> Response:
        refusal = as_refusal(error)
        if refusal is None:
            raise error
        metrics.refusals.labels(refusal.code).inc()
        response = problem_response(refusal, request_id_of(request.scope))
        for name, value in (getattr(error, "headers", None) or {}).items():
            response.headers[name] = value
        return response

    async def fail(request: Request, _: Exception) -> Response:
        return internal_problem(request_id_of(request.scope))  # the gateway hears of it too, and logs it

    told = (RefusalError, StorageError, KeyringError, HTTPException)
    return {**dict.fromkeys(told, handle), Exception: fail}
