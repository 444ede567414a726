"""The listener by itself: what arrives too long, too slowly or not at all is given up; what is whole is served."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from licsrv.errors import ServiceUnavailableError
from licsrv.platform import descriptors, listener
from licsrv.platform.metrics import Metrics
from tests.platform.conftest import Log

BODY = b'{"a": 1}'
REQUEST = b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: %d\r\n\r\n" % len(BODY)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answer with the length of the body."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = str(size).encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    monkeypatch.setattr(listener, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(listener, "BODY_SECONDS", 0.3)
    taken = listener.listen("127.0.0.1", 0)
    config = uvicorn.Config(echo, http=listener.GuardedProtocol, ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server._serve([taken]))
    while not server.started:
        await asyncio.sleep(0)
    yield taken.getsockname()[1]
    server.should_exit = True
    await task


async def exchange(port: int, *parts: bytes, pause: float = 0.0) -> bytes:
    """Send parts, and return everything until the server closes or has answered."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(10):
            while not received.endswith(b"8") and (more := await reader.read(65536)):
                received += more
    except ConnectionError:
        received += b"[reset]"
    writer.close()
    return received


WHOLE = {
    "at once": (REQUEST + BODY,),
    "byte by byte": tuple(bytes([byte]) for byte in REQUEST + BODY),
    "headers, then the body": (REQUEST, BODY),
    "headers just short enough": (REQUEST[:-2] + b"x: " + b"v" * 30_000 + b"\r\n\r\n", BODY),
    "a long body": (b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 1000008\r\n\r\n" + b"x" * 1_000_008,),
}


async def test_a_whole_request_is_served_however_it_is_cut(port: int) -> None:
    answers = {name: await exchange(port, *parts) for name, parts in WHOLE.items()}

    assert {name: answer[:80] for name, answer in answers.items() if not answer.startswith(b"HTTP/1.1 200")} == {}


TOO_LONG = {
    "one long value": b"GET / HTTP/1.1\r\nhost: t\r\nx: " + b"v" * 200_000,
    "many values": b"GET / HTTP/1.1\r\nhost: t\r\n" + b"x: y\r\n" * 50_000,
    "a long address": b"GET /" + b"a" * 200_000,
    "a long name": b"GET / HTTP/1.1\r\n" + b"n" * 200_000,
    "complete, but long": b"GET / HTTP/1.1\r\nhost: t\r\nx: " + b"v" * 200_000 + b"\r\n\r\n",
}


async def test_headers_that_are_too_long_are_refused(port: int) -> None:
    answers = {name: await exchange(port, request) for name, request in TOO_LONG.items()}
    slowly = {
        name: await exchange(port, *(request[at : at + 4096] for at in range(0, len(request), 4096)))
        for name, request in TOO_LONG.items()
    }

    refused = (b"HTTP/1.1 431", b"[reset]")
    assert {name: answer for name, answer in (answers | slowly).items() if not answer.startswith(refused)} == {}


TOO_SLOW = {
    "nothing at all": (),
    "half a line": (b"GET / HT",),
    "headers without an end": (b"GET / HTTP/1.1\r\nhost: t\r\n",),
    "half a body": (REQUEST + b"{",),
}


async def test_a_request_that_does_not_arrive_is_given_up(port: int) -> None:
    answers = {name: await exchange(port, *parts) for name, parts in TOO_SLOW.items()}

    assert {name: answer for name, answer in answers.items() if b" 200 " in answer or b"[reset]" in answer} == {}
    assert answers["half a line"].startswith(b"HTTP/1.1 408")


async def test_a_second_request_on_a_connection_has_the_same_limits(port: int) -> None:
    answer = await exchange(port, REQUEST + BODY[:-1] + b" ", b"")
    assert answer.startswith(b"HTTP/1.1 200")

    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST + BODY)
    first = await reader.readuntil(b"\r\n\r\n8")
    writer.write(b"GET / HTTP/1.1\r\nx: " + b"v" * 100_000)
    try:
        rest = await reader.read()
    except ConnectionError:  # closed before everything was read
        rest = b"[reset]"
    writer.close()

    assert first.startswith(b"HTTP/1.1 200")
    assert rest.startswith((b"HTTP/1.1 431", b"[reset]"))


def reaches(family: socket.AddressFamily, address: str, port: int) -> bool:
    with socket.socket(family, socket.SOCK_STREAM) as caller:
        return caller.connect_ex((address, port)) == 0


@pytest.mark.skipif(not socket.has_ipv6, reason="THIS MACHINE HAS NO IPV6")
@pytest.mark.parametrize(("host", "four", "six"), [("::", True, True), ("::1", False, True), ("0.0.0.0", True, False)])
def test_the_any_address_of_version_six_takes_both(host: str, *, four: bool, six: bool) -> None:
    try:
        taken = listener.listen(host, 0)
    except ServiceUnavailableError:
        pytest.skip("THIS MACHINE HAS NO IPV6 ADDRESS")
    taken.listen()
    port = taken.getsockname()[1]

    found = reaches(socket.AF_INET, "127.0.0.1", port), reaches(socket.AF_INET6, "::1", port)
    taken.close()

    assert found == (four, six)


def test_descriptors_are_counted_and_few_left_are_logged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    metrics = Metrics()
    descriptors.watch(metrics)
    assert log.named("file descriptors run out: new connections will wait") == []
    assert 0 < metrics.open_descriptors._value.get() < metrics.descriptor_limit._value.get()

    monkeypatch.setattr(descriptors, "limit", lambda: descriptors.in_use() + 1)
    descriptors.watch(metrics)

    [logged] = log.named("file descriptors run out: new connections will wait")
    assert logged["limit"] == logged["used"] + 1
