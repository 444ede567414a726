"""When the thread of the seat asks, and what the program hears of it; time passes where the thread would wait."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import pytest

from client_stub.session.problems import Problem
from client_stub.session.seat_renewals import (
    IDLE,
    Listeners,
    SeatNews,
    SeatRenewals,
    line_delay,
    next_delay,
)
from client_stub.session.seat_taking import Wish
from client_stub.session.session import LicenseSession
from tests.client_stub.fake_seats import FakeSeats
from tests.client_stub.fakes import FakeClock, FakeServer, TurningAlarm, problem
from tests.client_stub.signing import DEVICE, NOW, Vendor, dev_claim
from tests.tables import each

Start = Callable[[], LicenseSession]
MINUTE = timedelta(minutes=1)


@dataclass
class Heard:
    news: list[SeatNews] = field(default_factory=list)
    changes: int = 0
    doubts: list[Problem] = field(default_factory=list)

    def change(self) -> None:
        self.changes += 1


@dataclass
class Play:
    """One program whose thread runs in this one: ``at`` says what happens when, in minutes since the start."""

    session: LicenseSession
    seats: FakeSeats
    server: FakeServer
    clock: FakeClock
    heard: Heard = field(default_factory=Heard)
    asked_at: list[float] = field(default_factory=list)

    def run(self, minutes: float, at: dict[float, Callable[[], object]] | None = None) -> SeatRenewals:
        left = sorted((at or {}).items())
        play = self

        class Alarm(TurningAlarm):
            def wait(self, seconds: float) -> None:
                super().wait(min(seconds, 5.0))
                passed = (play.clock.now() - NOW) / MINUTE
                while left and left[0][0] <= passed:
                    left.pop(0)[1]()
                if passed >= minutes:
                    renewals._loop.stop(0.0)

        listeners = Listeners(self.heard.news.append, self.heard.change, self.heard.doubts.append)
        renewals = SeatRenewals(
            self.session.seats,
            listeners,
            now=self.session.now,
            clock=self.clock,
            uniform=lambda low, high: (low + high) / 2,
            alarm=Alarm(self.clock),
        )
        renewals._is_begun = True  # in this thread
        renewals.check_out(Wish(is_queued=True))
        renewals._loop.run()
        return renewals


@pytest.fixture
def play(start: Start, server: FakeServer, vendor: Vendor, clock: FakeClock) -> Play:
    seats = FakeSeats(vendor, clock.now)
    server.license_changes = {"dev": dev_claim() | {"v": 2, "f": 1}}
    session = start()
    session.obtain(DEVICE)
    play = Play(session, seats, server, clock)

    def answer(path: str, body: dict[str, object]) -> object:
        play.asked_at.append(round((clock.now() - NOW) / MINUTE, 2))
        return seats.answer(path.removeprefix("seats/"), body)

    server.on_ask = answer  # type: ignore[assignment]
    return play


def test_a_seat_is_renewed_after_a_third_of_its_time(play: Play) -> None:
    play.run(16)

    assert play.seats.actions() == ["checkout", "renew", "renew", "renew"]
    assert play.asked_at == pytest.approx([0, 5, 10, 15], abs=0.1)
    assert [one.problem for one in play.heard.news] == [None]


def test_while_the_server_is_away_it_is_asked_again_and_again_and_the_same_seat_is_taken_up(play: Play) -> None:
    def gone(is_down: bool) -> Callable[[], None]:
        return lambda: setattr(play.server, "is_down", is_down)

    play.run(25, {6: gone(True), 22: gone(False)})

    assert play.session.verdict().is_allowed
    assert play.asked_at[:2] == pytest.approx([0, 5], abs=0.1)
    assert 22 <= play.asked_at[2] <= 24  # within two minutes of the server's return
    assert [one.problem for one in play.heard.news] == [None, None]  # taken; ended at minute 20; back again
    assert len(play.seats.taken) == 1


def test_a_program_in_line_has_a_seat_soon_after_one_is_free(play: Play) -> None:
    play.seats.seats = 0

    play.run(12, {10: lambda: setattr(play.seats, "seats", 1)})

    codes = [one.problem.code if one.problem else "" for one in play.heard.news]
    assert codes == ["NO_SEAT_FREE", ""]
    assert play.session.verdict().is_allowed


def test_a_refused_license_is_looked_into(play: Play) -> None:
    refused = problem(403, "LICENSE_FROZEN")

    play.run(7, {3: lambda: play.seats.refuse.update(renew=refused)})

    assert {one.code for one in play.heard.doubts} == {"LICENSE_FROZEN"}
    assert play.session.verdict().is_allowed


def test_the_seat_goes_back_at_the_end(play: Play) -> None:
    renewals = play.run(1)

    renewals._is_closing = True
    renewals._step()

    assert play.seats.live() == []


def test_without_a_wish_nothing_is_asked(play: Play) -> None:
    play.seats.seats = 0
    play.session.seats.check_out(Wish())

    assert not play.session.seats.is_wanted
    renewals = play.run(0)
    play.session.seats.give_back()
    assert renewals._delay() == IDLE


def test_a_program_in_line_asks_as_the_server_says() -> None:
    for row in each([(None, 15), (20, 20), (1, 5), (3600, 90)]):
        with row as (seconds, expected):
            retry_after = timedelta(seconds=seconds) if seconds is not None else None
            assert line_delay(retry_after, lambda low, _: low) == timedelta(seconds=expected)
    assert line_delay(timedelta(days=1), lambda _, high: high) < timedelta(minutes=2)


def test_a_program_in_line_asks_no_less_often_the_longer_it_waits(play: Play) -> None:
    play.seats.seats = 0
    play.run(10)

    between = [later - earlier for earlier, later in pairwise(play.asked_at)]
    assert max(between) <= 0.4  # minutes; the fake names no Retry-After


def test_retry_after_is_respected() -> None:
    assert next_delay(None, 1, retry_after=5 * MINUTE, uniform=lambda low, _: low) >= 5 * MINUTE
