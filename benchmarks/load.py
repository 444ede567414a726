"""The load generator: requests made beforehand, sent over kept-alive connections, one at a time on each.

It speaks just enough HTTP/1.1 for servers that answer with ``content-length``, so that it costs far less than what it
measures. It does not make requests and does not judge answers beyond their status: callers do, from the samples.
"""

from __future__ import annotations

import asyncio
import gc
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter, process_time
from typing import cast

import uvloop

from benchmarks.errors import BenchmarkError

HOST = "127.0.0.1"
_HEAD_END = b"\r\n\r\n"
_LENGTH = b"content-length:"


@dataclass(frozen=True)
class Sample:
    """One answer kept to be looked at: the index of its request, and its body."""

    request: int
    body: bytes


@dataclass(frozen=True)
class Load:
    """What a run of requests showed; latencies in seconds, sorted.

    ``generator_share`` is how much of its core the generator used: near 1 it would be what was measured.
    """

    seconds: float
    latencies: Sequence[float] = field(repr=False)
    statuses: Counter[int]
    samples: Sequence[Sample] = field(repr=False)
    generator_share: float

    @property
    def rate(self) -> float:
        """Answers per second."""
        return len(self.latencies) / self.seconds

    def milliseconds(self, share: float) -> float:
        """Return the latency that this share of the answers (0.99 for p99) did not exceed, in milliseconds."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)] * 1000


def http_request(method: str, target: str, body: bytes = b"", **headers: str) -> bytes:
    """Return the bytes of one request; header names are written with ``_`` for ``-``."""
    lines = [f"{method} {target} HTTP/1.1", "host: licsrv.benchmark"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("ascii") + body


def shuffled(count: int, *, seed: int = 1) -> list[int]:
    """Return the indexes below ``count`` in random order; the same for the same seed."""
    return random.Random(seed).sample(range(count), count)


def send(
    port: int,
    requests: Sequence[bytes],
    order: Sequence[int],
    *,
    connections: int,
    samples: int = 20,
    time_limit: float = 120,
    per_second: float | None = None,
) -> Load:
    """Send requests in an order and wait for every answer.

    Args:
        port: Where the server listens on loopback.
        requests: The requests as bytes.
        order: Which of them to send, by index; one may be sent many times.
        connections: How many are under way at once.
        samples: How many answers to keep, spread evenly over the run.
        time_limit: Seconds for the whole run.
        per_second: Requests a second over all connections; None: each as soon as the answer before it is there.

    Raises:
        BenchmarkError: An answer was not 200, a connection broke, the time was over, or there is nothing to send.
    """
    if not order:
        raise BenchmarkError("There is nothing to send.")
    run = _Run(requests, order, samples, per_second)
    gc.collect()
    gc.freeze()  # the requests are no garbage: walking through them again and again would show up as latency
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            load = runner.run(run.drive(port, min(connections, len(order)), time_limit))
    finally:
        gc.unfreeze()
    if set(load.statuses) != {200}:
        raise BenchmarkError(f"Not every answer was 200: {dict(load.statuses)}; one said {run.refusal!r}")
    return load


class _Run:
    """One run: what its connections share, and what they find."""

    def __init__(self, requests: Sequence[bytes], order: Sequence[int], samples: int, per_second: float | None) -> None:
        self._requests = requests
        self._order = iter(order)
        self._count = len(order)
        self._sample_step = max(self._count // max(samples, 1), 1)
        self._latencies: list[float] = []
        self._statuses: Counter[int] = Counter()
        self._samples: list[Sample] = []
        self._seconds_each = 1 / per_second if per_second else 0.0
        self._next_at = 0.0
        self._done: asyncio.Future[None] | None = None
        self.refusal = b""

    async def drive(self, port: int, connections: int, time_limit: float) -> Load:
        """Open the connections, wait for the last answer, close them."""
        loop = asyncio.get_running_loop()
        self._done = loop.create_future()
        opened = [(await loop.create_connection(lambda: _Connection(self), HOST, port))[1] for _ in range(connections)]
        started, busy = perf_counter(), process_time()
        try:
            for connection in opened:
                connection.send_next()
            async with asyncio.timeout(time_limit):
                await self._done
            seconds, busy = perf_counter() - started, process_time() - busy
        except TimeoutError:
            raise BenchmarkError(f"{len(self._latencies)} of {self._count} answers in {time_limit} s.") from None
        finally:
            for connection in opened:
                connection.close()
        return Load(
            seconds,
            latencies=sorted(self._latencies),
            statuses=self._statuses,
            samples=self._samples,
            generator_share=busy / seconds,
        )

    def next(self) -> tuple[int, bytes] | None:
        """Return the next request and its index, or None when all are under way."""
        index = next(self._order, None)
        return None if index is None else (index, self._requests[index])

    def pause(self) -> float:
        """Return how many seconds the next request has to wait for its turn; turns that were missed are made up."""
        now = perf_counter()
        self._next_at = (self._next_at or now) + self._seconds_each
        return self._next_at - self._seconds_each - now if self._seconds_each else 0.0

    def answered(self, request: int, seconds: float, status: int, body: bytes) -> None:
        """Note an answer; the last one ends the run."""
        self._latencies.append(seconds)
        self._statuses[status] += 1
        if status != 200 and not self.refusal:
            self.refusal = body[:300]
        answers = len(self._latencies)
        if answers % self._sample_step == 0:
            self._samples.append(Sample(request, body))
        if answers == self._count and self._done is not None and not self._done.done():
            self._done.set_result(None)

    def broken(self, error: Exception | None) -> None:
        """End the run: a connection broke while an answer was due."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(BenchmarkError(f"The server closed a connection: {error}"))


class _Connection(asyncio.Protocol):
    """One kept-alive connection with one request under way."""

    __slots__ = ("_buffer", "_request", "_run", "_sent_at", "_transport", "_waits")

    def __init__(self, run: _Run) -> None:
        self._run = run
        self._buffer = b""
        self._request = -1
        self._sent_at = 0.0
        self._waits = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)

    def send_next(self) -> None:
        """Send the next request of the run, if there is one."""
        following = self._run.next()
        self._waits = following is not None
        if following is None or self._transport is None:
            return
        self._request, data = following
        if (pause := self._run.pause()) > 0:
            asyncio.get_running_loop().call_later(pause, self._write, data)
        else:
            self._write(data)

    def _write(self, data: bytes) -> None:
        self._sent_at = perf_counter()
        if self._transport is not None:
            self._transport.write(data)

    def data_received(self, data: bytes) -> None:
        """Take in a part of an answer; when it is whole, note it and send the next request."""
        buffer = self._buffer + data if self._buffer else data
        head_end = buffer.find(_HEAD_END)
        if head_end < 0 or len(buffer) < (end := head_end + 4 + _content_length(buffer, head_end)):
            self._buffer = buffer
            return
        self._buffer = b""
        seconds = perf_counter() - self._sent_at
        self._run.answered(self._request, seconds, int(buffer[9:12]), body=buffer[head_end + 4 : end])
        self.send_next()

    def connection_lost(self, error: Exception | None) -> None:
        """End the run if an answer was due."""
        if self._waits:
            self._run.broken(error)

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()


def _content_length(buffer: bytes, head_end: int) -> int:
    """Read the length that every server measured here sends, in lower case."""
    start = buffer.find(_LENGTH, 0, head_end)
    if start < 0:
        raise BenchmarkError("An answer has no content-length.")
    line_end = buffer.find(b"\r\n", start)
    return int(buffer[start + len(_LENGTH) : line_end])
