"""The reconciler: one in each process, of which one at a time works on the run that is under way.

Nightly and on demand a run asks the marketplace about every live license. Whatever ends the work before its end (the
process, the marketplace, a closed gate) leaves a cursor behind from which any replica goes on.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from licsrv.audit import Cause
from licsrv.errors import MarketplaceError, MarketplaceUnavailableError, StorageError
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.reconciliation import rules, runs, store
from licsrv.marketplace.reconciliation.asking import LOST, Asked, Inquiry, Pace, Sleep, ask_one
from licsrv.marketplace.reconciliation.runs import Question
from licsrv.marketplace.reconciliation.tables import ReconciliationRun
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, reading
from licsrv.platform.writer import Writer

NIGHTLY = Cause("nightly")
_MARGIN = timedelta(seconds=60)
_log = logs.logger(__name__)


@dataclass(frozen=True)
class ReconciliationSettings:
    """The settings of reconciliations.

    Args:
        time_limit: For one call.
        per_second: Licenses asked about in a second.
        hour: When a night's run starts, in ``timezone``; None for never.
        alive_unfreezes: Whether the answer ALIVE means that a license is not frozen.
    """

    time_limit: timedelta
    per_second: float
    hour: int | None
    timezone: ZoneInfo
    alive_unfreezes: bool

    @property
    def lease(self) -> timedelta:
        """How long a replica that shows no sign of life keeps a run from the others."""
        return self.time_limit * 2 + _MARGIN


async def _sleep(span: timedelta) -> None:
    await asyncio.sleep(span.total_seconds())


@dataclass(eq=False)
class Reconciler:
    """Starts the nightly run and works on whichever is under way.

    Args:
        owner: Names this process among all replicas; unique for each start.
        sleep: Waits; another one for tests.
    """

    api: GuardedOpenApi
    database: Database
    writer: Writer
    _: KW_ONLY
    settings: ReconciliationSettings
    clock: Clock
    owner: str
    sleep: Sleep = _sleep
    _work: asyncio.Task[None] | None = field(default=None, init=False)

    async def tick(self) -> None:
        """Start the night's run when its hour has come, and go on with a run that has no worker; then return.

        A job of the scheduler, safe on every replica: the work goes on in the background.
        """
        if not self.api.is_configured or (self._work is not None and not self._work.done()):
            return
        await self._start_night()
        if await asyncio.to_thread(self.under_way) is not None:
            self._work = asyncio.create_task(self._work_on())

    async def finished(self) -> None:
        """Wait until the work in the background has ended, if there is any."""
        if self._work is not None:
            await self._work

    async def close(self) -> None:
        """Stop working and give the run back, so that another replica goes on at once."""
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    async def start(self, cause: Cause) -> tuple[ReconciliationRun | None, bool]:
        """Start a run on demand; see :func:`licsrv.marketplace.reconciliation.runs.start`."""
        now = self.clock.now()
        return await self.writer.run(lambda session: _detached(*runs.start(session, cause=cause, now=now)))

    def under_way(self) -> ReconciliationRun | None:
        """Return the run that is under way."""
        with reading(self.database) as session:
            run = store.run_under_way(session)
            session.expunge_all()
            return run

    async def compare(self, license_id: str) -> None:
        """Compare one license now, and keep the result with the license.

        Raises:
            MarketplaceUnavailableError: The marketplace cannot be asked, or does not answer.
        """
        questions = await asyncio.to_thread(self._questions_about, license_id)
        if not questions:
            return
        limit = self.settings.time_limit
        try:
            answered = await ask_one(self.api, questions[0], clock=self.clock, time_limit=limit)
        except MarketplaceError as error:
            raise MarketplaceUnavailableError(
                "The marketplace did not answer.", action="Try again in a minute.", retry_after=60
            ) from error
        now, alive = self.clock.now(), self.settings.alive_unfreezes
        await self.writer.run(lambda session: runs.compare(session, [answered], alive_unfreezes=alive, now=now))

    def _questions_about(self, license_id: str) -> list[Question]:
        with reading(self.database) as session:
            return runs.questions(session, store.live_by_ids(session, [license_id]))

    async def _start_night(self) -> None:
        now, hour = self.clock.now(), self.settings.hour
        began = rules.night_of(now.astimezone(self.settings.timezone), hour) if hour is not None else None
        if began is None or await asyncio.to_thread(self._had_its_run, began):
            return
        night = began.date()
        _, is_new = await self.writer.run(
            lambda session: _detached(*runs.start(session, cause=NIGHTLY, night=night, now=now))
        )
        if is_new:
            _log.info("nightly comparison with the marketplace started", night=night.isoformat())

    def _had_its_run(self, began: datetime) -> bool:
        """Whether the night had its run, or one is under way; asked before each tick's write, which is rarely due."""
        with reading(self.database) as session:
            return store.run_under_way(session) is not None or store.has_night(session, began.date())

    async def _work_on(self) -> None:
        try:
            await self.work()
        except StorageError:
            _log.warning("comparison with the marketplace interrupted by the database; going on later")
        except Exception:
            _log.exception("comparison with the marketplace failed; going on later")

    async def work(self, progress: Callable[[ReconciliationRun], None] | None = None) -> bool:
        """Work on the present run until it is over, has to wait or belongs to another replica; whether it was ours.

        Args:
            progress: Called after each page.
        """
        owner, lease, now = self.owner, self.settings.lease, self.clock.now()
        run_id = await self.writer.run(lambda session: runs.claim(session, owner=owner, lease=lease, now=now))
        if run_id is None:
            return False
        inquiry = self._inquiry(run_id)
        try:
            while await self._page(run_id, inquiry):
                if progress is not None and (run := await asyncio.to_thread(self.under_way)) is not None:
                    progress(run)
        finally:
            await asyncio.shield(self.writer.run(lambda session: runs.let_go(session, run_id, owner)))
        return True

    def _inquiry(self, run_id: str) -> Inquiry:
        settings, held_at = self.settings, self.clock.now()

        async def hold() -> bool:
            """Lengthen the lease when a third of it is over."""
            nonlocal held_at
            now, owner = self.clock.now(), self.owner
            if now - held_at < settings.lease / 3:
                return True
            held_at = now
            return await self.writer.run(
                lambda session: store.hold(session, run_id, owner, lease=settings.lease, now=now)
            )

        return Inquiry(
            self.api,
            pace=Pace(settings.per_second, clock=self.clock, sleep=self.sleep),
            clock=self.clock,
            time_limit=settings.time_limit,
            sleep=self.sleep,
            hold=hold,
        )

    async def _page(self, run_id: str, inquiry: Inquiry) -> bool:
        """Ask about the next licenses; False when there is nothing more to do now."""
        questions, known = await asyncio.to_thread(self._next, run_id)
        if not questions:
            now, owner = self.clock.now(), self.owner
            await self.writer.run(lambda session: runs.finish(session, run_id, owner, now=now))
            _log.info("comparison with the marketplace is over", run=run_id)
            return False
        asked = await inquiry.ask(questions, known)
        cursor = questions[-1].license_id if not asked.trouble else None
        is_ours = await self._keep(run_id, asked, cursor)
        if asked.trouble and is_ours and asked.trouble != LOST:
            await self._postpone(run_id, asked)
        return is_ours and not asked.trouble

    def _next(self, run_id: str) -> tuple[list[Question], Question | None]:
        with reading(self.database) as session:
            questions = runs.next_questions(session, run_id)
            return questions, runs.known_to_answer(session, run_id) if questions else None

    async def _keep(self, run_id: str, asked: Asked, cursor: str | None) -> bool:
        now, owner, alive = self.clock.now(), self.owner, self.settings.alive_unfreezes
        return await self.writer.run(
            lambda session: runs.keep(
                session, run_id, owner, answers=asked.answers, cursor=cursor, alive_unfreezes=alive, now=now
            )
        )

    async def _postpone(self, run_id: str, asked: Asked) -> None:
        now, owner = self.clock.now(), self.owner
        jitter = random.random()  # noqa: S311 - it spreads tries and guards nothing
        waits = await self.writer.run(
            lambda session: runs.postpone(
                session, run_id, owner, until=asked.until, reason=asked.trouble, jitter=jitter, now=now
            )
        )
        if waits:
            _log.warning("comparison with the marketplace waits", reason=asked.trouble)
        else:
            _log.error("comparison with the marketplace given up", reason=asked.trouble)


def _detached(run: ReconciliationRun | None, is_new: bool) -> tuple[ReconciliationRun | None, bool]:
    """Return a run that can be read after its transaction."""
    return (ReconciliationRun.model_validate(run.model_dump()) if run is not None else None), is_new
