"""Bulk work that is broken off, and work that several replicas reach for: each row once, whoever does it."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from pathlib import Path

import pytest
from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.bulk import execution, intake, jobs, store
from licsrv.desk.bulk.execution import Progress
from licsrv.desk.bulk.rules import FOR_LISTS, JobState, Task
from licsrv.desk.bulk.runner import BulkRunner
from licsrv.licensing import changes
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.people.actors import at_the_terminal
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, noted, open_database, reading, transaction
from licsrv.platform.writer import Writer
from tests.conftest import NOW, StandingClock
from tests.desk.bulk.conftest import Shop, say
from tests.processes import licsrv, serving

ANN = at_the_terminal("staff:ann")


def replica(shop: Shop, *, group: int = 7) -> BulkRunner:
    runtime = shop.runtime
    return BulkRunner(runtime.database, runtime.writer, clock=runtime.clock, owner=secrets.token_hex(4), group=group)


class BrokenError(Exception):
    """The process ends here."""


async def break_off(runner: BulkRunner, *, groups: int) -> None:
    def count(_: Progress) -> None:
        nonlocal groups
        groups -= 1
        if not groups:
            raise BrokenError

    with pytest.raises(BrokenError):
        await runner.work(count)


async def started(shop: Shop, count: int) -> str:
    codes = shop.stock(count)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(codes))
    await say(ann, job["id"], "start")
    return str(job["id"])


def assert_each_once(shop: Shop, job_id: str, count: int) -> None:
    assert shop.outcomes(job_id) == ["CHANGED"] * count
    subjects = Counter(entry.subject for entry in shop.house.audited(Action.LICENSE_REVOKED))
    assert (len(subjects), set(subjects.values())) == (count, {1})
    assert len(shop.house.audited(Action.BULK_FINISHED)) == 1
    with reading(shop.runtime.database) as session:
        assert revocation_lists.head(session).number == count
    assert shop.verified() is None


async def test_work_that_was_broken_off_goes_on_where_it_was(shop: Shop) -> None:
    job_id = await started(shop, 50)
    await break_off(replica(shop), groups=3)
    half_done = shop.revoked()

    await replica(shop).work()

    assert half_done == 21
    assert_each_once(shop, job_id, 50)


async def test_a_dead_replicas_job_waits_for_the_end_of_its_lease(shop: Shop, clock: StandingClock) -> None:
    job_id = await started(shop, 20)
    with transaction(shop.runtime.database) as session:
        assert execution.claim(session, owner="dead", now=NOW) == job_id
        execution.carry_out(session, job_id, owner="dead", most=7, now=NOW)
    runner = replica(shop)

    clock.advance(seconds=59)
    too_early = await runner.work()
    clock.advance(seconds=1)
    in_time = await runner.work()

    assert (too_early, in_time) == (None, job_id)
    assert_each_once(shop, job_id, 20)


async def test_who_lost_the_lease_does_nothing_any_more(shop: Shop, clock: StandingClock) -> None:
    job_id = await started(shop, 20)
    with transaction(shop.runtime.database) as session:
        execution.claim(session, owner="slow", now=NOW)
    clock.advance(seconds=61)
    await replica(shop).work()

    with transaction(shop.runtime.database) as session:
        late = execution.carry_out(session, job_id, owner="slow", now=clock.now())

    assert late is None
    assert_each_once(shop, job_id, 20)


async def test_replicas_that_reach_for_a_job_at_once_do_it_once(shop: Shop) -> None:
    job_id = await started(shop, 60)

    found = await asyncio.gather(*(replica(shop, group=3).work() for _ in range(4)))

    assert found.count(job_id) == 1
    assert_each_once(shop, job_id, 60)


async def test_two_jobs_over_the_same_licenses_at_once_change_each_once(shop: Shop) -> None:
    codes = shop.stock(60)
    ann = shop.person("ann")
    for text in (codes, codes[::-1]):
        job = await shop.prepared(ann, "\n".join(text))
        await say(ann, job["id"], "start")

    await asyncio.gather(*(replica(shop).work() for _ in range(2)))
    await replica(shop).work()

    assert shop.revoked() == 60
    assert len(shop.house.audited(Action.LICENSE_REVOKED)) == 60
    assert shop.verified() is None


async def test_a_job_stopped_in_the_middle_leaves_the_rest_alone(shop: Shop) -> None:
    job_id = await started(shop, 40)
    await break_off(replica(shop), groups=2)
    with transaction(shop.runtime.database, (audit.seal,)) as session:
        jobs.stop(session, job_id, actor=ANN, cause=Cause("staff:ann"), now=NOW)

    assert await replica(shop).work() is None
    assert shop.revoked() == 14
    assert shop.outcomes(job_id).count(None) == 26


async def test_a_process_that_stops_gives_its_job_back(shop: Shop) -> None:
    job_id = await started(shop, 100)
    runner = replica(shop, group=1)
    await runner.tick()
    await asyncio.sleep(0)

    await runner.close()

    with reading(shop.runtime.database) as session:
        job = store.job(session, job_id)
        assert job is not None
        assert (job.owner, job.state) == (None, JobState.RUNNING)
    await replica(shop).work()
    assert_each_once(shop, job_id, 100)


async def test_a_row_that_cannot_be_done_is_left_out_and_the_others_are_done(shop: Shop) -> None:
    job_id = await started(shop, 10)
    spoiler = shop.license("PL0000000004").id

    class Spoiled(Writer):
        """Fails whatever changes one license."""

        async def run(self, use_case):  # type: ignore[no-untyped-def]
            def spoiled(session: Session) -> object:
                result = use_case(session)
                if any(entry["subject"] == spoiler for entry in noted(session, "licsrv.audit.pending")):
                    raise ZeroDivisionError
                return result

            return await super().run(spoiled)

    runtime = shop.runtime
    writer = Spoiled(runtime.database, hooks=(audit.seal,))
    await BulkRunner(runtime.database, writer, clock=runtime.clock, owner="x", group=5).work()
    writer.close()

    assert shop.outcomes(job_id) == ["CHANGED"] * 4 + ["FAILED"] + ["CHANGED"] * 5
    assert shop.verified() is None


async def test_lists_that_are_uploaded_at_once_are_never_mixed(shop: Shop) -> None:
    from licsrv.errors import ConflictError

    codes = shop.stock(6)
    with transaction(shop.runtime.database) as session:
        job_id = jobs.make(session, Task(FOR_LISTS["revoke"]), actor=ANN, cause=Cause("x", "", "y"), now=NOW).id

    class Place:
        async def read(self, use_case):  # type: ignore[no-untyped-def]
            with reading(shop.runtime.database) as session:
                return use_case(session)

        async def change(self, use_case):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0)
            return await shop.runtime.writer.run(use_case)

    texts = ["\n".join(codes[:3]).encode(), "\n".join(codes[3:]).encode()]
    clock: Clock = shop.runtime.clock
    done = await asyncio.gather(
        *(intake.take_in(Place(), job_id, text, actor=ANN, clock=clock) for text in texts), return_exceptions=True
    )

    assert sum(isinstance(answer, ConflictError) for answer in done) <= 1
    with reading(shop.runtime.database) as session:
        given = [row.given for row in store.all_rows(session, job_id)]
    assert given in (codes[:3], codes[3:])


@pytest.mark.soak
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_killed_process_loses_nothing_and_the_next_one_finishes(
    engine: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/licsrv.db" if engine == "sqlite" else request.getfixturevalue("postgres_url")
    licsrv(tmp_path, "init", "--quiet", DATABASE_URL=url)
    database = open_database(url)
    count = 3_000
    job_id = _furnish(database, count)

    with serving(tmp_path, DATABASE_URL=url) as server:
        _wait(database, job_id, lambda job: job[0] > 0)
        server.kill()
    done, _ = _progress(database, job_id)
    with transaction(database) as session:  # as if its lease had run out
        job = store.job_for_update(session, job_id)
        assert job is not None
        job.lease_until = job.created_at
        session.add(job)
    with serving(tmp_path, DATABASE_URL=url):
        _wait(database, job_id, lambda job: job[1] == JobState.FINISHED)

    assert 0 < done < count
    with reading(database) as session:
        assert audit.verify(session) is None
        assert store.count(session, job_id)[1] == {"CHANGED": count}
        assert revocation_lists.head(session).number == count
    database.dispose()


def _furnish(database: Database, count: int) -> str:
    clock = Clock()
    now = clock.now()
    with transaction(database, (audit.seal,)) as session:
        for number in range(count):
            purchase = changes.Purchase(f"K{number:06}", MANUAL)
            session.add(changes._new(purchase, now))
    with transaction(database, (audit.seal,)) as session:
        job = jobs.make(session, Task(FOR_LISTS["revoke"]), actor=ANN, cause=Cause("staff:ann", "", "All."), now=now)
        check = jobs.begin_list(session, job.id, actor=ANN, now=now)
        entries = list(intake.uploaded_list.read("\n".join(f"K{number:06}" for number in range(count)).encode()))
        jobs.keep_rows(session, check, check.rows(session, entries))
        jobs.finish_list(session, check, now=now)
        jobs.start(session, job.id, actor=ANN, approval_above=count, cause=Cause("staff:ann"), now=now)
        return job.id


def _progress(database: Database, job_id: str) -> tuple[int, str]:
    with reading(database) as session:
        job = store.job(session, job_id)
        assert job is not None
        return job.cursor, job.state


def _wait(database: Database, job_id: str, until) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 60
    while not until(_progress(database, job_id)):
        assert time.monotonic() < deadline, _progress(database, job_id)
        time.sleep(0.01)
