"""A host program for the tests: it is told of events and can be asked what it heard."""

from __future__ import annotations

import json
import queue
import threading
from typing import Any

from client_stub.session.events import EventType

PATIENCE = 10.0


class Program:
    """The example class of the SDK's pages."""

    def __init__(self) -> None:
        self.heard: queue.Queue[tuple[EventType, dict[str, Any], str]] = queue.Queue()
        self.texts: list[str] = []

    def EventRecall(self, event: EventType, message: str) -> None:  # noqa: N802
        self.texts.append(message)
        self.heard.put((event, json.loads(message), threading.current_thread().name))

    def next_event(self) -> tuple[EventType, dict[str, Any]]:
        event, message, _ = self.heard.get(timeout=PATIENCE)
        return event, message["params"]

    def next_status(self) -> str:
        return str(self.next_event()[1]["Status"])
