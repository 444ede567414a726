"""Jobs that come back: APScheduler with its jobs in memory, the same on every replica.

A job store shared by replicas runs every tick several times (tried), so there is none: each job is a sweep that may
run anywhere, twice, or be missed, and the next one mends it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from apscheduler.schedulers.asyncio import AsyncIOScheduler

from licsrv.platform import logs
from licsrv.platform.clock import Clock

_log = logs.logger(__name__)


@dataclass(frozen=True)
class Job:
    """Something to do at intervals.

    Args:
        first: How long after the start it is done first, where that is not the interval.
    """

    name: str
    every: timedelta
    run: Callable[[], Awaitable[None]]
    first: timedelta | None = None


def make(jobs: tuple[Job, ...]) -> AsyncIOScheduler:
    """Return a scheduler of the jobs; its caller starts and stops it in the event loop."""
    scheduler = AsyncIOScheduler(timezone="UTC")
    for job in jobs:
        first = {} if job.first is None else {"next_run_time": Clock().now() + job.first}
        scheduler.add_job(
            _guarded(job), "interval", seconds=job.every.total_seconds(), id=job.name, coalesce=True, max_instances=1,
            **first,
        )  # fmt: skip
    return scheduler


def _guarded(job: Job) -> Callable[[], Awaitable[None]]:
    async def run() -> None:
        try:
            await job.run()
        except Exception:
            _log.exception("job failed", job=job.name)

    return run
