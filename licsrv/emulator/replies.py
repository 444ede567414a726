"""Answers on their way out: how they look and how they are broken off on purpose; decides nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

import httpx2
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from licsrv.emulator.moments import http_date

JSON_TYPE = "application/json;charset=UTF-8"


@dataclass(frozen=True)
class Reply:
    """An answer before it is sent.

    Args:
        status: HTTP status.
        content: The body.
        outcome: One word or sentence for the journal.
        media_type: The ``Content-Type``.
        closes: Break the connection in the middle of the answer.
    """

    status: int
    content: bytes
    outcome: str
    media_type: str = JSON_TYPE
    closes: bool = False


async def respond(reply: Reply, now: datetime, scope: Scope, receive: Receive, send: Send) -> None:
    """Send an answer with the marketplace's own ``Date``, or its beginning only."""
    headers = {"date": http_date(now), "server": "Nginx", "content-type": reply.media_type}
    if reply.closes:
        await _break_off(headers, send)
    await Response(reply.content, reply.status, headers)(scope, receive, send)


async def _break_off(headers: dict[str, str], send: Send) -> None:
    """Begin an answer and fail: a server closes the connection, an in-process client sees the same error."""
    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": 200, "headers": [*raw, (b"content-length", b"1000")]})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})
    raise httpx2.RemoteProtocolError("the connection was closed in the middle of the answer (fault lose_answer)")


def html_reply(status: int, outcome: str) -> Reply:
    """Return what a web server in between answers."""
    page = f"<html><head><title>{status}</title></head><body><h1>{status}</h1><hr>nginx</body></html>"
    return Reply(status, page.encode(), outcome=f"{status} {outcome}", media_type="text/html")


def json_bytes(value: object) -> bytes:
    """Write JSON as the marketplace does."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
