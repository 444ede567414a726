"""The background thread that checks in: soon after the start, then when the server says, later when it fails.

A beat that raises counts as one that failed, and is logged. Decides only *when*; what a beat does and whether its
answer is believed is the session's work.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import timedelta

from client_stub.machine.clock import Clock
from client_stub.machine.threads import Alarm
from client_stub.session import problems
from client_stub.session.problems import Problem
from client_stub.session.repeating import (
    JITTER,
    LONGEST_BACK_OFF_DENIED,
    SHORTEST_DELAY_DENIED,
    Repeating,
    Uniform,
    back_off,
)
from client_stub.session.session import CheckIn
from client_stub.trust.claims import Lease

_LOG = logging.getLogger(__name__)
SHORTEST_DELAY = timedelta(minutes=1)
LONGEST_BACK_OFF = timedelta(hours=1)


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
        self._beat = beat
        self._uniform = uniform or random.SystemRandom().uniform
        self._failures = 0
        first = first_within.total_seconds()
        self._loop = Repeating(
            self._step,
            name="license-heartbeat",
            first=lambda: timedelta(seconds=self._uniform(0.0, first)),
            clock=clock,
            alarm=alarm,
            awake=awake,
        )

    def start(self) -> None:
        """Start the background thread; once per object."""
        self._loop.start()

    def beat_now(self) -> None:
        """Check in as soon as the thread is free, instead of when it is due."""
        self._loop.step_now()

    def stop(self, timeout: float) -> None:
        """Ask the thread to end and wait for it, ``timeout`` seconds at most. The second time nothing happens."""
        self._loop.stop(timeout)

    def run(self) -> None:
        """Beat until stopped; in the caller's thread. Never raises."""
        self._loop.run()

    def _step(self) -> timedelta:
        check_in = self._checked_in()
        self._failures = 0 if check_in.lease and not check_in.is_denied else self._failures + 1
        return next_delay(check_in, self._failures, self._uniform)

    def _checked_in(self) -> CheckIn:
        try:
            return self._beat()
        except Exception:
            _LOG.exception("a heartbeat failed on an unexpected error")
            return CheckIn(problem=Problem(problems.INTERNAL_ERROR, "The check-in failed on an unexpected error."))


def next_delay(check_in: CheckIn, failures: int, uniform: Uniform) -> timedelta:
    """Return how long to wait after a check-in; ``failures`` counts those in a row, this one included."""
    if check_in.is_denied:
        bounds = SHORTEST_DELAY_DENIED, LONGEST_BACK_OFF_DENIED
    elif check_in.lease is not None:
        return _delay_to_next(check_in.lease, uniform)
    else:
        bounds = SHORTEST_DELAY, LONGEST_BACK_OFF
    return back_off(failures, bounds, retry_after=check_in.retry_after, uniform=uniform)


def _delay_to_next(lease: Lease, uniform: Uniform) -> timedelta:
    """The server's interval, give or take a tenth; at least a minute, and before the lease ends.

    Counted between two moments of the server's clock, so that ours may be wrong.
    """
    interval = lease.next_heartbeat_at - lease.issued_at
    latest = (lease.expires_at - lease.issued_at) * (1 - JITTER)
    return max(min(interval * uniform(1 - JITTER, 1 + JITTER), latest), SHORTEST_DELAY)
