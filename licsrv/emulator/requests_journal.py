"""Which open API requests were received and how they were answered; kept in memory, the newest thousand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import datetime

from licsrv.emulator.moments import rfc3339

KEPT = 1000


@dataclass(frozen=True)
class ReceivedRequest:
    """One request of the open API.

    Args:
        at: The marketplace's time, as its window and ``Date`` header used it.
        method: HTTP method.
        path: Decoded path.
        ak: The access key id it named, when it could be read; not necessarily one that exists.
        http_status: Of the answer; 200 also when the connection was broken off.
        outcome: The answer's code, or what a fault did instead.
        body: The beginning of its body.
    """

    at: datetime
    method: str
    path: str
    ak: str | None
    http_status: int
    outcome: str
    body: str

    def view(self) -> dict[str, object]:
        """Describe the request for the control API."""
        return {
            "at": rfc3339(self.at),
            "method": self.method,
            "path": self.path,
            "ak": self.ak,
            "http_status": self.http_status,
            "outcome": self.outcome,
            "body": self.body,
        }


class RequestJournal:
    """The newest requests, the oldest first."""

    def __init__(self) -> None:
        self._requests: deque[ReceivedRequest] = deque(maxlen=KEPT)

    def add(self, request: ReceivedRequest) -> None:
        """Write a request down; the oldest is dropped when a thousand are kept."""
        self._requests.append(request)

    def all(self) -> list[ReceivedRequest]:
        """Return every request that is kept."""
        return list(self._requests)

    def clear(self) -> None:
        """Forget every request."""
        self._requests.clear()
