"""Databases for lives: each begins on an empty one, which is thrown away after it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import pytest

from tests.conftest import new_postgres_url, new_sqlite_url


@pytest.fixture
def databases(request: pytest.FixtureRequest) -> Callable[[], AbstractContextManager[str]]:
    """Return what makes a database at the newest step, on the engine that the parameter names."""
    if request.param == "sqlite":
        return partial(new_sqlite_url, request.getfixturevalue("sqlite_pattern"))
    return partial(new_postgres_url, request.getfixturevalue("postgres"))
