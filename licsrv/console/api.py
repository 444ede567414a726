"""The operations of ``/admin/api`` as the console asks them: in the same process, through the same checks.

The browser's own headers are passed on (cookie, origin), so an operation demands the same of a page's call as of a
program's: permission, CSRF token, rate, form of the body, once-only keys.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope

from licsrv.desk.idempotency import HEADER as KEY_HEADER
from licsrv.errors import NotFoundError
from licsrv.people.authentication import CSRF_HEADER
from licsrv.platform.openapi import Operation

_NOT_TAKEN_OVER = frozenset(
    {b"authorization", b"content-type", b"content-length", CSRF_HEADER.lower().encode(), KEY_HEADER.lower().encode()}
)


@dataclass(frozen=True)
class Ask:
    """One call of an operation.

    Args:
        at: The parameters in the path.
        body: The JSON body; None where there is none.
        text: A body that is plain text instead.
        csrf: The token that the page's form carried.
        key: The ``Idempotency-Key`` that the page's form carried; empty for none.
    """

    method: str
    path: str
    at: Mapping[str, str] | None = None
    query: Mapping[str, str] | None = None
    body: Mapping[str, Any] | None = None
    text: str | None = None
    csrf: str = ""
    key: str = ""

    @property
    def raw(self) -> bytes:
        """The body as bytes."""
        if self.text is not None:
            return self.text.encode("utf-8", "surrogatepass")
        return b"" if self.body is None else json.dumps(self.body).encode("ascii")

    @property
    def media_type(self) -> bytes:
        """What the body is."""
        return b"text/plain; charset=utf-8" if self.text is not None else b"application/json"


@dataclass(frozen=True)
class Answer:
    """What an operation answered: its JSON (None for a file), the cookies that it sets, and the answer as it was."""

    content: Any
    cookies: tuple[str, ...]
    response: Response


class Api:
    """The operations, by method and path."""

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._handlers: dict[tuple[str, str], Any] = {(one.method, one.path): one.handler for one in operations}

    def has(self, method: str, path: str) -> bool:
        """Whether there is such an operation."""
        return (method, path) in self._handlers

    async def call(self, request: Request, ask: Ask) -> Answer:
        """Ask an operation on behalf of the browser that sent ``request``.

        Raises:
            RefusalError: What the operation refuses.
            NotFoundError: There is no such operation.
        """
        handler = self._handlers.get((ask.method, ask.path))
        if handler is None:
            raise NotFoundError("There is nothing at this address.")
        response: Response = await handler(Request(_scope(request.scope, ask), _receiving(ask.raw)))
        content = json.loads(bytes(response.body)) if response.media_type == "application/json" else None
        return Answer(content, tuple(response.headers.getlist("set-cookie")), response)


def _scope(scope: Scope, ask: Ask) -> Scope:
    at = dict(ask.at or {})
    path = ask.path.format(**{name: quote(value, safe="") for name, value in at.items()})
    query = {name: value for name, value in (ask.query or {}).items() if value}
    return {
        **scope,
        "method": ask.method,
        "path": path,
        "raw_path": path.encode("ascii"),
        "path_params": at,
        "query_string": urlencode(query).encode("ascii"),
        "headers": [*_headers(scope, ask)],
    }


def _headers(scope: Scope, ask: Ask) -> Iterable[tuple[bytes, bytes]]:
    yield from ((name, value) for name, value in scope["headers"] if name not in _NOT_TAKEN_OVER)
    yield b"content-type", ask.media_type
    yield b"content-length", str(len(ask.raw)).encode()
    for name, text in ((CSRF_HEADER, ask.csrf), (KEY_HEADER, ask.key)):
        if text:
            yield name.lower().encode(), text.encode("latin-1", "replace")


def _receiving(raw: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": raw, "more_body": False}

    return receive
