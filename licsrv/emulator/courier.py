"""Carries callbacks to the merchant: the 5 s limit, the tries every two minutes, and the faults of this direction.

Each callback has one asyncio task of its own, owned by the courier. What a callback says and how it is signed is
decided before it gets here.

Source: protocol/authorization-code.md §5.1 and §5.7.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import timedelta
from itertools import count

import httpx2

from licsrv.emulator.callback_requests import CONTENT_TYPE, signed_query, with_query
from licsrv.emulator.clock import MovableClock
from licsrv.emulator.deliveries import Attempt, Delivery, DeliveryState, Message, failure_of, shown
from licsrv.emulator.errors import ControlError
from licsrv.emulator.faults import FaultKind, Faults, Side
from licsrv.emulator.settings import EmulatorSettings

MAX_ANSWER_BYTES = 64 * 1024
ANSWER_LOST = "the answer was lost on its way (fault)"


class Courier:
    """Sends callbacks until they are delivered or every try has failed.

    Args:
        settings: Gives the settings of the moment.
        clock: The marketplace's clock.
        faults: What shall go wrong.
        transport: Where requests go instead of the network.
    """

    def __init__(
        self,
        settings: Callable[[], EmulatorSettings],
        clock: MovableClock,
        faults: Faults,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._faults = faults
        self._http = httpx2.AsyncClient(transport=transport, timeout=None, trust_env=False, follow_redirects=False)
        self._numbers = count(1)
        self._deliveries: dict[str, Delivery] = {}
        self._held: list[Delivery] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}

    @property
    def deliveries(self) -> list[Delivery]:
        """Every callback since the last reset, the oldest first."""
        return list(self._deliveries.values())

    def get(self, delivery_id: str) -> Delivery:
        """Return one callback.

        Raises:
            ControlError: No callback has this id.
        """
        delivery = self._deliveries.get(delivery_id)
        if delivery is None:
            raise ControlError(f"no callback is called {delivery_id}", status=404)
        return delivery

    def send(self, message: Message) -> Delivery:
        """Put a callback on its way and return at once; needs a running event loop."""
        delivery = Delivery(f"callback-{next(self._numbers)}", message, self._clock.now())
        self._deliveries[delivery.delivery_id] = delivery
        reorder = self._faults.take(Side.CALLBACKS, FaultKind.REORDER)
        if reorder is None:
            self._start(delivery.delivery_id, self._deliver(delivery))
            return delivery
        delivery.state = DeliveryState.HELD
        self._held.append(delivery)
        if reorder.times == 0 or 0 < reorder.number <= len(self._held):
            self.flush()
        return delivery

    def flush(self) -> list[Delivery]:
        """Send the held callbacks, the latest first, and return them in that order."""
        released, self._held = self._held[::-1], []
        for delivery in released:
            delivery.state = DeliveryState.PENDING
        if released:
            self._start(f"release of {released[0].delivery_id}", self._release(released))
        return released

    def retry(self, delivery_id: str) -> Delivery:
        """Send a callback again now, as an operator does in the seller center; a delivered one as well.

        Raises:
            ControlError: No callback has this id, or it is held by the fault ``reorder``.
        """
        delivery = self.get(delivery_id)
        if delivery.state is DeliveryState.HELD:
            raise ControlError(f"{delivery_id} is held; flush releases it", status=409)
        if delivery_id in self._tasks:
            delivery.wake.set()
        else:
            delivery.state = DeliveryState.PENDING
            self._start(delivery_id, self._deliver(delivery))
        return delivery

    def hurry(self) -> int:
        """End every pause before a try now; return how many callbacks were on their way."""
        waiting = [delivery for delivery in self.deliveries if delivery.delivery_id in self._tasks]
        for delivery in waiting:
            delivery.wake.set()
        return len(waiting)

    async def settle(self) -> None:
        """Wait until no callback is in flight or waits for a try; held ones are not waited for."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def forget(self) -> None:
        """Stop and forget every callback."""
        await self._stop()
        self._deliveries.clear()
        self._held.clear()

    async def aclose(self) -> None:
        """Stop every callback and close the connections; the list of callbacks stays readable."""
        await self._stop()
        await self._http.aclose()

    async def _stop(self) -> None:
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, name: str, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[name] = task
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        if self._tasks.get(task.get_name()) is task:
            del self._tasks[task.get_name()]

    async def _release(self, deliveries: list[Delivery]) -> None:
        # One after the other: the next starts when the first try of the one before has ended, so the order is real.
        for delivery in deliveries:
            if delivery.delivery_id not in self._tasks and not delivery.attempts:  # nobody retried it meanwhile
                self._start(delivery.delivery_id, self._deliver(delivery))
            await delivery.tried.wait()

    async def _deliver(self, delivery: Delivery) -> None:
        late = self._faults.take(Side.CALLBACKS, FaultKind.LATE_SECONDS)
        if late is not None:
            await self._pause(delivery, timedelta(seconds=late.number))
        last_try = delivery.tries + delivery.message.tries
        while not await self._try(delivery):
            if delivery.tries >= last_try:
                delivery.state = DeliveryState.GAVE_UP
                return
            delivery.state = DeliveryState.FAILED
            await self._pause(delivery, self._settings().callback_retry_interval)
        delivery.state = DeliveryState.DELIVERED

    async def _pause(self, delivery: Delivery, span: timedelta) -> None:
        delivery.wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings().sped_up(span)):
                await delivery.wake.wait()

    async def _try(self, delivery: Delivery) -> bool:
        """Make one try, which the fault ``double`` turns into two requests at once."""
        number = delivery.tries + 1
        double = self._faults.take(Side.CALLBACKS, FaultKind.DOUBLE)
        query = self._query(delivery.message)
        queries = [query]
        if double is not None:
            queries.append(query if double.text == "identical" else self._query(delivery.message))
        attempts = await asyncio.gather(*(self._request(delivery.message, each, number) for each in queries))
        delivery.attempts.extend(attempts)
        delivery.tried.set()
        return any(attempt.succeeded for attempt in attempts)

    def _query(self, message: Message) -> dict[str, str]:
        skew = self._faults.take(Side.CALLBACKS, FaultKind.CLOCK_SKEW_SECONDS)
        wrong = self._faults.take(Side.CALLBACKS, FaultKind.WRONG_SIGNATURE)
        moment = self._clock.now() + timedelta(seconds=skew.number if skew else 0)
        return signed_query(message, access_key=self._settings().access_key, moment=moment, wrong=wrong is not None)

    async def _request(self, message: Message, query: dict[str, str], number: int) -> Attempt:
        at, loop = self._clock.now(), asyncio.get_running_loop()
        started = loop.time()
        status, content, failure = await self._ask(with_query(message.url, query), message.content)
        if not failure and self._loses(number):
            failure = ANSWER_LOST
        return Attempt(number, at, query, status, shown(content), loop.time() - started, failure)

    async def _ask(self, url: str, content: bytes) -> tuple[int | None, bytes, str]:
        """Return HTTP status, answer and why it failed; whatever goes wrong on the way is a failure."""
        limit = self._settings().callback_time_limit.total_seconds()
        try:
            async with asyncio.timeout(limit):
                status, answer = await self._post(url, content)
        except TimeoutError:
            return None, b"", f"no answer within {limit:g} s"
        except Exception as error:  # an in-process merchant can raise anything; the marketplace only sees a failed call
            return None, b"", f"{type(error).__name__}: {error}"[:300]
        return status, answer, failure_of(status, answer)

    async def _post(self, url: str, content: bytes) -> tuple[int, bytes]:
        headers = {"content-type": CONTENT_TYPE, "accept": "application/json"}
        async with self._http.stream("POST", url, content=content, headers=headers) as response:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            return response.status_code, bytes(answer)

    def _loses(self, number: int) -> bool:
        fault = self._faults.find(Side.CALLBACKS, FaultKind.LOSE_ANSWER)
        if fault is None or number > fault.number:
            return False
        self._faults.take(Side.CALLBACKS, FaultKind.LOSE_ANSWER)
        return True
