"""The pace of a kind: grows with answers, pauses in silence."""

from __future__ import annotations

from datetime import timedelta

import pytest

from licsrv.outbox.pace import FIRST_CALLS, LONGEST_PAUSE, Pace
from licsrv.outbox.rules import LONGEST_WAIT
from tests.conftest import NOW


def test_it_begins_with_few_and_grows_with_each_answer_up_to_the_limit() -> None:
    pace = Pace(10)
    rooms = [pace.room(0, now=NOW)]
    for _ in range(8):
        pace.answered()
        rooms.append(pace.room(0, now=NOW))

    assert rooms == [FIRST_CALLS, 5, 6, 7, 8, 9, 10, 10, 10]
    assert pace.room(7, now=NOW) == 3
    assert pace.room(12, now=NOW) == 0


@pytest.mark.parametrize("most", [1, 2, 4])
def test_a_small_limit_holds_from_the_start(most: int) -> None:
    assert Pace(most).room(0, now=NOW) == most


def test_silence_pauses_twice_as_long_each_time_and_then_tries_one_call() -> None:
    pace, now, pauses = Pace(64), NOW, []
    for _ in range(9):
        pace.silent(now=now)
        assert pace.room(0, now=pace.closed_until - timedelta(microseconds=1)) == 0
        assert pace.room(0, now=pace.closed_until) == 1
        pauses.append((pace.closed_until - now).total_seconds())
        now = pace.closed_until

    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert LONGEST_PAUSE.total_seconds() == 60


def test_calls_that_end_during_a_pause_do_not_prolong_it() -> None:
    pace = Pace(64)
    for _ in range(20):
        pace.silent(now=NOW)

    assert pace.closed_until == NOW + timedelta(seconds=1)


def test_an_answer_ends_the_silence() -> None:
    pace = Pace(64)
    pace.silent(now=NOW)
    pace.answered()
    pace.silent(now=NOW + timedelta(seconds=1))

    assert pace.closed_until == NOW + timedelta(seconds=2)


def test_a_pause_that_a_wrong_clock_wrote_does_not_count() -> None:
    pace = Pace(4)
    pace.close(NOW + LONGEST_WAIT + timedelta(days=300))

    assert pace.room(0, now=NOW) == 4
