"""The load generator: every answer is awaited, looked at and counted, in whatever pieces it comes."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from benchmarks.errors import BenchmarkError
from benchmarks.load import http_request, send, shuffled

Behaviour = Callable[[socketserver.StreamRequestHandler, bytes], None]
REQUESTS = [http_request("POST", "/", f"number {number}".encode()) for number in range(5)]


@contextmanager
def listening(behaviour: Behaviour) -> Iterator[int]:
    """Serve on loopback: read one request after the other and let ``behaviour`` answer its body."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while length := self._content_length():
                behaviour(self, self.rfile.read(length))
                if self.wfile.closed:
                    return

        def _content_length(self) -> int:
            length = 0
            while (line := self.rfile.readline()) not in {b"\r\n", b""}:
                if line.startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            return length

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def echo(handler: socketserver.StreamRequestHandler, body: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


def echo_byte_by_byte(handler: socketserver.StreamRequestHandler, body: bytes) -> None:
    for byte in b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body):
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()


def refuse(handler: socketserver.StreamRequestHandler, body: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy")


def hang_up(handler: socketserver.StreamRequestHandler, body: bytes) -> None:
    handler.wfile.close()


def say_no_length(handler: socketserver.StreamRequestHandler, body: bytes) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")


def say_nothing(handler: socketserver.StreamRequestHandler, body: bytes) -> None:
    """Leave the caller waiting."""


def serving(behaviour: Behaviour) -> AbstractContextManager[int]:
    return listening(behaviour)


@pytest.mark.parametrize("behaviour", [echo, echo_byte_by_byte])
def test_each_answer_belongs_to_its_request(behaviour: Behaviour) -> None:
    order = [4, 0, 2, 2, 1, 3, 0]

    with serving(behaviour) as port:
        load = send(port, REQUESTS, order, connections=3, samples=len(order))

    assert load.statuses == {200: len(order)}
    assert sorted(sample.request for sample in load.samples) == sorted(order)
    assert all(sample.body == b"number %d" % sample.request for sample in load.samples)


def test_latencies_are_sorted_and_a_percentile_is_one_of_them() -> None:
    with serving(echo) as port:
        load = send(port, REQUESTS, range(5), connections=1, samples=1)

    assert len(load.latencies) == 5
    assert list(load.latencies) == sorted(load.latencies)
    assert load.milliseconds(1) == load.latencies[-1] * 1000
    assert load.milliseconds(0.5) == load.latencies[2] * 1000
    assert load.rate == 5 / load.seconds


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (refuse, "503"),
        (hang_up, "closed a connection"),
        (say_no_length, "closed a connection"),
        (say_nothing, "0 of 5"),
    ],
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_run_with_a_wrong_answer_does_not_count(behaviour: Behaviour, said: str) -> None:
    with serving(behaviour) as port, pytest.raises(BenchmarkError, match=said):
        send(port, REQUESTS, range(5), connections=2, time_limit=0.2)


def test_nothing_to_send_is_no_measurement() -> None:
    with pytest.raises(BenchmarkError, match="nothing"):
        send(1, REQUESTS, [], connections=1)


def test_the_random_order_holds_everything_once_and_is_the_same_for_the_same_seed() -> None:
    assert sorted(shuffled(100)) == list(range(100))
    assert shuffled(100, seed=2) == shuffled(100, seed=2) != shuffled(100, seed=3)
