"""Gateways, portals and tarpits in place of the server: nothing that they answer stops, holds or fills a program."""

from __future__ import annotations

import gzip
import socket
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from client_stub.session import problems
from client_stub.session.configuration import Configuration
from client_stub.session.connection import UnansweredError
from client_stub.session.heartbeat import Heartbeat
from client_stub.session.session import CheckIn, LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.verdict import Permission
from tests.client_stub.fakes import FakeClock, FakeServer
from tests.client_stub.signing import DEVICE, NOW
from tests.tables import each

Start = Callable[[], LicenseSession]
Answer = Callable[[socket.socket], object]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ZEROS = gzip.compress(b"0" * (64 * 1024 * 1024))


@contextmanager
def stranger(answer: Answer) -> Iterator[str]:
    """Answer every connection in some way."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError):
                        connection.recv(65536)
                        answer(connection)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def drip(connection: socket.socket, before: bytes, drop: bytes) -> None:
    """Send a little at a time, without an end."""
    connection.sendall(before)
    for _ in range(400):
        connection.sendall(drop)
        time.sleep(0.05)


def asked(configuration: Configuration, url: str) -> str:
    transport = DirectTransport(replace(configuration, server_url=url, request_timeout=timedelta(seconds=0.2)))
    with pytest.raises(UnansweredError) as caught:
        transport.send_heartbeat("a.b.c", DEVICE, "nonce")
    transport.close()
    return caught.value.problem.code


@pytest.mark.soak
def test_an_answer_that_drips_in_has_an_end_wherever_it_drips(configuration: Configuration) -> None:
    table: dict[str, tuple[bytes, bytes]] = {
        "in a header": (b"HTTP/1.1 200 OK\r\nX: ", b"a"),
        "in the status line": (b"HTTP/1.1 200 ", b"O"),
        "100 Continue for ever": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        "in the extension of a chunk": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x"),
        "in the trailer": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: ", b"x"),
        "in the body": (HEAD + b"Content-Length: 9999\r\n\r\n", b" "),
    }
    for row in each(table.values(), names=table):
        with row as (before, drop), stranger(lambda connection: drip(connection, before, drop)) as url:
            began = time.monotonic()
            assert asked(configuration, url) == problems.SERVER_UNREACHABLE
            assert time.monotonic() - began < 4


def test_a_packed_answer_fills_no_memory(configuration: Configuration) -> None:
    table = {
        "gzip": (b"gzip", ZEROS),
        "gzip in gzip": (b"gzip, gzip", gzip.compress(ZEROS)),
        "deflate": (b"deflate", ZEROS),
        "a name that is not known": (b"br", ZEROS[:100]),
        "no gzip": (b"gzip", b"{}"),
        "half a gzip": (b"gzip", gzip.compress(b"{}")[:-9]),
    }
    for row in each(table.values(), names=table):
        with row as (encoding, body):
            answer = HEAD + b"Content-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (encoding, len(body), body)
            with stranger(lambda connection: connection.sendall(answer)) as url:  # noqa: B023
                tracemalloc.start()
                assert asked(configuration, url) == problems.UNEXPECTED_ANSWER
                assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
                tracemalloc.stop()


def test_a_packed_answer_of_the_server_is_read(configuration: Configuration) -> None:
    body = gzip.compress(b'{"lease": "a.b.c"}')
    answer = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    with stranger(lambda connection: connection.sendall(answer)) as url:
        transport = DirectTransport(replace(configuration, server_url=url))
        assert transport.send_heartbeat("a.b.c", DEVICE, "nonce") == "a.b.c"


def test_a_refusal_that_names_its_code_twice_is_none(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    body = b'{"code": "NOT_FOUND", "code": "LICENSE_REVOKED"}'
    kind = {"Content-Type": "application/problem+json"}
    server.on_string = lambda _: httpx2.Response(403, content=body, headers=kind)

    session.obtain(DEVICE)

    assert session.verdict().permission is Permission.ALLOWED


def test_what_a_refusal_says_can_be_shown_whatever_it_is(start: Start, server: FakeServer) -> None:
    body = b'{"code": "LICENSE_REVOKED", "detail": "\\ud800No\\u001b[2J\\u202e.", "action": "%b"}' % (b"x" * 60000)
    kind = {"Content-Type": "application/problem+json"}
    server.on_string = lambda _: httpx2.Response(403, content=body, headers=kind)
    session = start()

    session.obtain(DEVICE)

    verdict = session.verdict()
    assert (verdict.sentence, len(verdict.action)) == ("No [2J .", 2000)


def test_a_portal_cannot_put_the_next_question_off_for_a_day(start: Start, server: FakeServer) -> None:
    page = httpx2.Response(511, html="<h1>Log in</h1>", headers={"Retry-After": "86400"})
    server.on_string = server.on_heartbeat = lambda _: page
    session = start()
    session.obtain(DEVICE)

    check_in = session.keep_up()

    assert (check_in.is_denied, check_in.retry_after) == (True, timedelta(seconds=90))


@pytest.mark.parametrize("year", [1, 1970, 2038, 2999, 9999])
def test_a_clock_in_any_year_raises_nothing_and_is_forgiven(
    start: Start, server: FakeServer, clock: FakeClock, year: int
) -> None:
    server.now = lambda: NOW
    first = start()
    first.obtain(DEVICE)
    first.check_in()
    first.close()
    clock.set_by_hand(datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC))
    for is_down in (True, False):
        server.is_down = is_down
        session = start()
        session.obtain(DEVICE)
        session.keep_up()
        session.verdict()
        session.close()
    clock.set_by_hand(NOW + timedelta(days=1))

    last = start()
    last.obtain(DEVICE)
    last.keep_up()

    assert last.verdict().permission is Permission.ALLOWED


def test_the_heartbeat_survives_the_last_day_of_the_calendar() -> None:
    clock = FakeClock(own_time=datetime.max.replace(tzinfo=UTC))
    beats: list[CheckIn] = []
    heartbeat = Heartbeat(lambda: beats.append(CheckIn()) or beats[-1], clock=clock, first_within=timedelta(seconds=5))  # type: ignore[func-returns-value]

    heartbeat.beat_now()
    heartbeat.start()
    for _ in range(500):
        if beats:
            break
        time.sleep(0.01)
    heartbeat.stop(5)

    assert beats
