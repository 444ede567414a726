"""Threads of our own: one that does one thing after the other and survives it all, and waits that can be cut short."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable

_LOG = logging.getLogger(__name__)


class Alarm:
    """Waits that can be cut short from another thread."""

    def __init__(self) -> None:
        self._rung = threading.Event()

    def wait(self, seconds: float) -> None:
        """Return after ``seconds``, or at once when rung; a ring before the wait counts too."""
        self._rung.wait(seconds)
        self._rung.clear()

    def ring(self) -> None:
        """End the wait."""
        self._rung.set()


class OrderedThread:
    """Runs posted tasks in their order on a daemon thread of its own."""

    def __init__(self, name: str) -> None:
        self._tasks: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def is_current(self) -> bool:
        """True when the caller is a task of this thread."""
        return self._thread is threading.current_thread()

    def start(self) -> None:
        """Start the thread; once per object. Tasks posted before are kept."""
        self._thread.start()

    def post(self, task: Callable[[], object]) -> None:
        """Have ``task`` done after everything posted before; returns at once. An exception of it is logged."""
        self._tasks.put(task)

    def stop(self, timeout: float) -> None:
        """Drop what has not begun, and wait ``timeout`` seconds at most for the task that runs."""
        self._stopping = True
        self._tasks.put(None)
        if self._thread.is_alive() and not self.is_current:
            self._thread.join(timeout)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None and not self._stopping:
            try:
                task()
            except Exception:
                _LOG.exception("a task of the thread %s failed", self._thread.name)
