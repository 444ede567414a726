"""How slowly an answer may come in, headers included, and how far it may unfold.

The HTTP client's limit restarts with every byte, so an answer that trickles in would hold a check-in for days. A watch
ends the connection of such an answer. A body is unfolded by hand, because an answer of some hundred bytes can hold
gigabytes of zeros.
"""

from __future__ import annotations

import math
import socket
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

LEAST_BYTES_PER_SECOND = 1024
"""What a long answer has to bring beyond the time that any answer may take."""
_LONGEST_WAIT = 60.0
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_CONNECTED = frozenset({"connect_tcp.complete", "start_tls.complete"})


class Pace:
    """The pace of one answer.

    Args:
        monotonic: Seconds that never go back.
        patience: Seconds that any answer may take.
    """

    def __init__(self, monotonic: Callable[[], float], patience: float) -> None:
        self._monotonic = monotonic
        self._ends_at = monotonic() + patience
        self._received = 0
        self._over = threading.Event()
        self._connection: socket.socket | None = None

    def received(self, length: int) -> None:
        """Count what has come of the body."""
        self._received += length

    def left(self) -> float:
        """Return the seconds in which something has to come; not positive when it should have been here."""
        return self._ends_at + self._received / LEAST_BYTES_PER_SECOND - self._monotonic()

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Note the connection that the answer comes on; called by the HTTP client."""
        if event.partition(".")[2] in _CONNECTED:
            stream = info.get("return_value")
            ask = getattr(stream, "get_extra_info", lambda _: None)
            self._connection = ask("socket")

    @contextmanager
    def watched(self) -> Iterator[None]:
        """End the connection from another thread when the answer is too slow."""
        watch = threading.Thread(target=self._watch, name="license-answer", daemon=True)
        watch.start()
        try:
            yield
        finally:
            self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(min(max(self.left(), 0.0), _LONGEST_WAIT)):
            if self.left() <= 0:
                self._end()
                return

    def _end(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                # Not the one of an SSL socket: that takes the reading thread's encryption away while it reads.
                socket.socket.shutdown(self._connection, socket.SHUT_RDWR)


def is_foldable(encoding: str) -> bool:
    """Return True for the encodings of a body (RFC 9110 §8.4) that are understood."""
    return encoding.strip().lower() in ("", "identity", "gzip", "x-gzip")


def unfolded(chunks: Iterator[bytes], encoding: str, maximum: int) -> Iterator[bytes]:
    """Yield a body as it was before it was packed, never more than one byte beyond ``maximum`` of a packed one.

    Raises:
        zlib.error: It is not what its encoding says.
    """
    if encoding.strip().lower() in ("", "identity"):
        yield from chunks
        return
    unpacking, left = zlib.decompressobj(_GZIP_WINDOW), maximum + 1
    for chunk in chunks:
        piece = unpacking.decompress(chunk, left) if left else b""
        left -= len(piece)
        yield piece
    if not unpacking.eof and left:
        raise zlib.error("the packed body is incomplete")


def patience_of(pause: float | None, times: int) -> float:
    """Return how long an answer may take where the limit of one pause is known; for ever where there is none."""
    return math.inf if pause is None else pause * times
