"""A PostgreSQL server for the benchmarks: the tests' server, set to sync what it commits."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.errors import BenchmarkError
from licsrv import migrations
from licsrv.platform.db import open_database
from tests import postgres_server

_DATABASE = "postgres"
LEFT_OUT = "left out, no PostgreSQL on this machine:"


@contextmanager
def empty_database() -> Iterator[str | None]:
    """Give the address of a database at the newest step; None, with a message, where no server can be had.

    Raises:
        BenchmarkError: There are programs for a server, and it does not start.
    """
    try:
        server = postgres_server.start(is_durable=True)
    except (RuntimeError, OSError) as error:
        raise BenchmarkError(f"PostgreSQL does not start: {error}") from error
    if server is None:
        print(LEFT_OUT, end=" ", file=sys.stderr, flush=True)
        yield None
        return
    try:
        url = server.url(_DATABASE)
        database = open_database(url)
        migrations.upgrade(database)
        database.dispose()
        yield url
    finally:
        server.stop()
