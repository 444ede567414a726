"""The background thread that hears ISCDesk's events. Never throws into the host program.

Asks again as soon as an answer is there; after a failure it waits, longer each time up to a minute, with jitter.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable

from client_stub.machine.threads import Alarm
from client_stub.sdk.iscdesk_transport import IscdeskEvent, IscdeskTransport
from client_stub.session.connection import TransportError
from client_stub.session.repeating import Uniform

_LOG = logging.getLogger(__name__)
_LONGEST_PAUSE = 60.0
_SHORTEST_ROUND = 0.5
"""Seconds; an ISCDesk that answers "nothing" at once, instead of waiting, is not asked more often than this."""


class IscdeskPoll:
    """Asks for events until stopped, and passes each on to ``hear``.

    Args:
        hear: Takes one event; called on this thread, and must return at once.
        uniform: Where the jitter comes from.
        alarm: What is waited on.
    """

    def __init__(
        self,
        iscdesk: IscdeskTransport,
        hear: Callable[[IscdeskEvent], None],
        *,
        uniform: Uniform | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self._iscdesk = iscdesk
        self._hear = hear
        self._uniform = uniform or random.SystemRandom().uniform
        self._alarm = alarm or Alarm()
        self._stopping = False
        self._thread = threading.Thread(target=self.run, name="license-iscdesk", daemon=True)

    def start(self) -> None:
        """Start the thread; once per object."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Ask the thread to end and wait for it, ``timeout`` seconds at most."""
        self._stopping = True
        self._alarm.ring()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def run(self) -> None:
        """Ask until stopped; in the caller's thread. Never raises."""
        failures = 0
        while not self._stopping:
            began = time.monotonic()
            try:
                failures, pause = 0, 0.0 if self._hear_next() else _SHORTEST_ROUND - (time.monotonic() - began)
            except TransportError as error:
                _LOG.info("no events from ISCDesk: %s", error.problem.code)
                failures, pause = failures + 1, self._pause(failures)
            except Exception:
                _LOG.exception("hearing ISCDesk failed on an unexpected error")
                failures, pause = failures + 1, self._pause(failures)
            if pause > 0 and not self._stopping:
                self._alarm.wait(pause)

    def _hear_next(self) -> bool:
        """Wait for events and pass them on; False when none came."""
        events = self._iscdesk.next_events()
        for event in events:
            if not self._stopping:
                self._hear(event)
        return bool(events)

    def _pause(self, failures_before: int) -> float:
        return float(min(2.0 ** min(failures_before, 10), _LONGEST_PAUSE)) * self._uniform(0.5, 1.0)
