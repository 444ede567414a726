"""The writer: runs waiting use cases one after the other in one transaction, commits once, then answers each caller.

A commit with ``fsync`` costs about as much as a hundred rows, so many callers share one. Each use case has its own
savepoint: one that fails leaves the others alone. A use case may be run again (a deadlock, a spoiled group), so it
must have no effect outside its session but :func:`licsrv.platform.db.after_commit`. What waits when a commit ends is
the next group; waiting on purpose for more only loses (measured, see docs/performance.md). Work in the background (the
outbox) comes after callers but for a turn now and then, and only a few to a group: thousands of deliveries must not
keep a device waiting.

SQLite has one writer thread, which also makes limits race-free. On PostgreSQL several threads run one use case a
transaction each: row locks of many callers in one transaction would meet each other in deadlocks, and the server
groups the commits of its connections by itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, Generic, TypeVar

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session

from licsrv.errors import StorageBusyError, StorageError
from licsrv.platform import logs
from licsrv.platform.clock import stopwatch
from licsrv.platform.db import (
    Database,
    Hook,
    run_after_commit,
    savepoint,
)
from licsrv.platform.metrics import Metrics
from licsrv.platform.storage_errors import Failure, facts_of, failure_of, is_retryable, translate

Result = TypeVar("Result")
UseCase = Callable[[Session], Result]

_ATTEMPTS = 4
_BACKGROUND_GROUP = 4
_CALLERS_IN_A_ROW = 16
"""After so many callers the background has a turn: a server that is never idle delivers, too."""
_log = logs.logger(__name__)


@dataclass(frozen=True)
class _Job:
    use_case: UseCase[Any]
    future: asyncio.Future[Any]
    loop: asyncio.AbstractEventLoop
    is_background: bool = False


@dataclass(frozen=True)
class _Outcome(Generic[Result]):
    value: Result | None = None
    error: BaseException | None = None


@dataclass(frozen=True)
class Commit:
    """How the last commit ended, and when (by the stopwatch)."""

    at: float
    failure: Failure | None = None
    detail: str = ""


class Writer:
    """Runs use cases in shared transactions; see the module.

    Args:
        database: Where to write.
        hooks: Called in each transaction right before its commit, e.g. to seal the audit chain.
        group: How many use cases share a commit at most on SQLite.
        threads: How many transactions run side by side on PostgreSQL.
        metrics: Counts failed commits.
    """

    def __init__(
        self,
        database: Database,
        *,
        hooks: Sequence[Hook] = (),
        group: int = 64,
        threads: int = 4,
        metrics: Metrics | None = None,
    ) -> None:
        self.last_commit: Commit | None = None
        self._metrics = metrics
        self._engine = database.write
        self._hooks = tuple(hooks)
        self._group = group if database.is_sqlite else 1
        self._callers: deque[_Job] = deque()
        self._background: deque[_Job] = deque()
        self._callers_in_a_row = 0
        self._arrivals: SimpleQueue[bool] = SimpleQueue()  # one for each job that waits; False is the end
        self._closed = False
        self._gate = threading.Lock()
        count = 1 if database.is_sqlite else threads
        self._threads = [threading.Thread(target=self._work, name=f"writer-{n}", daemon=True) for n in range(count)]
        for thread in self._threads:
            thread.start()

    def add_hooks(self, hooks: Sequence[Hook]) -> None:
        """Call these too in each transaction right before its commit."""
        self._hooks = (*self._hooks, *hooks)

    async def run(self, use_case: UseCase[Result], *, is_background: bool = False) -> Result:
        """Run ``use_case(session)`` and return its value once it is on disk.

        A caller that goes away does not stop it: what was accepted is finished.

        Args:
            is_background: No caller waits for it; those of callers come first.

        Raises:
            StorageError: The database failed, or the writer is closed; nothing was changed.
        """
        loop = asyncio.get_running_loop()
        job = _Job(use_case, loop.create_future(), loop, is_background=is_background)
        with self._gate:  # a job behind the end mark would never be answered
            if self._closed:
                raise StorageBusyError("The service is stopping; nothing was changed.")
            (self._background if is_background else self._callers).append(job)
            self._arrivals.put(True)
        result: Result = await job.future
        return result

    def close(self) -> None:
        """Finish what was accepted, then end the threads; closing again does nothing."""
        with self._gate:
            if self._closed:
                return
            self._closed = True
            for _ in self._threads:
                self._arrivals.put(False)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while self._arrivals.get():
            jobs, is_end = self._gather()
            _answer(jobs, self._run_group(jobs))
            if is_end:
                return

    def _gather(self) -> tuple[list[_Job], bool]:
        """Take what waits already, up to a group; the flag says that the end was among it. One arrival is taken."""
        jobs: list[_Job] = []
        left = _BACKGROUND_GROUP
        while True:
            jobs.append(self._next())
            left -= jobs[-1].is_background
            if len(jobs) >= self._group or (left <= 0 and not self._callers):
                return jobs, False
            try:
                if not self._arrivals.get_nowait():
                    return jobs, True
            except Empty:
                return jobs, False

    def _next(self) -> _Job:
        """Return a job for an arrival that was taken: there is one, though other threads take some meanwhile."""
        while True:
            is_turn = self._callers_in_a_row >= _CALLERS_IN_A_ROW
            for jobs in (self._background, self._callers) if is_turn else (self._callers, self._background):
                try:
                    job = jobs.popleft()
                except IndexError:
                    continue
                self._callers_in_a_row = 0 if job.is_background else self._callers_in_a_row + 1
                return job

    def _run_group(self, jobs: list[_Job]) -> list[_Outcome[Any]]:
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return self._run_once(jobs)
            except SQLAlchemyError as error:
                if len(jobs) > 1:  # one of them spoiled the transaction: alone, only that one fails
                    return [outcome for job in jobs for outcome in self._run_group([job])]
                if attempt == _ATTEMPTS or not is_retryable(error):
                    return [_Outcome(error=self._failed(error))]
            except Exception as error:  # a hook failed: nothing was committed, every caller must hear of it
                return [_Outcome(error=error)] * len(jobs)
        raise AssertionError  # the loop always returns

    def _run_once(self, jobs: list[_Job]) -> list[_Outcome[Any]]:
        with Session(self._engine) as session:
            if len(jobs) == 1:
                outcomes = [_run_alone(session, jobs[0].use_case)]
            else:
                outcomes = [_run_in_savepoint(session, job.use_case) for job in jobs]
            for hook in self._hooks:
                hook(session)
            session.commit()
            self.last_commit = Commit(stopwatch())
            run_after_commit(session)
        return outcomes

    def _failed(self, error: SQLAlchemyError) -> StorageError:
        """Note a failed transaction; return the caller's error. The database's own words are logged unless busy."""
        failure, reported = failure_of(error), translate(error)
        if failure not in (Failure.BUSY, Failure.OTHER):  # other: this use case's own fault, as likely as not
            self.last_commit = Commit(stopwatch(), failure, str(reported))
        if self._metrics is not None:
            self._metrics.failed_commits.labels(failure).inc()
        if failure is not Failure.BUSY:
            _log.error("the database refused a transaction", **facts_of(error))
        return reported


def _run_alone(session: Session, use_case: UseCase[Any]) -> _Outcome[Any]:
    """Run the only use case of a transaction: its failure undoes everything, so it needs no savepoint."""
    try:
        outcome = _Outcome(value=use_case(session))
        session.flush()
    except SQLAlchemyError:
        raise
    except Exception as error:  # the caller gets it, whatever it is
        session.rollback()
        session.info.clear()
        return _Outcome(error=error)
    return outcome


def _run_in_savepoint(session: Session, use_case: UseCase[Any]) -> _Outcome[Any]:
    """Run one use case so that its failure undoes its own changes and nothing else."""
    try:
        with savepoint(session):
            outcome = _Outcome(value=use_case(session))
            session.flush()
    except SQLAlchemyError:
        raise  # the transaction itself may be lost (disk full, deadlock): _run_group decides
    except Exception as error:  # the caller gets it, whatever it is
        outcome = _Outcome(error=error)
    session.expunge_all()
    return outcome


def _answer(jobs: list[_Job], outcomes: list[_Outcome[Any]]) -> None:
    """Wake each caller's event loop once for all of its jobs."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[_Job, _Outcome[Any]]]] = {}
    for job, outcome in zip(jobs, outcomes, strict=True):
        by_loop.setdefault(job.loop, []).append((job, outcome))
    for loop, pairs in by_loop.items():
        try:
            loop.call_soon_threadsafe(_settle, pairs)
        except RuntimeError:  # the loop is closed: its callers are gone, the work is done
            continue


def _settle(pairs: list[tuple[_Job, _Outcome[Any]]]) -> None:
    for job, outcome in pairs:
        if job.future.done():
            continue
        if outcome.error is not None:
            job.future.set_exception(outcome.error)
        else:
            job.future.set_result(outcome.value)
