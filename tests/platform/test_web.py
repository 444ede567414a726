"""HTTP around the use cases: every answer is named, guarded and in one form, whatever comes in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp

from licsrv.errors import (
    BodyTooLargeError,
    ConflictError,
    StorageBusyError,
    TooManyRequestsError,
    UnauthenticatedError,
)
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import Operation, routes
from licsrv.platform.web import MAX_BODY_BYTES, Gateway, exception_handlers, read_body
from tests.platform.conftest import Log
from tests.platform.serving import serving

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
PROBLEM_MEMBERS = {"type", "title", "status", "detail", "code", "request_id"}


class Note(BaseModel):
    text: str
    times: int = 1


async def repeat(_: Request, body: Note) -> Note:
    return Note(text=body.text * body.times)


async def length(request: Request) -> Response:
    return Response(str(len(await read_body(request.receive))))


async def fail(request: Request) -> Response:
    raise FAILURES[request.query_params["with"]]


async def fail_half_way(_: Request) -> Response:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"half of "
        raise ValueError("the-raw-secret")

    return StreamingResponse(pieces())


async def cached(_: Request) -> Response:
    return Response("kept", headers={"Cache-Control": "max-age=300"})


FAILURES: dict[str, Exception] = {
    "conflict": ConflictError("It is taken.", action="Take another.", parts={"mac": "differs"}),
    "no credential": UnauthenticatedError("Who are you?"),
    "too many": TooManyRequestsError("Slowly.", retry_after=7),
    "busy": StorageBusyError("postgresql://licsrv:password@db is busy"),
    "unexpected": ZeroDivisionError("the-raw-secret"),
    "teapot": HTTPException(418, "the-raw-secret"),
    "group": ExceptionGroup("the-raw-secret", [ValueError("the-raw-secret")]),
}
OPERATIONS = (
    Operation("POST", "/notes", "Repeat a note", "test", repeat, body=Note, result=Note),
    Operation("GET", "/notes", "Something else", "test", cached, media_type="text/plain"),
    Operation("POST", "/length", "Measure a body", "test", length, media_type="text/plain"),
    Operation("GET", "/fail", "Fail", "test", fail),
    Operation("POST", "/fail", "Fail", "test", fail),
    Operation("GET", "/half", "Fail half-way", "test", fail_half_way),
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def app(metrics: Metrics) -> ASGIApp:
    app = Starlette(routes=routes(OPERATIONS), exception_handlers=exception_handlers(metrics))
    return Gateway(app, metrics=metrics)


@pytest.fixture
async def http(app: ASGIApp) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://test") as http:
        yield http


# --- names of requests


@pytest.mark.parametrize("given", ["abcd1234", "A-b_c.9-" * 8, "0" * 64])
async def test_what_the_client_calls_its_request_is_a_field_of_its_own(
    http: httpx2.AsyncClient, given: str, log: Log
) -> None:
    answer = await http.get("/nothing", headers={"X-Request-ID": given})

    assert answer.headers.get_list("x-client-request-id") == [given]
    [ours] = answer.headers.get_list("x-request-id")
    assert ours != given
    assert answer.json()["request_id"] == ours
    [line] = log.named("request")
    assert (line["request_id"], line["client_request_id"]) == (ours, given)


@pytest.mark.parametrize(
    "given",
    ["", "short12", "x" * 65, "with blank", "line\\nbreak", "<script>x", "h\u00f6flichkeit".encode().decode("latin-1")],
)
async def test_any_other_request_id_is_ignored(http: httpx2.AsyncClient, given: str) -> None:
    answer = await http.get("/nothing", headers=[(b"X-Request-ID", given.encode("latin-1"))])

    [name] = answer.headers.get_list("x-request-id")
    assert name != given
    assert len(name) == 16
    assert answer.json()["request_id"] == name
    assert "x-client-request-id" not in answer.headers


async def test_each_request_has_a_name_of_its_own(http: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(http.get("/notes") for _ in range(20)))

    assert len({answer.headers["x-request-id"] for answer in answers}) == 20


SHOWN = [
    ("full", "192.0.2.77", "192.0.2.77"), ("shortened", "192.0.2.77", "192.0.2.0/24"),
    ("shortened", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("shortened", "::ffff:192.0.2.77", "192.0.2.0/24"),
    ("shortened", "a.socket", "unknown"), ("none", "192.0.2.77", None),
]  # fmt: skip


@pytest.mark.parametrize(("how", "address", "shown"), SHOWN)
async def test_a_request_line_holds_as_much_of_the_address_as_is_set(
    metrics: Metrics, log: Log, how: str, address: str, shown: str | None
) -> None:
    app = Gateway(Starlette(routes=routes(OPERATIONS)), metrics=metrics, addresses=how)
    transport = httpx2.ASGITransport(app=app, client=(address, 1234))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        await http.get("/notes")

    [line] = log.named("request")
    assert line.get("address") == shown


# --- headers and problems


ANSWERS = [
    ("GET", "/notes", None, 200), ("HEAD", "/notes", None, 200), ("GET", "/nothing", None, 404),
    ("DELETE", "/notes", None, 405), ("POST", "/notes", b"{}", 422), ("POST", "/length", b"x" * 70_000, 413),
    ("GET", "/fail?with=conflict", None, 409), ("GET", "/fail?with=unexpected", None, 500),
    ("GET", "/fail?with=busy", None, 503), ("GET", "/fail?with=teapot", None, 500),
    ("GET", "/fail?with=group", None, 500),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status"), ANSWERS)
async def test_every_answer_carries_the_security_headers(
    app: ASGIApp, method: str, path: str, body: bytes | None, status: int
) -> None:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        answer = await http.request(method, path, content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status
    expected = SECURITY_HEADERS | ({"cache-control": "max-age=300"} if status == 200 else {})
    assert {name: answer.headers[name] for name in expected} == expected
    assert answer.headers["x-request-id"]
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert set(answer.json()) >= PROBLEM_MEMBERS
        assert answer.json()["status"] == status
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert "the-raw-secret" not in answer.text
        assert "password" not in answer.text


async def test_a_refusal_says_all_it_knows(http: httpx2.AsyncClient, metrics: Metrics) -> None:
    answer = await http.get("/fail", params={"with": "conflict"})

    assert answer.json() == {
        "type": "urn:licsrv:problem:conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "It is taken.",
        "code": "CONFLICT",
        "request_id": answer.headers["x-request-id"],
        "action": "Take another.",
        "parts": {"mac": "differs"},
    }
    assert metrics.registry.get_sample_value("licsrv_refusals_total", {"code": "CONFLICT"}) == 1


async def test_a_missing_credential_is_asked_for(http: httpx2.AsyncClient) -> None:
    answer = await http.get("/fail", params={"with": "no credential"})

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(("failure", "seconds"), [("too many", "7"), ("busy", "2")])
async def test_who_shall_come_back_is_told_when(http: httpx2.AsyncClient, failure: str, seconds: str) -> None:
    assert (await http.get("/fail", params={"with": failure})).headers["retry-after"] == seconds


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"])
async def test_a_wrong_method_is_told_the_right_ones(http: httpx2.AsyncClient, method: str) -> None:
    answer = await http.request(method, "/notes")

    assert (answer.status_code, answer.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert {name.strip() for name in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}


async def test_head_is_get_without_a_body(http: httpx2.AsyncClient) -> None:
    answer = await http.head("/notes")

    assert (answer.status_code, answer.headers["content-length"]) == (200, "4")


async def test_an_unexpected_error_is_logged_under_the_name_of_its_request(http: httpx2.AsyncClient, log: Log) -> None:
    answer = await http.get("/fail", params={"with": "unexpected"})

    assert answer.json()["code"] == "INTERNAL_ERROR"
    [failure] = log.named("request failed")
    assert failure["request_id"] == answer.headers["x-request-id"]
    assert failure["path"] == "/fail"
    assert "ZeroDivisionError: the-raw-secret" in failure["exception"], "the log, and only the log, has it whole"


async def test_an_answer_that_breaks_off_stays_broken_off(app: ASGIApp, log: Log) -> None:
    async with serving(app) as (host, port), httpx2.AsyncClient(trust_env=False) as http:
        with pytest.raises(httpx2.RemoteProtocolError):
            await http.get(f"http://{host}:{port}/half")

    ours = [event["event"] for event in log.events() if event["logger"].startswith("licsrv")]
    assert ours == ["request failed", "request"]


# --- bodies


PLAIN = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("size", "status"), [(0, 200), (1, 200), (MAX_BODY_BYTES, 200), (MAX_BODY_BYTES + 1, 413), (1 << 20, 413)]
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_is_read_up_to_its_limit(
    http: httpx2.AsyncClient, size: int, status: int, *, chunked: bool
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, size, 1000):
            yield b"x" * min(1000, size - start)

    answer = await http.post("/length", content=pieces() if chunked else b"x" * size)

    assert answer.status_code == status
    assert answer.text == str(size) if status == 200 else answer.json()["code"] == "BODY_TOO_LARGE"


@pytest.mark.parametrize("mebibytes", [1, 8])
@pytest.mark.parametrize("chunked", [False, True])
async def test_who_sends_far_too_much_still_gets_the_answer(app: ASGIApp, mebibytes: int, *, chunked: bool) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(mebibytes * 16):
            yield b"x" * 65_536

    body = pieces() if chunked else b"x" * (mebibytes << 20)
    async with serving(app) as (host, port), httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"http://{host}:{port}/length", content=body)
        assert (answer.status_code, answer.json()["code"]) == (413, "BODY_TOO_LARGE")
        assert (await http.post(f"http://{host}:{port}/length", content=b"xyz")).text == "3"


async def test_a_body_without_an_end_is_not_read_for_ever() -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 65_536
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": True}

    with pytest.raises(BodyTooLargeError):
        await read_body(receive)

    assert read < 64 << 20


@pytest.mark.parametrize("content_type", ["", "text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_a_body_that_is_no_json_is_not_looked_at(http: httpx2.AsyncClient, content_type: str) -> None:
    headers = {"Content-Type": content_type} if content_type else {}

    answer = await http.post("/notes", content=b'{"text":"a"}', headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert answer.json()["action"]


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON; charset=utf-8", "application/json ;"])
async def test_json_may_be_called_json_in_every_usual_way(http: httpx2.AsyncClient, content_type: str) -> None:
    answer = await http.post("/notes", content=b'{"text":"a","times":3}', headers={"Content-Type": content_type})

    assert answer.json() == {"text": "aaa", "times": 1}


BAD_BODIES = {
    "nothing": b"", "no object": b"[]", "half of one": b'{"text":"a"', "something behind": b'{"text":"a"} x',
    "a missing member": b'{"times":2}', "a wrong type": b'{"text":7}', "no number": b'{"text":"a","times":"many"}',
    "not a number": b'{"text":"a","times":NaN}', "half a surrogate": b'{"text":"\\ud800"}',
    "no utf-8": b'{"text":"\xff"}',
    "too deep": b'{"text":' + b"[" * 20_000 + b"]" * 20_000 + b"}",
    "a huge number": b'{"text":"a","times":1' + b"0" * 5000 + b"}",
    "a byte order mark": b'\xef\xbb\xbf{"text":"a"}',
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_BODIES)
async def test_a_body_that_does_not_fit_is_explained_without_repeating_it(http: httpx2.AsyncClient, case: str) -> None:
    answer = await http.post("/notes", content=BAD_BODIES[case], headers=PLAIN)

    assert (answer.status_code, answer.json()["code"]) == (422, "INVALID_REQUEST")
    assert answer.json()["errors"]
    assert "many" not in answer.text


# --- what is counted


async def test_what_callers_invent_never_becomes_a_label(http: httpx2.AsyncClient, metrics: Metrics) -> None:
    for number in range(30):
        await http.get(f"/invented-{number}")
        await http.request(f"INVENTED{number}", "/notes")
        await http.delete(f"/notes/{number}")
    await http.get("/notes?code=PL0000000001")

    text = metrics.text().decode()
    assert "nvented" not in text.lower().replace('method="other"', "")
    assert "PL0000000001" not in text
    assert 'licsrv_requests_total{method="GET",route="unmatched",status="404"} 30.0' in text
    assert 'route="/notes",status="405"} 30.0' in text
    assert 'licsrv_requests_total{method="GET",route="/notes",status="200"} 1.0' in text


async def test_quiet_routes_are_logged_only_when_they_fail(log: Log, metrics: Metrics) -> None:
    failing = False

    async def healthz(_: Request) -> Response:
        if failing:
            raise ConflictError("No.")
        return Response("ok")

    operation = Operation("GET", "/healthz", "Live?", "test", healthz)
    app = Starlette(routes=routes([operation]), exception_handlers=exception_handlers(metrics))
    transport = httpx2.ASGITransport(app=Gateway(app, metrics=metrics))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        await http.get("/healthz")
        assert log.events() == []
        failing = True
        await http.get("/healthz")

    [event] = log.events()
    assert (event["event"], event["route"], event["status"]) == ("request", "/healthz", 409)


# --- callers that go away


async def test_a_caller_that_goes_away_is_no_failure_of_ours(app: ASGIApp, metrics: Metrics, log: Log) -> None:
    head = b"POST /notes HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n"
    async with serving(app) as (host, port):
        _, writer = await asyncio.open_connection(host, port)
        writer.write(head + b'{"text":')
        await writer.drain()
        await asyncio.sleep(0)
        writer.close()
        await writer.wait_closed()
        async with asyncio.timeout(10):
            while not metrics.registry.get_sample_value(
                "licsrv_requests_total", {"route": "/notes", "method": "POST", "status": "499"}
            ):
                await asyncio.sleep(0.005)

    assert log.named("request failed") == []


async def test_other_protocols_are_passed_on(app: ASGIApp) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> dict[str, str]:
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/notes", "headers": [], "query_string": b"", "subprotocols": []}
    await app(scope, receive, send)

    assert [message["type"] for message in sent] == ["websocket.close"]


def test_a_problem_document_is_json_all_the_way() -> None:
    assert json.loads(json.dumps(FAILURES["conflict"].extra)) == {"parts": {"mac": "differs"}}  # type: ignore[attr-defined]
