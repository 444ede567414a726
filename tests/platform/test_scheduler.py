"""Jobs that come back, whatever happened the last time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from licsrv.platform import scheduler
from licsrv.platform.scheduler import Job
from tests.platform.conftest import Log


async def test_a_job_comes_back_although_it_failed(log: Log) -> None:
    runs: list[int] = []
    enough = asyncio.Event()

    async def work() -> None:
        runs.append(len(runs))
        if len(runs) == 3:
            enough.set()
        raise ValueError("what happened")

    made = scheduler.make((Job("sweep", timedelta(milliseconds=10), work),))
    made.start()
    async with asyncio.timeout(10):
        await enough.wait()
    made.shutdown(wait=False)

    assert runs[:3] == [0, 1, 2]
    assert {event["job"] for event in log.named("job failed")} == {"sweep"}
    assert "ValueError: what happened" in log.named("job failed")[0]["exception"]


async def test_a_job_never_runs_beside_itself() -> None:
    under_way, most, runs = 0, 0, 0
    enough = asyncio.Event()

    async def work() -> None:
        nonlocal under_way, most, runs
        under_way += 1
        most = max(most, under_way)
        for _ in range(20):
            await asyncio.sleep(0)
        under_way -= 1
        runs += 1
        if runs == 5:
            enough.set()

    made = scheduler.make((Job("sweep", timedelta(milliseconds=1), work),))
    made.start()
    async with asyncio.timeout(10):
        await enough.wait()
    made.shutdown(wait=False)

    assert most == 1


async def test_two_jobs_of_one_name_are_a_mistake() -> None:
    async def work() -> None:
        return None

    made = scheduler.make((Job("sweep", timedelta(hours=1), work),) * 2)

    with pytest.raises(Exception, match="sweep"):
        made.start()
