"""Long sweeps: how much of them runs every day, in the short soak and in the whole one.

`make test` leaves out what is marked `soak`; `make soak` runs only that. SOAK=short takes samples of every sweep
(minutes, part of `.ci/run`), SOAK=whole takes everything (hours, by hand; figures in docs/testing.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

import pytest

Value = TypeVar("Value")

IS_WHOLE = os.environ.get("SOAK", "short") == "whole"


def amount(*, short: int, whole: int) -> int:
    """Return how many rounds, rows or examples a test marked `soak` takes in this run."""
    return whole if IS_WHOLE else short


def sample(rows: Sequence[Value], *, short: int) -> Sequence[Value]:
    """Return all rows in the whole soak; in the short one, so many of them, evenly spread, first and last included."""
    if IS_WHOLE or len(rows) <= short:
        return rows
    step = (len(rows) - 1) / max(1, short - 1)
    return [rows[round(number * step)] for number in range(short)]


def rounds(*, everyday: int | None, short: int, whole: int) -> pytest.MarkDecorator:
    """Run a test twice, with a small number of `rounds` in `make test` and a large one in `make soak`.

    Args:
        everyday: None: not there.
    """
    large = pytest.param(amount(short=short, whole=whole), marks=pytest.mark.soak, id="soak")
    small = [] if everyday is None else [pytest.param(everyday, id="everyday")]
    return pytest.mark.parametrize("rounds", [*small, large])
