"""The background thread that checks in: soon after the start, then when the server says, later when it fails.

Never throws into the host program: a beat that raises counts as one that failed, and is logged. Decides only *when*;
what a beat does and whether its answer is believed is the session's work.

Jitter everywhere, because a thousand workstations are switched on at eight o'clock and lose the same server at once.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from datetime import timedelta

from client_stub.machine.clock import Clock
from client_stub.machine.threads import Alarm
from client_stub.session import problems
from client_stub.session.problems import Problem
from client_stub.session.session import CheckIn
from client_stub.trust.claims import Lease

_LOG = logging.getLogger(__name__)
JITTER = 0.1
SHORTEST_DELAY = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(hours=1)
SHORTEST_DELAY_DENIED = timedelta(seconds=15)
LONGEST_BACK_OFF_DENIED = timedelta(seconds=90)
"""While the program may not work it asks more often: it works again within two minutes of the server's return."""
LONGEST_SLICE = 60.0
"""Seconds of one wait at most. A wait does not count while the machine sleeps, so the wall clock is looked at."""

Uniform = Callable[[float, float], float]
"""Draws a number between two bounds, like ``random.uniform``."""


class Heartbeat:
    """Calls ``beat`` again and again until stopped.

    Args:
        beat: Checks in; from the background thread only.
        clock: Both its readings count: whichever reaches the due moment first.
        first_within: The first beat comes at a random moment within this span.
        uniform: Where randomness comes from.
        alarm: What is waited on.
        awake: Called at least once a minute while the thread waits.
    """

    def __init__(
        self,
        beat: Callable[[], CheckIn],
        *,
        clock: Clock,
        first_within: timedelta,
        uniform: Uniform | None = None,
        alarm: Alarm | None = None,
        awake: Callable[[], object] | None = None,
    ) -> None:
        self._awake = awake or (lambda: None)
        self._beat = beat
        self._clock = clock
        self._first_within = first_within
        self._uniform = uniform or random.SystemRandom().uniform
        self._alarm = alarm or Alarm()
        self._stopping = False
        self._asked_for = False
        self._thread = threading.Thread(target=self.run, name="license-heartbeat", daemon=True)

    def start(self) -> None:
        """Start the background thread; once per object."""
        self._thread.start()

    def beat_now(self) -> None:
        """Check in as soon as the thread is free, instead of when it is due."""
        self._asked_for = True
        self._alarm.ring()

    def stop(self, timeout: float) -> None:
        """Ask the thread to end and wait for it, ``timeout`` seconds at most. The second time nothing happens."""
        self._stopping = True
        self._alarm.ring()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def run(self) -> None:
        """Beat until stopped; in the caller's thread. Never raises."""
        try:
            self._run()
        except Exception:
            _LOG.exception("the heartbeat has ended on an unexpected error")

    def _run(self) -> None:
        failures = 0
        delay = timedelta(seconds=self._uniform(0.0, self._first_within.total_seconds()))
        while self._is_due_after(delay):
            check_in = self._checked_in()
            failures = 0 if check_in.lease and not check_in.is_denied else failures + 1
            delay = next_delay(check_in, failures, self._uniform)

    def _checked_in(self) -> CheckIn:
        try:
            return self._beat()
        except Exception:
            _LOG.exception("a heartbeat failed on an unexpected error")
            return CheckIn(problem=Problem(problems.INTERNAL_ERROR, "The check-in failed on an unexpected error."))

    def _is_due_after(self, delay: timedelta) -> bool:
        """Wait until a beat is due or asked for (True), or until stopped (False)."""
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


def next_delay(check_in: CheckIn, failures: int, uniform: Uniform) -> timedelta:
    """Return how long to wait after a check-in; ``failures`` counts those in a row, this one included."""
    if check_in.is_denied:
        bounds = SHORTEST_DELAY_DENIED, LONGEST_BACK_OFF_DENIED
    elif check_in.lease is not None:
        return _delay_to_next(check_in.lease, uniform)
    else:
        bounds = SHORTEST_DELAY, LONGEST_BACK_OFF
    return _back_off(failures, bounds, retry_after=check_in.retry_after, uniform=uniform)


def _delay_to_next(lease: Lease, uniform: Uniform) -> timedelta:
    """The server's interval, give or take a tenth; at least a minute, and before the lease ends.

    Counted between two moments of the server's clock, so that ours may be wrong.
    """
    interval = lease.next_heartbeat_at - lease.issued_at
    latest = (lease.expires_at - lease.issued_at) * (1 - JITTER)
    return max(min(interval * uniform(1 - JITTER, 1 + JITTER), latest), SHORTEST_DELAY)


def _back_off(
    failures: int, bounds: tuple[timedelta, timedelta], retry_after: timedelta | None, uniform: Uniform
) -> timedelta:
    """The lower bound, doubled with every failure up to the upper one, give or take a tenth.

    Never before ``Retry-After``.
    """
    shortest, longest = bounds
    doublings = min(max(failures - 1, 0), 10)
    delay = min(shortest * 2.0**doublings, longest) * uniform(1 - JITTER, 1 + JITTER)
    if retry_after is None:
        return delay
    return max(delay, retry_after * uniform(1.0, 1 + JITTER))
