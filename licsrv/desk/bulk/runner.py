"""The runner: one in each process; a free one takes the next job that was started.

A job is worked on by one process at a time; the lease in the database decides. Each group is a use case of its own
through the writer, so heartbeats and callbacks get their turn between two groups.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field

from sqlmodel import Session

from licsrv.desk.bulk import execution, store
from licsrv.desk.bulk.execution import Progress
from licsrv.errors import StorageError
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.writer import Writer

_log = logs.logger(__name__)


@dataclass(eq=False)
class BulkRunner:
    """Works on bulk jobs.

    Args:
        owner: Names this process among all replicas; unique for each start.
        group: How many rows share a transaction.
    """

    database: Database
    writer: Writer
    _: KW_ONLY
    clock: Clock
    owner: str
    group: int = execution.GROUP
    _task: asyncio.Task[None] | None = field(default=None, init=False)

    async def tick(self) -> None:
        """Continue a job without a runner, in the background; safe on every replica."""
        if self._task is not None and not self._task.done():
            return
        if await asyncio.to_thread(self._is_due):
            self._task = asyncio.create_task(self._work_on())

    async def finished(self) -> None:
        """Wait until the work in the background has ended, if there is any."""
        if self._task is not None:
            await self._task

    async def close(self) -> None:
        """Stop and give the job back, so that another replica can continue at once."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _is_due(self) -> bool:
        with reading(self.database) as session:
            return store.free_job(session, self.owner, self.clock.now()) is not None

    async def _work_on(self) -> None:
        try:
            while await self.work():
                pass
        except StorageError:
            _log.warning("bulk work interrupted by the database; going on later")
        except Exception:
            _log.exception("bulk work failed; going on later")

    async def work(self, progress: Callable[[Progress], None] | None = None) -> str | None:
        """Carry out the oldest free job until it ends or another replica has it; return its id, or None.

        Args:
            progress: Called after each group.
        """
        job_id = await self._claim()
        if job_id is None:
            return None
        try:
            while (done := await self._next_group(job_id)) is not None:
                if progress is not None:
                    progress(done)
                if done.is_over:
                    break
        finally:
            await asyncio.shield(self._let_go(job_id))
        return job_id

    async def _claim(self) -> str | None:
        """Claim a job; one that is claimed while this process stops is given back at once."""
        owner, now = self.owner, self.clock.now()
        claim = asyncio.ensure_future(self.writer.run(lambda session: execution.claim(session, owner=owner, now=now)))
        try:
            return await asyncio.shield(claim)
        except asyncio.CancelledError:
            if (job_id := await claim) is not None:
                await self._let_go(job_id)
            raise

    async def _let_go(self, job_id: str) -> None:
        await self.writer.run(lambda session: execution.let_go(session, job_id, self.owner))

    async def _next_group(self, job_id: str) -> Progress | None:
        """Carry out a group; where it fails, row by row, so that only the row that spoils it is left out."""
        try:
            return await self._run(job_id, self.group)
        except StorageError:
            raise
        except Exception:
            _log.exception("a group of bulk work failed; trying its rows one by one", job=job_id)
        return await self._one_by_one(job_id)

    async def _one_by_one(self, job_id: str) -> Progress | None:
        done: Progress | None = None
        for _ in range(self.group):
            try:
                done = await self._run(job_id, 1)
            except StorageError:
                raise
            except Exception:
                _log.exception("a row of bulk work failed and is left out", job=job_id)
                done = await self._skip(job_id)
            if done is None or done.is_over:
                break
        return done

    async def _run(self, job_id: str, most: int) -> Progress | None:
        owner, now = self.owner, self.clock.now()

        def use_case(session: Session) -> Progress | None:
            return execution.carry_out(session, job_id, owner=owner, most=most, now=now)

        return await self.writer.run(use_case)

    async def _skip(self, job_id: str) -> Progress | None:
        owner, now = self.owner, self.clock.now()
        return await self.writer.run(lambda session: execution.skip(session, job_id, owner=owner, now=now))
