"""The open API behind its gate: the only way in which other rooms call the marketplace."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence
from copy import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from licsrv.errors import MarketplaceAuthenticationError, MarketplaceBusyError, MarketplacePausedError
from licsrv.marketplace.open_api import gate
from licsrv.marketplace.open_api.client import OpenApi
from licsrv.marketplace.open_api.code_answers import Activation, CodeState, Usage, UsageResult
from licsrv.marketplace.open_api.gate import Closed, Entered
from licsrv.marketplace.open_api.order_answers import Order
from licsrv.marketplace.open_api.uploads import Upload
from licsrv.platform import logs
from licsrv.platform.clock import Clock
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer

Answer = TypeVar("Answer")
_log = logs.logger(__name__)
_MARGIN = timedelta(seconds=5)
_STEP_SECONDS = 0.05
_UNCONFIGURED = timedelta(minutes=5)
_PROVEN_FOR = timedelta(minutes=1)


@dataclass
class _Proof:
    """When a call last succeeded."""

    at: datetime | None = None


class GuardedOpenApi:
    """Makes calls that the gate allows, and reports to the gate how they ended.

    Args:
        access_key: The AK; only a digest of it is written anywhere.
        most_calls: Calls under way at once, over all replicas, while the key pair is proven by answers.
    """

    def __init__(
        self,
        api: OpenApi,
        writer: Writer,
        *,
        access_key: str,
        clock: Clock,
        metrics: Metrics,
        most_calls: int = gate.MOST_FAILURES,
    ) -> None:
        self._api = api
        self._writer = writer
        self._clock = clock
        self._metrics = metrics
        self._most_calls = most_calls
        self._proof = _Proof()
        self.is_background = False
        self.is_configured = bool(access_key)
        self.key_pair = key_pair_id(access_key)

    def in_background(self) -> GuardedOpenApi:
        """Return the same API for calls that no device waits for: their notes in the database come after callers."""
        twin = copy(self)
        twin.is_background = True
        return twin

    async def activate(self, code: str, *, time_limit: timedelta) -> Activation:
        """Activate a code, waiting for the gate within the same time limit.

        Raises:
            MarketplaceError: See :meth:`OpenApi.activate`, and MarketplacePausedError.
        """
        return await self._call(lambda: self._api.activate(code, time_limit=time_limit), time_limit)

    async def query(self, code: str, *, time_limit: timedelta) -> CodeState:
        """Ask what a code is.

        Raises:
            MarketplaceError: See :meth:`OpenApi.query`, and MarketplacePausedError.
        """
        return await self._call(lambda: self._api.query(code, time_limit=time_limit), time_limit)

    async def report_usage(self, usages: Sequence[Usage], *, time_limit: timedelta) -> UsageResult:
        """Report which clients used which codes.

        Raises:
            MarketplaceError: See :meth:`OpenApi.report_usage`, and MarketplacePausedError.
        """
        return await self._call(lambda: self._api.report_usage(usages, time_limit=time_limit), time_limit)

    async def query_order(self, order_id: str, order_line_id: str, *, time_limit: timedelta) -> Order:
        """Ask what was bought with an order line.

        Raises:
            MarketplaceError: See :meth:`OpenApi.query_order`, and MarketplacePausedError.
        """
        return await self._call(
            lambda: self._api.query_order(order_id, order_line_id, time_limit=time_limit), time_limit
        )

    async def upload(self, event_id: str, upload: Upload, *, time_limit: timedelta) -> None:
        """Send the license that an application asked for.

        Raises:
            MarketplaceError: See :meth:`OpenApi.upload`, and MarketplacePausedError.
        """
        await self._call(lambda: self._api.upload(event_id, upload, time_limit=time_limit), time_limit)

    async def _call(self, call: Callable[[], Awaitable[Answer]], time_limit: timedelta) -> Answer:
        entered = await self._enter(time_limit)
        error: BaseException | None = None
        try:
            return await call()
        except BaseException as raised:  # a cancelled call proves nothing about the key pair either
            error = raised
            raise
        finally:
            await asyncio.shield(self._leave(entered, error))
            self._note_clock()

    async def _enter(self, time_limit: timedelta) -> Entered:
        """Wait for the gate, but not while it is paused, and not longer than the call itself may take."""
        if not self.is_configured:
            raise MarketplacePausedError(
                "Not called: no key pair is configured.", until=self._clock.now() + _UNCONFIGURED
            )
        loop = asyncio.get_running_loop()
        deadline = loop.time() + time_limit.total_seconds()
        while True:
            now = self._clock.now()
            answer = await self._writer.run(
                partial(gate.enter, key_pair=self.key_pair, span=time_limit + _MARGIN, now=now, most=self._most(now)),
                is_background=self.is_background,
            )
            if isinstance(answer, Entered):
                self._metrics.marketplace_paused.set(0)
                return answer
            if answer.is_paused or loop.time() >= deadline:
                raise self._closed(answer)
            await asyncio.sleep(_STEP_SECONDS)

    def _most(self, now: datetime) -> int:
        """Return how many calls may be under way: more than are safe to fail only just after one succeeded."""
        is_proven = self._proof.at is not None and timedelta() <= now - self._proof.at <= _PROVEN_FOR
        return max(self._most_calls, gate.MOST_FAILURES) if is_proven else gate.MOST_FAILURES

    def _closed(self, answer: Closed) -> MarketplacePausedError:
        self._metrics.marketplace_paused.set(1 if answer.is_paused else 0)
        error = MarketplacePausedError if answer.is_paused else MarketplaceBusyError
        return error(f"Not called: {answer.reason}", until=answer.until)

    async def _leave(self, entered: Entered, error: BaseException | None) -> None:
        now = self._clock.now()
        if error is None:
            self._proof.at = now
        if isinstance(error, MarketplaceAuthenticationError):
            self._proof.at = None
            self._metrics.marketplace_paused.set(1)
            _log.error("marketplace refuses our key pair; calls are paused", error=error.message)
        leave = partial(gate.leave, key_pair=self.key_pair, entered=entered, error=error, now=now)
        await self._writer.run(leave, is_background=self.is_background)

    @property
    def last_clock_difference(self) -> timedelta | None:
        """How far the marketplace's clock was ahead of ours at the last answer; None before the first."""
        return self._api.last_clock_difference

    def _note_clock(self) -> None:
        difference = self._api.last_clock_difference
        if difference is not None:
            self._metrics.clock_difference_seconds.set(difference.total_seconds())


def key_pair_id(access_key: str) -> str:
    """Return how a key pair is named in the database and in logs: never the key itself."""
    return hashlib.sha256(b"marketplace-key-pair:" + access_key.encode("utf-8")).hexdigest()[:12]
