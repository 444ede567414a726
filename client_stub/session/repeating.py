"""A background thread that does one thing again and again, each time when that thing says; and how long to back off.

Never throws into the host program. Jitter everywhere, because a thousand workstations are switched on at eight o'clock
and lose the same server at once.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import timedelta

from client_stub.machine.clock import Clock
from client_stub.machine.threads import Alarm

_LOG = logging.getLogger(__name__)
JITTER = 0.1
SHORTEST_DELAY_DENIED = timedelta(seconds=15)
LONGEST_BACK_OFF_DENIED = timedelta(seconds=90)
"""While the program may not work it asks more often: it works again within two minutes of the server's return."""
LONGEST_SLICE = 60.0
"""Seconds of one wait at most. A wait does not count while the machine sleeps, so the wall clock is looked at."""

Uniform = Callable[[float, float], float]
"""Draws a number between two bounds, like ``random.uniform``."""


class Repeating:
    """Calls ``step`` until stopped; it returns after how long it wants to be called again.

    Args:
        first: Returns after how long it is called for the first time.
        clock: Both its readings count: whichever reaches the due moment first.
        awake: Called at least once a minute while the thread waits.
    """

    def __init__(
        self,
        step: Callable[[], timedelta],
        *,
        name: str,
        first: Callable[[], timedelta],
        clock: Clock,
        alarm: Alarm | None = None,
        awake: Callable[[], object] | None = None,
    ) -> None:
        self._step = step
        self._name = name
        self._first = first
        self._clock = clock
        self._alarm = alarm or Alarm()
        self._awake = awake or (lambda: None)
        self._stopping = self._ending = False
        self._asked_for = False
        self._thread = threading.Thread(target=self.run, name=name, daemon=True)

    def start(self) -> None:
        """Start the background thread; once per object."""
        self._thread.start()

    def step_now(self) -> None:
        """Have the next step taken as soon as the thread is free, instead of when it is due."""
        self._asked_for = True
        self._alarm.ring()

    def stop(self, timeout: float) -> None:
        """Ask the thread to end and wait for it, ``timeout`` seconds at most. The second time nothing happens."""
        self._stopping = True
        self._alarm.ring()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def end_after_step(self, timeout: float) -> None:
        """Have one more step taken, then the thread ends; wait for it, ``timeout`` seconds at most."""
        self._ending = True
        self.step_now()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        self._stopping = True

    def run(self) -> None:
        """Take steps until stopped; in the caller's thread. Never raises."""
        try:
            delay = self._first()
            while self._is_due_after(delay):
                is_last = self._ending
                delay = self._step()
                if is_last:
                    return
        except Exception:
            _LOG.exception("the thread %s has ended on an unexpected error", self._name)

    def _is_due_after(self, delay: timedelta) -> bool:
        """Wait until a step is due or asked for (True), or until stopped (False)."""
        began = self._clock.now()  # nothing is added to it: a clock may show the last day of the calendar
        due_monotonic = self._clock.monotonic() + delay.total_seconds()
        while not (self._stopping or self._asked_for):
            self._awake()
            by_wall_clock = (delay - (self._clock.now() - began)).total_seconds()
            left = min(by_wall_clock, due_monotonic - self._clock.monotonic())
            if left <= 0:
                break
            self._alarm.wait(min(left, LONGEST_SLICE))
        self._asked_for = False
        return not self._stopping


def back_off(
    failures: int, bounds: tuple[timedelta, timedelta], *, retry_after: timedelta | None, uniform: Uniform
) -> timedelta:
    """Return the lower bound, doubled with every failure up to the upper one, give or take a tenth.

    Never before ``Retry-After``. ``failures`` counts those in a row, the last one included.
    """
    shortest, longest = bounds
    doublings = min(max(failures - 1, 0), 10)
    delay = min(shortest * 2.0**doublings, longest) * uniform(1 - JITTER, 1 + JITTER)
    if retry_after is None:
        return delay
    return max(delay, retry_after * uniform(1.0, 1 + JITTER))
