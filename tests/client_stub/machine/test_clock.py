from __future__ import annotations

from datetime import UTC, timedelta

from client_stub.machine.clock import ConfirmedTime, SystemClock, best_estimate
from tests.client_stub.signing import NOW
from tests.tables import each

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_without_the_server_the_own_clock_is_all_there_is() -> None:
    assert best_estimate(NOW, 0.0, None) == NOW


def test_after_the_server_told_the_time_the_own_clock_only_counts_on() -> None:
    for row in each(
        [
            (timedelta(0), HOUR, HOUR, HOUR),
            (10 * DAY, HOUR, HOUR, HOUR),
            (-10 * DAY, HOUR, HOUR, HOUR),
            (timedelta(0), 8 * HOUR, HOUR, 8 * HOUR),
            (10 * DAY, 8 * HOUR, HOUR, 8 * HOUR),
            (timedelta(0), -DAY, HOUR, HOUR),
            (-10 * DAY, 10 * DAY + HOUR, HOUR, HOUR),
            (timedelta(0), timedelta(0), timedelta(0), timedelta(0)),
        ]
    ):
        with row as (own_offset, own_passed, monotonic_passed, expected):
            confirmed = ConfirmedTime(server_time=NOW, own_time=NOW + own_offset, monotonic=500.0)

            estimate = best_estimate(NOW + own_offset + own_passed, 500.0 + monotonic_passed.total_seconds(), confirmed)

            assert estimate == NOW + expected


def test_the_system_clock_is_aware_and_its_monotonic_reading_never_goes_back() -> None:
    clock = SystemClock()

    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
