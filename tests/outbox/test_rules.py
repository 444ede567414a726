"""What becomes of a delivery after a try; pure."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.outbox.rules import (
    FIRST_DELAY,
    LONGEST_DELAY,
    Again,
    Postponed,
    delay,
    is_given_up,
    next_try_at,
)
from tests.conftest import NOW

WHOLE_SECONDS = [(1, 2), (2, 4), (3, 8), (4, 16), (5, 32), (6, 64), (7, 128), (8, 256), (9, 512), (10, 600), (11, 600),
                 (120, 600), (10_000, 600)]  # fmt: skip


@pytest.mark.parametrize(("attempts", "seconds"), WHOLE_SECONDS)
def test_the_delay_doubles_up_to_ten_minutes(attempts: int, seconds: int) -> None:
    assert delay(attempts, jitter=1) == timedelta(seconds=seconds)
    assert delay(attempts, jitter=0) == timedelta(seconds=seconds / 2)


@given(st.integers(1, 100_000), st.floats(0, 1), st.floats(0, 1))
def test_jitter_stays_in_its_bounds_and_keeps_its_order(attempts: int, some: float, more: float) -> None:
    low, high = sorted((some, more))

    assert FIRST_DELAY / 2 <= delay(attempts, 0) <= delay(attempts, low) <= delay(attempts, high)
    assert delay(attempts, high) <= delay(attempts, 1) <= LONGEST_DELAY
    assert delay(attempts, low) <= delay(attempts + 1, low)


def test_a_failed_try_comes_again_after_its_delay() -> None:
    assert next_try_at(Again("why"), attempts=3, jitter=1, now=NOW) == NOW + timedelta(seconds=8)


@pytest.mark.parametrize(("until", "expected"), [(60, 60), (0, 0), (-60, 0)])
def test_a_postponed_try_waits_for_its_moment_but_never_for_the_past(until: int, expected: int) -> None:
    verdict = Postponed("closed", NOW + timedelta(seconds=until))

    assert next_try_at(verdict, attempts=7, jitter=0.5, now=NOW) == NOW + timedelta(seconds=expected)


@pytest.mark.parametrize(("attempts", "given_up"), [(1, False), (4, False), (5, True), (6, True)])
def test_enough_tries_are_enough(attempts: int, *, given_up: bool) -> None:
    assert is_given_up(attempts, 5) is given_up
