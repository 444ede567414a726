from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from client_stub.session.heartbeat import Heartbeat, next_delay
from client_stub.session.problems import Problem
from client_stub.session.repeating import LONGEST_SLICE
from client_stub.session.session import CheckIn
from client_stub.trust.claims import Lease, read_lease
from client_stub.trust.tokens import Token
from tests.client_stub.fakes import FakeClock, TurningAlarm
from tests.client_stub.signing import NOW, lease_claims, unix

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
FAILED = CheckIn(problem=Problem("SERVER_UNREACHABLE", "No."))


def lease_with(**changes: Any) -> Lease:
    return read_lease(Token("kid", lease_claims(**changes)))


def lowest(low: float, _: float) -> float:
    return low


def highest(_: float, high: float) -> float:
    return high


def middle(low: float, high: float) -> float:
    return (low + high) / 2


def run_beats(
    outcomes: list[CheckIn | Exception], *, first_within: timedelta = timedelta(0), alarm: TurningAlarm | None = None
) -> list[timedelta]:
    """Run one beat per outcome in this thread, and return at which times since the start they came."""
    alarm = alarm or TurningAlarm(FakeClock())
    beats: list[timedelta] = []

    def beat() -> CheckIn:
        beats.append(alarm.clock.now() - NOW)
        outcome = outcomes[len(beats) - 1]
        if len(beats) == len(outcomes):
            heartbeat.stop(0.0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    heartbeat = Heartbeat(beat, clock=alarm.clock, first_within=first_within, uniform=middle, alarm=alarm)
    heartbeat.run()
    return beats


@pytest.mark.parametrize(
    ("uniform", "delay"),
    [(lowest, timedelta(hours=21.6)), (middle, DAY), (highest, timedelta(hours=26.4))],
)
def test_the_next_beat_comes_when_the_server_says_give_or_take_a_tenth(
    uniform: Callable[[float, float], float], delay: timedelta
) -> None:
    assert next_delay(CheckIn(lease=lease_with()), 0, uniform) == delay


@pytest.mark.parametrize(
    ("changes", "delay"),
    [
        ({"next": unix(NOW)}, MINUTE),
        ({"next": unix(NOW - DAY)}, MINUTE),
        ({"next": unix(NOW + timedelta(seconds=30))}, MINUTE),
        ({"next": unix(NOW + 30 * DAY)}, timedelta(days=6.3)),
        ({"next": unix(NOW + DAY), "exp": unix(NOW)}, MINUTE),
    ],
    ids=["at once", "in the past", "too soon", "after the lease ends", "the lease has ended"],
)
def test_the_next_beat_is_never_hasty_and_comes_before_the_lease_ends(
    changes: dict[str, Any], delay: timedelta
) -> None:
    assert next_delay(CheckIn(lease=lease_with(**changes)), 0, middle) == delay


@pytest.mark.parametrize(
    ("failures", "delay"),
    [(1, MINUTE), (2, 2 * MINUTE), (3, 4 * MINUTE), (6, 32 * MINUTE), (7, HOUR), (8, HOUR), (10_000, HOUR)],
)
def test_failures_are_answered_with_patience(failures: int, delay: timedelta) -> None:
    assert next_delay(FAILED, failures, middle) == delay
    assert next_delay(FAILED, failures, lowest) == delay * 0.9
    assert next_delay(FAILED, failures, highest) == delay * 1.1


@pytest.mark.parametrize(
    ("retry_after", "uniform", "delay"),
    [
        (timedelta(0), middle, MINUTE),
        (timedelta(minutes=10), lowest, timedelta(minutes=10)),
        (timedelta(minutes=10), highest, timedelta(minutes=11)),
        (DAY, lowest, DAY),
    ],
)
def test_no_beat_comes_before_retry_after(
    retry_after: timedelta, uniform: Callable[[float, float], float], delay: timedelta
) -> None:
    assert next_delay(CheckIn(problem=FAILED.problem, retry_after=retry_after), 1, uniform) == delay


def test_beats_follow_each_other_as_planned() -> None:
    good = CheckIn(lease=lease_with())

    beats = run_beats([good, FAILED, FAILED, good, good], first_within=timedelta(seconds=20))

    first = timedelta(seconds=10)
    assert beats == [first, first + DAY, first + DAY + MINUTE, first + DAY + 3 * MINUTE, first + 2 * DAY + 3 * MINUTE]


def test_a_beat_that_raises_counts_as_one_that_failed(caplog: pytest.LogCaptureFixture) -> None:
    beats = run_beats([RuntimeError("a bug"), FAILED, CheckIn(lease=lease_with())])

    assert beats == [timedelta(0), MINUTE, 3 * MINUTE]
    assert "a heartbeat failed on an unexpected error" in caplog.text


def test_a_broken_clock_ends_the_heartbeat_and_not_the_program(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: float, __: float) -> float:
        raise OverflowError

    Heartbeat(lambda: FAILED, clock=FakeClock(), first_within=MINUTE, uniform=broken).run()

    assert "the thread license-heartbeat has ended" in caplog.text


def test_a_machine_that_slept_checks_in_when_it_wakes() -> None:
    class SleepyAlarm(TurningAlarm):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            if len(self.waits) == 3:
                self.clock.set_by_hand(self.clock.now() + 2 * DAY)

    alarm = SleepyAlarm(FakeClock())

    beats = run_beats([CheckIn(lease=lease_with()), FAILED], alarm=alarm)

    assert beats[1] == 2 * DAY + 3 * timedelta(seconds=LONGEST_SLICE)


def test_a_clock_set_back_does_not_put_the_next_beat_off() -> None:
    class SetBackAlarm(TurningAlarm):
        def wait(self, seconds: float) -> None:
            super().wait(seconds)
            if len(self.waits) == 1:
                self.clock.set_by_hand(NOW - 100 * DAY)

    alarm = SetBackAlarm(FakeClock())

    run_beats([CheckIn(lease=lease_with()), FAILED], alarm=alarm)

    assert sum(alarm.waits) == pytest.approx(DAY.total_seconds())


def test_a_beat_that_is_asked_for_comes_at_once_and_stopping_is_prompt() -> None:
    beaten = threading.Event()

    def beat() -> CheckIn:
        beaten.set()
        return CheckIn(lease=lease_with())

    heartbeat = Heartbeat(beat, clock=FakeClock(), first_within=DAY, uniform=highest)
    heartbeat.start()
    heartbeat.beat_now()

    assert beaten.wait(5.0)
    heartbeat.stop(5.0)
    heartbeat.stop(5.0)
    assert not heartbeat._loop._thread.is_alive()


def test_stopping_before_the_start_is_survived() -> None:
    Heartbeat(lambda: FAILED, clock=FakeClock(), first_within=MINUTE).stop(0.0)
