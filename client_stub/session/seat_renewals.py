"""The background thread of the seat: does what the program asks for, renews, and waits in line.

Next to the heartbeats, on a thread of its own, so that a seat of minutes does not wait for a check-in of a day. Decides
only *when*; what an answer is worth is decided in ``seat_taking``.
"""

from __future__ import annotations

import logging
import queue
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from client_stub.machine.clock import Clock
from client_stub.machine.threads import Alarm
from client_stub.session.problems import Problem
from client_stub.session.repeating import (
    JITTER,
    LONGEST_BACK_OFF_DENIED,
    SHORTEST_DELAY_DENIED,
    Repeating,
    Uniform,
    back_off,
)
from client_stub.session.seat_taking import SeatTaker, Wish
from client_stub.trust.seats import Seat

_LOG = logging.getLogger(__name__)
SHORTEST_RENEWAL = timedelta(seconds=5)
IDLE = timedelta(days=1)
"""How long the thread waits while the program wants no seat; it is woken when it does."""


class SeatAction(StrEnum):
    """What was asked for; its value is the word of the event."""

    CHECK_OUT = "checkout"
    RETURN = "return"
    BORROW = "borrow"


@dataclass(frozen=True)
class SeatNews:
    """What came of a question: a seat, or none after a return; or a problem, next to which a seat may be held."""

    action: SeatAction
    seat: Seat | None
    problem: Problem | None = None


@dataclass(frozen=True)
class Listeners:
    """Who hears of what.

    Args:
        on_news: What became of a call, and a seat that came while the program waited for one.
        on_change: Called after each question: what is allowed may have changed.
        on_doubt: The server refused the license itself, or the text of it.
    """

    on_news: Callable[[SeatNews], object]
    on_change: Callable[[], object]
    on_doubt: Callable[[Problem], object]


class SeatRenewals:
    """Asks about the seat until closed; nothing is asked before the program wants one.

    Args:
        now: The most credible moment.
    """

    def __init__(
        self,
        seats: SeatTaker,
        listeners: Listeners,
        *,
        now: Callable[[], datetime],
        clock: Clock,
        uniform: Uniform | None = None,
        alarm: Alarm | None = None,
    ) -> None:
        self._seats = seats
        self._listeners = listeners
        self._now = now
        self._uniform = uniform or random.SystemRandom().uniform
        self._calls: queue.SimpleQueue[Callable[[], SeatNews]] = queue.SimpleQueue()
        self._failures = 0
        self._lock = threading.Lock()
        self._is_begun = self._is_closing = False
        self._loop = Repeating(self._step, name="license-seat", first=self._delay, clock=clock, alarm=alarm)

    def begin(self) -> None:
        """Start the thread; nothing happens the second time, or after ``close``."""
        with self._lock:
            if not self._is_begun and not self._is_closing:
                self._is_begun = True
                self._loop.start()

    def wake(self) -> None:
        """Ask for the seat at once, where one is wanted: it may have ended while the computer slept."""
        if self._seats.is_wanted:
            self._loop.step_now()

    def check_out(self, wish: Wish) -> None:
        """Have a seat taken; returns at once."""
        self._call(lambda: self._news(SeatAction.CHECK_OUT, self._seats.check_out(wish)))

    def give_back(self) -> None:
        """Have the seat given back; returns at once."""
        self._call(lambda: SeatNews(SeatAction.RETURN, None, self._seats.give_back()))

    def borrow(self, until: datetime) -> None:
        """Have the seat borrowed; returns at once."""
        self._call(lambda: self._news(SeatAction.BORROW, self._seats.borrow(until)))

    def close(self, timeout: float) -> None:
        """Give the seat back unless it is borrowed, and end; waits ``timeout`` seconds at most."""
        with self._lock:
            was_begun, self._is_closing = self._is_begun, True
        if was_begun:
            self._loop.end_after_step(timeout)

    def _call(self, call: Callable[[], SeatNews]) -> None:
        self._calls.put(call)
        self.begin()
        self._loop.step_now()

    def _step(self) -> timedelta:
        try:
            self._do_next()
        except Exception:
            _LOG.exception("a question about a seat failed on an unexpected error")
            self._failures += 1
        return self._delay()

    def _do_next(self) -> None:
        if self._is_closing:
            self._seats.return_at_end()
            return
        try:
            news = self._calls.get_nowait()()
        except queue.Empty:
            self._renew()
        else:
            self._listeners.on_news(news)
            self._note(news.problem)
        if not self._calls.empty():
            self._loop.step_now()

    def _renew(self) -> None:
        """Renew what is held, or ask again for what is wanted; say so where that brought a seat."""
        if not self._seats.is_wanted:
            return
        before = self._seats.seat
        had_one = before is not None and before.is_live(self._now())
        outcome = self._seats.renew()
        if isinstance(outcome, Seat) and not had_one:
            self._listeners.on_news(SeatNews(SeatAction.CHECK_OUT, outcome))
        self._note(outcome if isinstance(outcome, Problem) else None)

    def _note(self, problem: Problem | None) -> None:
        self._failures = 0 if problem is None else self._failures + 1
        if problem is not None and self._seats.is_license_in_doubt:
            self._listeners.on_doubt(problem)
        self._listeners.on_change()

    def _news(self, action: SeatAction, outcome: Seat | Problem) -> SeatNews:
        """Say what became of a call. While the server does not answer, a seat that is held is a seat."""
        if isinstance(outcome, Seat):
            return SeatNews(action, outcome)
        held = self._seats.seat
        is_held = action is SeatAction.CHECK_OUT and held is not None and held.is_live(self._now())
        return SeatNews(action, held, None if is_held else outcome)

    def _delay(self) -> timedelta:
        if not self._seats.is_wanted:
            return IDLE
        seats = self._seats
        if seats.is_in_line:
            return line_delay(seats.retry_after, self._uniform)
        return next_delay(seats.seat, self._failures, retry_after=seats.retry_after, uniform=self._uniform)


def line_delay(retry_after: timedelta | None, uniform: Uniform) -> timedelta:
    """Return how long a program in line waits before it asks again: as the server says, without a back-off.

    Within bounds: sooner helps no one, and who does not ask for two minutes loses the place.
    """
    wait = max(retry_after or SHORTEST_DELAY_DENIED, SHORTEST_RENEWAL)
    return min(wait, LONGEST_BACK_OFF_DENIED) * uniform(1.0, 1 + JITTER)


def next_delay(seat: Seat | None, failures: int, *, retry_after: timedelta | None, uniform: Uniform) -> timedelta:
    """Return how long to wait before a seat is asked for again; ``failures`` counts those in a row.

    Counted between two moments of the server's clock, so that ours may be wrong.
    """
    if failures or seat is None:
        bounds = SHORTEST_DELAY_DENIED, LONGEST_BACK_OFF_DENIED
        return back_off(failures, bounds, retry_after=retry_after, uniform=uniform)
    span, latest = seat.renew_at - seat.issued_at, (seat.expires_at - seat.issued_at) * (1 - JITTER)
    return max(min(span * uniform(1 - JITTER, 1 + JITTER), latest), SHORTEST_RENEWAL)
