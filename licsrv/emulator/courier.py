"""Carries callbacks to the merchant: the 5 s limit, the tries every two minutes, and the faults of this direction.

Each callback has one asyncio task of its own, owned by the courier. What a callback says and how it is signed is
decided before it gets here.

Source: protocol/authorization-code.md §5.1 and §5.7.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from itertools import count

import httpx2

from licsrv.emulator.auth_token import judge_body_sign
from licsrv.emulator.callback_requests import CONTENT_TYPE, signed_query, with_query
from licsrv.emulator.clock import MovableClock
from licsrv.emulator.deliveries import Attempt, Delivery, DeliveryState, Message, failure_of, result_of, shown
from licsrv.emulator.errors import ControlError
from licsrv.emulator.faults import Fault, FaultKind, Faults, Side
from licsrv.emulator.settings import EmulatorSettings

MAX_ANSWER_BYTES = 64 * 1024
ANSWER_LOST = "the answer was lost on its way (fault)"


@dataclass(frozen=True)
class Answer:
    """What came back for one request, or why nothing did."""

    status: int | None = None
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


@cache
def _authorities() -> ssl.SSLContext:
    """Return the certificate authorities that are believed; reading them takes longer than a dozen callbacks."""
    return httpx2.create_ssl_context(trust_env=False)


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
        self._http = httpx2.AsyncClient(
            transport=transport, timeout=None, trust_env=False, follow_redirects=False, verify=_authorities()
        )
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

    def send(
        self,
        message: Message,
        *,
        watch: Callable[[Delivery], None] | None = None,
        remake: Callable[[], Message] | None = None,
        held: bool = False,
    ) -> Delivery:
        """Put a callback on its way and return at once; needs a running event loop.

        Args:
            message: What is sent.
            watch: Called after every try, when the state is known.
            remake: Writes a new message for each repeat.
            held: Withhold it until a flush, without any fault.
        """
        number = f"callback-{next(self._numbers)}"
        delivery = Delivery(number, message, self._clock.now(), watch=watch, remake=remake)
        self._deliveries[delivery.delivery_id] = delivery
        reorder = None if held else self._take(FaultKind.REORDER, message)
        if reorder is None and not held:
            self._start(delivery.delivery_id, self._deliver(delivery))
            return delivery
        delivery.state = DeliveryState.HELD
        self._held.append(delivery)
        if reorder is not None and (reorder.times == 0 or 0 < reorder.number <= len(self._held)):
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
            if delivery.delivery_id not in self._tasks and not delivery.attempts:  # unless a manual retry came first
                self._start(delivery.delivery_id, self._deliver(delivery))
            await delivery.tried.wait()

    async def _deliver(self, delivery: Delivery) -> None:
        late = self._take(FaultKind.LATE_SECONDS, delivery.message)
        if late is not None:
            delivery.answered_or_late.set()
            await self._pause(delivery, timedelta(seconds=late.number))
        last_try = delivery.tries + delivery.message.tries
        while delivery.concluded is None:
            delivery.state = await self._try(delivery, last_try)
            delivery.tried.set()
            delivery.answered_or_late.set()
            if delivery.watch:
                delivery.watch(delivery)
            if delivery.state is not DeliveryState.FAILED:
                return
            if delivery.concluded is None:
                await self._pause(delivery, delivery.message.interval or self._settings().callback_retry_interval)
        delivery.state, delivery.concluded = delivery.concluded, None

    async def _pause(self, delivery: Delivery, span: timedelta) -> None:
        delivery.wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings().sped_up(span)):
                await delivery.wake.wait()

    async def _try(self, delivery: Delivery, last_try: int) -> DeliveryState:
        """Make one try, which the fault ``double`` turns into two requests at once."""
        number = delivery.tries + 1
        if number > 1 and delivery.remake:
            delivery.message = delivery.remake()
        double = self._take(FaultKind.DOUBLE, delivery.message)
        query = self._query(delivery.message)
        queries = [query]
        if double is not None:
            queries.append(query if double.text == "identical" else self._query(delivery.message))
        attempts = await asyncio.gather(*(self._request(delivery.message, each, number) for each in queries))
        delivery.attempts.extend(attempts)
        if any(attempt.succeeded for attempt in attempts):
            return DeliveryState.DELIVERED
        if any(attempt.result_code in delivery.message.refused_by for attempt in attempts):
            return DeliveryState.REFUSED
        return DeliveryState.GAVE_UP if number >= last_try else DeliveryState.FAILED

    def _query(self, message: Message) -> dict[str, str]:
        skew = self._take(FaultKind.CLOCK_SKEW_SECONDS, message)
        wrong = self._take(FaultKind.WRONG_SIGNATURE, message)
        moment = self._clock.now() + timedelta(seconds=skew.number if skew else 0)
        return signed_query(message, access_key=self._settings().access_key, moment=moment, wrong=wrong is not None)

    async def _request(self, message: Message, query: dict[str, str], number: int) -> Attempt:
        at, loop = self._clock.now(), asyncio.get_running_loop()
        started = loop.time()
        answer = await self._ask(message, query)
        seconds = loop.time() - started
        result, failure = _judged(answer, message)
        if not failure and self._loses(message, number):
            result, failure = {}, ANSWER_LOST
        sign = self._body_sign(message, answer)
        return Attempt(
            number,
            at,
            query=query,
            http_status=answer.status,
            answer=shown(answer.content),
            seconds=seconds,
            failure=failure,
            body_sign=sign,
            result=result,
        )

    async def _ask(self, message: Message, query: dict[str, str]) -> Answer:
        """Return the answer or why there is none; whatever goes wrong on the way is a failure."""
        limit = self._settings().callback_time_limit.total_seconds()
        try:
            async with asyncio.timeout(limit):
                return await self._fetch(message, self._url(message, query))
        except TimeoutError:
            return Answer(failure=f"no answer within {limit:g} s")
        except Exception as error:  # an in-process merchant can raise anything; the marketplace only sees a failed call
            return Answer(failure=f"{type(error).__name__}: {error}"[:300])

    def _url(self, message: Message, query: Mapping[str, str]) -> str:
        slash = "/" if self._take(FaultKind.TRAILING_SLASH, message) else ""
        raw = "authToken" if self._take(FaultKind.RAW_PLUS, message) else ""
        base, question, rest = message.url.partition("?")
        return with_query(f"{base}{slash}{question}{rest}", query, raw=raw)

    async def _fetch(self, message: Message, url: str) -> Answer:
        method = "POST" if message.parameters is None else "GET"
        headers = {"accept": "application/json"} | ({"content-type": CONTENT_TYPE} if method == "POST" else {})
        content = message.content if method == "POST" else None
        async with self._http.stream(method, url, content=content, headers=headers) as response:
            answer = bytearray()
            async for chunk in response.aiter_bytes():
                answer += chunk
                if len(answer) > MAX_ANSWER_BYTES:
                    raise ValueError(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            return Answer(response.status_code, bytes(answer), dict(response.headers))

    def _body_sign(self, message: Message, answer: Answer) -> str | None:
        if message.parameters is None or answer.status is None:
            return None
        header = answer.headers.get("body-sign")
        return judge_body_sign(header, answer.content, access_key=self._settings().access_key).value

    def _loses(self, message: Message, number: int) -> bool:
        fault = self._faults.find(Side.CALLBACKS, FaultKind.LOSE_ANSWER, message.activity)
        if fault is None or number > fault.number:
            return False
        self._take(FaultKind.LOSE_ANSWER, message)
        return True

    def _take(self, kind: FaultKind, message: Message) -> Fault | None:
        return self._faults.take(Side.CALLBACKS, kind, message.activity)


def _judged(answer: Answer, message: Message) -> tuple[dict[str, object], str]:
    """Return the members of an answer and why it does not count as delivered."""
    if answer.status is None:
        return {}, answer.failure
    try:
        result = result_of(answer.status, answer.content)
    except ValueError as error:
        return {}, str(error)
    return result, failure_of(result, message)
