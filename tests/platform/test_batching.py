"""The batcher: what waits while a batch is under way is the next batch, and one bad item fails alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.platform.batching import Batcher


class Calls:
    """Answers each item with its double, notes each batch, and fails on negative ones."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, items: list[int]) -> Sequence[int]:
        self.batches.append(items)
        if self.gate is not None:
            await self.gate.wait()
        if any(item < 0 for item in items):
            raise ValueError(items)
        return [item * 2 for item in items]


async def test_the_first_one_does_not_wait_and_the_next_batch_is_what_waited() -> None:
    calls = Calls()
    calls.gate = asyncio.Event()
    batcher = Batcher(calls)

    first = asyncio.create_task(batcher.submit(1))
    await until(lambda: calls.batches == [[1]])
    rest = [asyncio.create_task(batcher.submit(number)) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    calls.gate.set()

    assert await asyncio.gather(first, *rest) == [2, 4, 6, 8]
    assert calls.batches == [[1], [2, 3, 4]]


async def until(is_so: object) -> None:
    assert callable(is_so)
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0)


async def test_a_batch_has_a_size_and_keeps_the_order() -> None:
    calls = Calls()
    batcher = Batcher(calls, limit=4)

    answers = await asyncio.gather(*(batcher.submit(number) for number in range(10)))

    assert answers == [number * 2 for number in range(10)]
    assert calls.batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_one_bad_item_fails_alone() -> None:
    calls = Calls()
    batcher = Batcher(calls)

    answers = await asyncio.gather(*(batcher.submit(number) for number in (1, -2, 3)), return_exceptions=True)

    assert [answer if isinstance(answer, int) else type(answer) for answer in answers] == [2, ValueError, 6]
    assert calls.batches == [[1, -2, 3], [1], [-2], [3]]


async def test_a_run_that_answers_too_few_leaves_nobody_waiting() -> None:
    async def forgetful(items: list[int]) -> Sequence[int]:
        return items if len(items) == 1 else items[1:]

    batcher = Batcher(forgetful)

    async with asyncio.timeout(10):
        assert await asyncio.gather(*(batcher.submit(number) for number in (1, 2, 3))) == [1, 2, 3]


async def test_a_run_that_answers_nothing_fails_everybody() -> None:
    async def silent(_: list[int]) -> Sequence[int]:
        return []

    batcher = Batcher(silent)

    async with asyncio.timeout(10):
        answers = await asyncio.gather(*(batcher.submit(number) for number in (1, 2)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [ValueError, ValueError]


async def test_a_caller_that_goes_away_takes_nobody_with_it() -> None:
    calls = Calls()
    calls.gate = asyncio.Event()
    batcher = Batcher(calls)
    tasks = [asyncio.create_task(batcher.submit(number)) for number in (1, 2)]
    await until(lambda: calls.batches == [[1, 2]])

    tasks[0].cancel()
    calls.gate.set()

    assert await tasks[1] == 4
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]
    assert await batcher.submit(5) == 10, "and the batcher goes on"


async def test_after_a_failure_the_batcher_goes_on() -> None:
    batcher = Batcher(Calls())

    with pytest.raises(ValueError, match="-1"):
        await batcher.submit(-1)

    assert await batcher.submit(1) == 2


@given(items=st.lists(st.integers(-3, 50), max_size=30), limit=st.integers(1, 7))
def test_everybody_gets_their_own_answer_whatever_the_batches_are(items: list[int], limit: int) -> None:
    async def run() -> list[object]:
        batcher = Batcher(Calls(), limit=limit)
        return await asyncio.gather(*(batcher.submit(item) for item in items), return_exceptions=True)

    answers = asyncio.run(run())

    assert [answer if isinstance(answer, int) else None for answer in answers] == [
        item * 2 if item >= 0 else None for item in items
    ]
