"""The table helper itself: every failing row is reported, and a table that checks nothing fails."""

from __future__ import annotations

import pytest

from tests.soak import sample
from tests.tables import each


def check_odd(numbers: list[int]) -> None:
    for row in each(numbers):
        with row as number:
            assert number % 2, f"{number} is even"


def check_refused(texts: dict[str, str]) -> None:
    for row in each(texts.values(), names=texts):
        with row as text, pytest.raises(ValueError, match="never"):
            int(text)


def test_a_table_without_faults_passes() -> None:
    seen = []
    for row in each([1, 2, 3]):
        with row as number:
            seen.append(number)

    assert seen == [1, 2, 3]


def test_every_failing_row_is_reported_in_one_assertion() -> None:
    with pytest.raises(AssertionError, match="2 of 4 rows fail") as caught:
        check_odd([1, 2, 3, 4])

    assert "2 is even" in str(caught.value)
    assert "4 is even" in str(caught.value)
    assert "1, line" not in str(caught.value)


def test_any_exception_and_a_missing_refusal_are_failures_of_their_row() -> None:
    with pytest.raises(AssertionError) as caught:
        check_refused({"a word": "x", "a number": "1"})

    assert "a word, line" in str(caught.value)
    assert "a number, line" in str(caught.value)
    assert "DID NOT RAISE" in str(caught.value)


def test_a_table_without_rows_fails() -> None:
    with pytest.raises(AssertionError, match="empty"):
        check_odd([])


def test_a_row_that_is_not_entered_fails() -> None:
    with pytest.raises(AssertionError, match="with row"):
        for _ in each([1]):
            pass


def test_a_sample_is_spread_over_all_rows() -> None:
    assert sample(range(3), short=5) == range(3)
    assert list(sample(range(101), short=5)) == [0, 25, 50, 75, 100]
    assert list(sample(range(9), short=1)) == [0]
