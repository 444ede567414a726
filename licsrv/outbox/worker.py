"""The worker: claim, deliver outside any transaction, settle. Every replica runs one.

If the process dies between delivering and settling, the lease ends and the row is delivered again: delivery is at
least once, and each deliverer makes a repetition harmless at the receiver.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Generic, TypeVar

from sqlmodel import Session

from licsrv.errors import StorageBusyError, StorageError, UnreadableMessageError
from licsrv.outbox import rules, store
from licsrv.outbox.messages import Message
from licsrv.outbox.pace import Pace
from licsrv.outbox.rules import Again, Delivered, Postponed, Refused, State, Verdict
from licsrv.outbox.store import Claimed
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.db import after_commit
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer

Kind = TypeVar("Kind", bound=Message)
_log = logs.logger(__name__)
_IDLE_SECONDS = 2.0
_GATHER_SECONDS = 0.02
"""A look is a transaction: what ends or is enqueued within this time shares one."""
_MARGIN = 0.8  # a delivery is stopped at this share of its lease, so that two workers never deliver one row


@dataclass(frozen=True)
class Deliverer(Generic[Kind]):
    """How one kind is delivered.

    Args:
        message: The class of the kind's messages.
        deliver: Takes up to ``batch`` messages, returns one verdict for each, in their order.
        batch: How many messages one call takes.
    """

    message: type[Kind]
    deliver: Callable[[Sequence[Kind]], Awaitable[Sequence[Verdict]]]
    batch: int = 1


@dataclass(frozen=True)
class Parked:
    """A row that is not tried again until a person decides, and why."""

    row_id: int
    kind: str
    ordering_key: str
    reason: str


class Worker:
    """Delivers the messages of the outbox.

    A row of a kind without a deliverer waits: a newer version wrote it, and a newer replica delivers it.

    Args:
        on_parked: Called in the transaction that parks a row.
        owner: Names this worker among all replicas; unique for each start.
        lease: How long a claimed row is ours.
        concurrency: The most calls under way at once; see :mod:`licsrv.outbox.pace`.
        max_attempts: Tries before a row is parked.
    """

    def __init__(
        self,
        writer: Writer,
        deliverers: Sequence[Deliverer[Any]],
        *,
        on_parked: Callable[[Session, Parked], None],
        clock: Clock,
        metrics: Metrics,
        owner: str,
        lease: timedelta = timedelta(seconds=90),
        concurrency: int = 4,
        max_attempts: int = 120,
    ) -> None:
        self._writer = writer
        self._deliverers = tuple(deliverers)
        self._on_parked = on_parked
        self._clock = clock
        self._metrics = metrics
        self._owner = owner
        self._lease = lease
        self._concurrency = concurrency
        self._max_attempts = max_attempts
        self._paces = {deliverer.message.KIND: Pace(concurrency) for deliverer in deliverers}
        self._under_way: Counter[str] = Counter()
        self._hungry = set(self._paces)  # kinds that may have more due rows than were claimed
        self._tasks: set[asyncio.Task[None]] = set()
        self._woken = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._turn = -1
        self._is_everything_due = True

    def wake(self, kinds: Collection[str] | None = None) -> None:
        """Look for work now instead of at the next turn, of these kinds or of every kind; safe from any thread.

        A look costs transactions: each first check-in of a day wakes, so it must not look for what was not enqueued.
        """
        if self._loop is None or self._loop.is_closed():
            self._is_everything_due = True
            return
        self._loop.call_soon_threadsafe(self._wake, kinds)

    def _wake(self, kinds: Collection[str] | None) -> None:
        if kinds is None:
            self._is_everything_due = True
        else:
            self._hungry |= self._paces.keys() & kinds
        self._woken.set()

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
                await asyncio.sleep(_GATHER_SECONDS)
            except TimeoutError:
                self._is_everything_due = True

    async def drain(self) -> int:
        """Deliver until nothing is due, and return how many calls were made; for tests and the command line."""
        calls = 0
        self._is_everything_due = True  # time may have passed since the last look
        while started := await self._start_due():
            calls += started
            await self.finish()
            self._is_everything_due = True
        return calls

    async def finish(self, seconds: float | None = None) -> None:
        """Wait for the deliveries under way, at most so long; the rest is claimed again when its lease is over."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)

    async def _start_due(self) -> int:
        if self._is_everything_due:
            self._is_everything_due, self._hungry = False, set(self._paces)
        return sum([await self._start(deliverer) for deliverer in self._in_turn()])

    async def _start(self, deliverer: Deliverer[Any]) -> int:
        """Start as many calls of a kind as its pace and the common limit allow."""
        kind = deliverer.message.KIND
        room = self._paces[kind].room(self._under_way[kind], now=self._clock.now())
        free = min(room, self._concurrency - len(self._tasks))
        if kind not in self._hungry or free <= 0:
            return 0
        groups = await self._claim(deliverer, free)
        for group in groups:
            task = asyncio.create_task(self._deliver(deliverer, group))
            self._tasks.add(task)
            self._under_way[kind] += 1
            task.add_done_callback(partial(self._done, kind))
        return len(groups)

    def _in_turn(self) -> Sequence[Deliverer[Any]]:
        """Return the deliverers, each time another one first: many rows of one kind must not delay the others."""
        self._turn += 1
        first = self._turn % len(self._deliverers) if self._deliverers else 0
        return self._deliverers[first:] + self._deliverers[:first]

    def _done(self, kind: str, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._under_way[kind] -= 1
        self._woken.set()

    async def _claim(self, deliverer: Deliverer[Any], free: int) -> list[Sequence[Claimed]]:
        now, kind, batch = self._clock.now(), deliverer.message.KIND, deliverer.batch
        limit = batch if batch > 1 else free

        def claim(session: Session) -> list[Claimed]:
            return store.claim_due(
                session, kind, together=batch > 1, owner=self._owner, lease=self._lease, limit=limit, now=now
            )

        self._hungry.discard(kind)  # before the look: what is enqueued during it makes the kind hungry again
        claimed = await self._writer.run(claim, is_background=True)
        if len(claimed) == limit:
            self._hungry.add(kind)
        return [claimed[start : start + batch] for start in range(0, len(claimed), batch)]

    async def _deliver(self, deliverer: Deliverer[Any], group: Sequence[Claimed]) -> None:
        read = [(claimed, _read(deliverer.message, claimed)) for claimed in group]
        readable = [(claimed, message) for claimed, message in read if isinstance(message, Message)]
        pairs: list[tuple[Claimed, Verdict]] = [(row, refused) for row, refused in read if isinstance(refused, Refused)]
        if readable:
            verdicts = await self._verdicts(deliverer, [message for _, message in readable])
            pairs += [(claimed, verdict) for (claimed, _), verdict in zip(readable, verdicts, strict=True)]
        self._note_pace(deliverer.message.KIND, [verdict for _, verdict in pairs])
        await self._settle(pairs)

    async def _verdicts(self, deliverer: Deliverer[Any], messages: Sequence[Message]) -> Sequence[Verdict]:
        """Deliver, and return one verdict for each message whatever happens."""
        try:
            async with asyncio.timeout(self._lease.total_seconds() * _MARGIN):
                verdicts = await deliverer.deliver(messages)
            return [verdict for _, verdict in zip(messages, verdicts, strict=True)]
        except TimeoutError:
            return [Again("the delivery took too long", is_silence=True)] * len(messages)
        except Exception as error:
            _log.exception("deliverer failed", kind=deliverer.message.KIND)
            return [Again(f"internal error ({type(error).__name__})")] * len(messages)

    def _note_pace(self, kind: str, verdicts: Sequence[Verdict]) -> None:
        """Let the kind go faster, slower or wait, so that thousands of rows do not learn it one by one."""
        pace = self._paces[kind]
        closed = [verdict.until for verdict in verdicts if isinstance(verdict, Postponed)]
        if closed:
            pace.close(max(closed))
        elif any(isinstance(verdict, Again) and verdict.is_silence for verdict in verdicts):
            pace.silent(now=self._clock.now())
        else:
            pace.answered()

    async def _settle(self, pairs: Sequence[tuple[Claimed, Verdict]]) -> None:
        """Write the outcome of one call's rows in one transaction; where a row's effect fails, each in its own."""
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
        """Count this as a failed try: an effect that fails may fail every time, so the row is parked in the end."""
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
                self._conclude(session, claimed, verdict, jitter=random.random(), now=now)  # noqa: S311
                for claimed, verdict in pairs
            ]

        return await self._writer.run(use_case, is_background=True)

    def _conclude(self, session: Session, claimed: Claimed, verdict: Verdict, *, jitter: float, now: datetime) -> str:
        """Write the outcome of a try, in one transaction with the effect of the answer."""
        if not store.still_mine(session, claimed, self._owner):
            return "lost"  # our lease ended and another worker has the row: its outcome counts
        verdict = _with_effect(session, verdict)
        match verdict:
            case Delivered():
                self._settled(session, claimed, State.DELIVERED, error=None, now=now)
                return State.DELIVERED.lower()
            case Refused(reason):
                return self._park(session, claimed, reason, now=now)
            case Again(reason) if rules.is_given_up(claimed.attempts, self._max_attempts):
                return self._park(session, claimed, f"given up: {reason}", now=now)
            case Again(reason) | Postponed(reason):
                due_at = rules.next_try_at(verdict, attempts=claimed.attempts, jitter=jitter, now=now)
                counted = isinstance(verdict, Again)
                store.put_back(session, claimed.id, due_at=due_at, error=reason, counted=counted)
                return "again" if counted else "postponed"

    def _park(self, session: Session, claimed: Claimed, reason: str, *, now: datetime) -> str:
        _log.error("delivery parked", kind=claimed.kind, row=claimed.id, reason=reason)
        self._on_parked(session, Parked(claimed.id, claimed.kind, claimed.ordering_key, reason=reason))
        self._settled(session, claimed, State.PARKED, error=reason, now=now)
        return State.PARKED.lower()

    def _settled(self, session: Session, claimed: Claimed, state: State, error: str | None, *, now: datetime) -> None:
        """Close a row; look at once for the rows that were behind it."""
        if kinds := store.settle(session, claimed.id, state=state, error=error, now=now):
            after_commit(session, partial(self.wake, kinds))


def _read(kind: type[Message], claimed: Claimed) -> Message | Refused:
    """Read a row, or refuse it: a row that cannot be read now cannot be read at the next try either."""
    try:
        return kind.read(claimed.ordering_key, claimed.payload)
    except UnreadableMessageError as error:
        return Refused(str(error))


def _with_effect(session: Session, verdict: Verdict) -> Verdict:
    """Write what the answer means; return the verdict, or the one that the effect answers instead."""
    effect = None if isinstance(verdict, Postponed) else verdict.effect
    return verdict if effect is None else effect(session) or verdict


def _left_to_its_lease(claimed: Claimed) -> str:
    """Log that a row comes back when its lease ends."""
    _log.warning("delivery could not be settled", kind=claimed.kind, row=claimed.id)
    return "lease"
