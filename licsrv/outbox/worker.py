"""The worker: claim, deliver outside any transaction, settle. Any number of replicas run one each.

If the process dies between delivering and settling, the lease runs out and the row is delivered again: delivery is at
least once, and each deliverer makes that harmless at the receiver.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlmodel import Session

from licsrv.errors import StorageBusyError, StorageError
from licsrv.outbox import rules, store
from licsrv.outbox.rules import Again, Delivered, Postponed, Refused, State, Verdict
from licsrv.outbox.store import Claimed
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer

_log = logs.logger(__name__)
_IDLE_SECONDS = 2.0
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
_MARGIN = 0.8  # a delivery is stopped when this much of its lease is over, so that two workers never deliver one row


@dataclass(frozen=True)
class Deliverer:
    """How one kind is delivered.

    Args:
        deliver: Takes up to ``batch`` rows, returns one verdict for each, in their order.
        batch: How many rows one call takes.
    """

    deliver: Callable[[Sequence[Claimed]], Awaitable[Sequence[Verdict]]]
    batch: int = 1


class Worker:
    """Delivers what the outbox holds.

    Args:
        owner: Names this worker among all replicas; unique for each start.
        lease: How long a claimed row is ours.
        concurrency: Calls under way at once.
        max_attempts: Tries before a row is parked.
    """

    def __init__(
        self,
        writer: Writer,
        deliverers: Mapping[str, Deliverer],
        *,
        clock: Clock,
        metrics: Metrics,
        owner: str,
        lease: timedelta = timedelta(seconds=90),
        concurrency: int = 4,
        max_attempts: int = 120,
    ) -> None:
        self._writer = writer
        self._deliverers = deliverers
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._lease = lease
        self._concurrency = concurrency
        self._max_attempts = max_attempts
        self._closed_until: dict[str, datetime] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = -1

    def wake(self) -> None:
        """Look for work now instead of at the next turn; safe from any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._woken.set)

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is finished by :meth:`finish`."""
        self._loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            try:
                await self._start_due()
            except StorageError:
                _log.warning("outbox cannot be read; trying again")
            except Exception:  # whatever it is: a worker that ends would leave everything undelivered until a restart
                _log.exception("outbox worker failed; trying again")
            try:
                async with asyncio.timeout(_IDLE_SECONDS):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def drain(self) -> int:
        """Deliver until nothing is due, and return how many calls were made; for tests and the command line."""
        calls = 0
        while started := await self._start_due():
            calls += started
            await self.finish()
        return calls

    async def finish(self, seconds: float | None = None) -> None:
        """Wait for the deliveries under way, at most so long; the rest is claimed again when its lease is over."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _start_due(self) -> int:
        started = 0
        for kind, deliverer in self._in_turn():
            free = self._concurrency - len(self._tasks)
            if free <= 0:
                break
            if self._is_closed(kind):
                continue
            for group in await self._claim(kind, deliverer.batch, free):
                task = asyncio.create_task(self._deliver(deliverer, group))
                self._tasks.add(task)
                task.add_done_callback(self._done)
                started += 1
        return started

    def _is_closed(self, kind: str) -> bool:
        """Whether the kind's way is closed; one closed for too long was closed while the clock was wrong."""
        now = self._clock.now()
        return now < self._closed_until.get(kind, _LONG_AGO) <= now + rules.LONGEST_WAIT

    def _in_turn(self) -> Sequence[tuple[str, Deliverer]]:
        """Return the kinds, each time another one first: many rows of one kind must not keep the others waiting."""
        self._turn += 1
        kinds = list(self._deliverers.items())
        first = self._turn % len(kinds) if kinds else 0
        return kinds[first:] + kinds[:first]

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._woken.set()

    async def _claim(self, kind: str, batch: int, free: int) -> list[Sequence[Claimed]]:
        now = self._clock.now()
        limit = batch if batch > 1 else free

        def claim(session: Session) -> list[Claimed]:
            return store.claim_due(
                session, kind, together=batch > 1, owner=self._owner, lease=self._lease, limit=limit, now=now
            )

        claimed = await self._writer.run(claim)
        return [claimed[start : start + batch] for start in range(0, len(claimed), batch)]

    async def _deliver(self, deliverer: Deliverer, group: Sequence[Claimed]) -> None:
        try:
            async with asyncio.timeout(self._lease.total_seconds() * _MARGIN):
                verdicts = await deliverer.deliver(group)
            pairs = list(zip(group, verdicts, strict=True))
        except TimeoutError:
            pairs = [(claimed, Again("the delivery took too long")) for claimed in group]
        except Exception as error:
            _log.exception("deliverer failed", kind=group[0].kind)
            again = Again(f"internal error ({type(error).__name__})")
            pairs = [(claimed, again) for claimed in group]
        self._note_closed(group[0].kind, [verdict for _, verdict in pairs])
        await self._settle(pairs)

    def _note_closed(self, kind: str, verdicts: Sequence[Verdict]) -> None:
        """Leave a kind alone while its way is closed: thousands of rows need not find that out one by one."""
        closed = [verdict.until for verdict in verdicts if isinstance(verdict, Postponed)]
        if closed:
            self._closed_until[kind] = max(closed)

    async def _settle(self, pairs: Sequence[tuple[Claimed, Verdict]]) -> None:
        """Write what became of the rows of one call, in one transaction; where one spoils it, each in its own."""
        try:
            outcomes = await self._write(pairs)
        except StorageBusyError:
            outcomes = [_left_to_its_lease(claimed) for claimed, _ in pairs]
        except Exception as error:
            if len(pairs) > 1:
                for pair in pairs:
                    await self._settle([pair])
                return
            outcomes = [await self._put_back(pairs[0][0], error)]
        for (claimed, _), outcome in zip(pairs, outcomes, strict=True):
            self._metrics.deliveries.labels(claimed.kind, outcome).inc()

    async def _put_back(self, claimed: Claimed, error: Exception) -> str:
        """Give up this try: an effect that fails may fail every time, so it counts and is given up in the end."""
        _log.error("effect of a delivery failed", kind=claimed.kind, row=claimed.id, exc_info=error)
        again = Again(f"its answer could not be taken over ({type(error).__name__})")
        try:
            return (await self._write([(claimed, again)]))[0]
        except StorageError:
            return _left_to_its_lease(claimed)

    async def _write(self, pairs: Sequence[tuple[Claimed, Verdict]]) -> list[str]:
        now = self._clock.now()

        def use_case(session: Session) -> list[str]:
            # The jitter spreads retries; it guards nothing.
            return [
                self._conclude(session, claimed, verdict, random.random(), now)  # noqa: S311
                for claimed, verdict in pairs
            ]

        return await self._writer.run(use_case)

    def _conclude(self, session: Session, claimed: Claimed, verdict: Verdict, jitter: float, now: datetime) -> str:
        """Write what became of a try: read → decide → write, in one transaction with the answer's own effect."""
        if not store.still_mine(session, claimed, self._owner):
            return "lost"  # our lease ran out and somebody else has it: the other one's word counts
        match verdict:
            case Delivered(effect):
                return self._close(session, claimed, State.DELIVERED, None, effect, now)
            case Refused(reason, effect):
                _log.error("delivery refused for good", kind=claimed.kind, row=claimed.id, reason=reason)
                return self._close(session, claimed, State.PARKED, reason, effect, now)
            case Again(reason) if rules.is_given_up(claimed.attempts, self._max_attempts):
                _log.error("delivery given up", kind=claimed.kind, row=claimed.id, reason=reason)
                return self._close(session, claimed, State.PARKED, f"given up: {reason}", None, now)
            case Again(reason) | Postponed(reason):
                due_at = rules.next_try_at(verdict, attempts=claimed.attempts, jitter=jitter, now=now)
                counted = isinstance(verdict, Again)
                store.put_back(session, claimed.id, due_at=due_at, error=reason, counted=counted)
                return "again" if counted else "postponed"

    def _close(
        self,
        session: Session,
        claimed: Claimed,
        state: State,
        error: str | None,
        effect: Callable[[Session], None] | None,
        now: datetime,
    ) -> str:
        if effect is not None:
            effect(session)
        store.settle(session, claimed.id, state=state, error=error, now=now)
        return state.lower()


def _left_to_its_lease(claimed: Claimed) -> str:
    """Say that a row comes back when its lease is over."""
    _log.warning("delivery could not be settled", kind=claimed.kind, row=claimed.id)
    return "lease"
