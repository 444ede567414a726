"""The batcher: what arrives while a batch is under way is the next batch.

Waiting on purpose for more only loses: the batch under way is the wait (measured, see docs/performance.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
_QUIET_TURNS = 3  # a request takes two turns of the loop from its socket to here
Answer = TypeVar("Answer")


class Batcher(Generic[Item, Answer]):
    """Collects items of many callers into calls of ``run``, one at a time.

    Args:
        run: Takes items, returns one answer each, in their order. It may be called again with one item alone.
        limit: Most items in one call.
    """

    def __init__(self, run: Callable[[list[Item]], Awaitable[Sequence[Answer]]], *, limit: int = 128) -> None:
        self._run = run
        self._limit = limit
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._turn: asyncio.Task[None] | None = None

    async def submit(self, item: Item) -> Answer:
        """Return the answer to an item, or raise what ``run`` raised for it."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._turn is None:
            self._turn = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        try:
            while self._waiting:
                await self._gather()
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                await self._run_batch(batch)
        finally:
            self._turn = None

    async def _gather(self) -> None:
        """Let the loop read what has arrived already; it comes along. Nothing is waited for."""
        quiet, before = 0, len(self._waiting)
        while quiet < _QUIET_TURNS and before < self._limit:
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0
            before = len(self._waiting)

    async def _run_batch(self, batch: list[tuple[Item, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._run([item for item, _ in batch])
            settled = list(zip(batch, answers, strict=True))
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0][1], error)
                return
            for pair in batch:  # one of them spoiled it: alone, only that one fails
                await self._run_batch([pair])
            return
        for (_, future), answer in settled:
            if not future.done():
                future.set_result(answer)


def _fail(future: asyncio.Future[Answer], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
