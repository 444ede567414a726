"""The listener: its socket, and limits for callers that send too much, too slowly, or nothing at all.

The HTTP parser bounds neither the size of headers nor the time that they take. A proxy in front usually does; these
limits hold without one, too. They are wider than a proxy's, so that its answers are the ones that callers see.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from licsrv.errors import ServiceUnavailableError
from licsrv.platform import descriptors, logs

MAX_HEADER_BYTES = 32 * 1024
HEADER_SECONDS = 15.0
BODY_SECONDS = 30.0
BODY_BYTES = 64 * 1024
"""A body that brings fewer bytes than these in ``BODY_SECONDS``, without being complete, is given up."""
_KEPT_DESCRIPTORS = 96  # for the database, keys, the marketplace and the log
_LEAST_CONNECTIONS = 32
_END_OF_HEADERS = b"\r\n\r\n"
_PROBLEMS = {
    431: b"431 Request Header Fields Too Large",
    408: b"408 Request Timeout",
}
_log = logs.logger(__name__)


class GuardedProtocol(HttpToolsProtocol):
    """One connection. A request that arrives whole costs it one comparison; timers run only for those that do not."""

    cycle: RequestResponseCycle | None  # type: ignore[assignment]  # none before the first request
    _received = 0
    _timer: asyncio.TimerHandle | None = None
    _timer_seconds: float | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._wait(HEADER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._wait(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Pass bytes on, unless headers are longer than headers may be."""
        if (
            len(data) > MAX_HEADER_BYTES
            and not self._is_in_body()
            and data.find(_END_OF_HEADERS, 0, MAX_HEADER_BYTES) < 0
        ):
            self._refuse(431)
            return
        super().data_received(data)
        cycle = self.cycle
        if cycle is not None and cycle.scope is self.scope and not cycle.more_body:
            self._received = 0
            if self._timer is not None:
                self._wait(None)
            return
        self._count_part(len(data))

    def _is_in_body(self) -> bool:
        return self.cycle is not None and self.cycle.scope is self.scope and self.cycle.more_body

    def _count_part(self, size: int) -> None:
        """Note a part of a request that is not complete."""
        self._received += size
        if self._is_in_body():
            if self._timer is None or self._timer_seconds == HEADER_SECONDS:
                self._received = 0
                self._wait(BODY_SECONDS)
        elif self._received > MAX_HEADER_BYTES:
            self._refuse(431)
        elif self._timer is None:
            self._wait(HEADER_SECONDS)

    def _wait(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_seconds = seconds
        self._timer = None if seconds is None else self.loop.call_later(seconds, self._too_slow)

    def _too_slow(self) -> None:
        if self._is_in_body() and self._received >= BODY_BYTES:
            self._received = 0
            self._wait(BODY_SECONDS)
            return
        self._refuse(408)

    def _refuse(self, status: int) -> None:
        """Close the connection; say why where no answer is under way."""
        self._wait(None)
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete:
            head = b"HTTP/1.1 %s\r\ncontent-length: 0\r\nconnection: close\r\n\r\n" % _PROBLEMS[status]
            self.transport.write(head)
        _log.info("connection closed: its request was too long or too slow", status=status)
        self.transport.close()


def most_connections() -> int:
    """Return how many connections leave descriptors for everything else."""
    return max(descriptors.limit() - _KEPT_DESCRIPTORS, _LEAST_CONNECTIONS)


def listen(host: str, port: int) -> socket.socket:
    """Take the address; ``::`` also takes every IPv4 address.

    Raises:
        ServiceUnavailableError: It cannot be taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ServiceUnavailableError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}).",
            action="Choose another by --port, or end what listens there.",
        ) from error
    listener.set_inheritable(True)
    return listener
