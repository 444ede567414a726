"""Check every row of a table in one test, and report all rows that fail.

    for row in each(TABLE):
        with row as (text, expected):
            assert parse(text) == expected

It works in asynchronous tests too. A row costs microseconds; a parameter of pytest costs a whole set-up.
Not for databases: an engine stays a parameter, because it needs a fixture of its own.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Generic, TypeVar

import pytest

Value = TypeVar("Value")

_LONGEST_NAME = 120
_FAILURES = (Exception, pytest.fail.Exception)


class Row(Generic[Value]):
    """One row. It must be entered once; what fails inside is kept until the table ends."""

    def __init__(self, value: Value, name: str) -> None:
        self._value = value
        self._name = name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "…"
        self.is_checked = False
        self.failure: BaseException | None = None

    def __enter__(self) -> Value:
        self.is_checked = True
        return self._value

    def __exit__(self, kind: object, problem: BaseException | None, trace: TracebackType | None) -> bool:
        if not isinstance(problem, _FAILURES):
            return False
        self.failure = problem
        return True

    def report(self) -> str:
        assert self.failure is not None
        place = traceback.extract_tb(self.failure.__traceback__)[0]
        problem = "".join(traceback.format_exception_only(self.failure)).strip().replace("\n", "\n    ")
        return f"{self._name}, line {place.lineno}: {problem}"


def each(table: Iterable[Value], *, names: Iterable[object] | None = None) -> Iterator[Row[Value]]:
    """Yield the rows of a table; after the last one, raise one AssertionError with every row that failed.

    Args:
        names: What to call the rows in the report; by default their values.
    """
    values = list(table)
    assert values, "the table is empty: no row was checked"
    shown = [repr(value) for value in values] if names is None else [str(name) for name in names]
    failures = []
    for value, name in zip(values, shown, strict=True):
        row = Row(value, name)
        yield row
        assert row.is_checked, "write `with row as …:` inside the loop"
        if row.failure is not None:
            failures.append(row.report())
    assert not failures, f"{len(failures)} of {len(values)} rows fail:\n" + "\n".join(failures)
