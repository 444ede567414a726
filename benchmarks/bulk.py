"""A hundred thousand licenses revoked at once: the upload with its dry run, then the work, group by group.

Audit entries and the revocation list are written with each group, and the chain is verified at the end; a second
process would be served between two groups, so the longest group is a figure of its own.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TypeVar

from sqlalchemy import select
from sqlmodel import Session

from benchmarks import installation, postgresql, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.report import Figure, at_most
from licsrv import audit
from licsrv.audit import Cause
from licsrv.desk.bulk import intake, jobs, store
from licsrv.desk.bulk.execution import Progress
from licsrv.desk.bulk.rules import FOR_LISTS, Outcome, Task
from licsrv.desk.bulk.runner import BulkRunner
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.licensing.tables import License
from licsrv.people.actors import at_the_terminal
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, open_database, reading, table_of
from licsrv.platform.paging import Window
from licsrv.platform.writer import Writer

NAME, NAME_ON_POSTGRESQL = "bulk", "bulk-postgresql"
MUST_TAKE_AT_MOST = 60.0  # seconds for 100,000 licenses
_FULL = 100_000
_ACTOR = at_the_terminal("staff:benchmark")
_CAUSE = Cause("staff:benchmark", "", "Measured.")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    licenses: int = _FULL


class _Place:
    """Where the intake reads and writes."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer

    async def read(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a look-up."""
        return await asyncio.to_thread(self._read, use_case)

    def _read(self, use_case: Callable[[Session], Result]) -> Result:
        with reading(self._database) as session:
            return use_case(session)

    async def change(self, use_case: Callable[[Session], Result]) -> Result:
        """Run a use case that changes something."""
        return await self._writer.run(use_case)


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    home = installation.build(folder)
    seeding.add_licenses(home, 0, scale.licenses, at=seeding.now())
    return measure_on(f"sqlite:///{home.database}", scale, path=NAME)


def measure_on_postgresql(_: Path, scale: Scale) -> list[Figure]:
    """Carry it out on a PostgreSQL server of its own; nothing is measured where there is none."""
    with postgresql.empty_database() as url:
        if url is None:
            return []
        seeding.add_licenses_by_row(url, scale.licenses, at=seeding.now())
        return measure_on(url, scale, path=NAME_ON_POSTGRESQL)


def measure_on(url: str, scale: Scale, *, path: str) -> list[Figure]:
    """Revoke every license of a database."""
    database = open_database(url)
    writer = Writer(database, hooks=(audit.seal,))
    try:
        uploaded, worked, longest = asyncio.run(_revoke_all(database, writer))
        _require_right(database, scale.licenses)
    finally:
        writer.close()
        database.dispose()
    many = f"{scale.licenses:,} licenses"
    most = MUST_TAKE_AT_MOST * scale.licenses / _FULL
    return [
        Figure(path, f"{many} revoked", worked, unit="s", target=at_most(most)),
        Figure(path, f"list of {many} uploaded and tried dry", uploaded, unit="s"),
        Figure(path, "longest group, for which others wait", longest * 1000, unit="ms"),
    ]


async def _revoke_all(database: Database, writer: Writer) -> tuple[float, float, float]:
    clock = Clock()
    with reading(database) as session:
        raw = "\n".join(session.scalars(select(table_of(License).c.code))).encode()
    job_id = await writer.run(
        lambda session: jobs.make(session, Task(FOR_LISTS["revoke"]), actor=_ACTOR, cause=_CAUSE, now=clock.now()).id
    )
    started = perf_counter()
    await intake.take_in(_Place(database, writer), job_id, raw, actor=_ACTOR, clock=clock)
    listed = perf_counter()
    await writer.run(
        lambda session: (
            jobs.start(session, job_id, actor=_ACTOR, approval_above=_FULL, cause=_CAUSE, now=clock.now()).state
        )
    )
    groups: list[float] = [perf_counter()]

    def note(_: Progress) -> None:
        groups.append(perf_counter())

    begun = perf_counter()
    await BulkRunner(database, writer, clock=clock, owner=secrets.token_hex(4)).work(note)
    spans = [after - before for before, after in itertools.pairwise(groups)]
    return listed - started, perf_counter() - begun, max(spans)


def _require_right(database: Database, count: int) -> None:
    with reading(database) as session:
        outcomes = store.count(session, store.jobs(session, Window(1))[0].id)[1]
        if outcomes != {Outcome.CHANGED: count} or revocation_lists.head(session).number != count:
            raise BenchmarkError(f"Not every license was revoked: {outcomes}.")
        if problem := audit.verify(session):
            raise BenchmarkError(problem)
