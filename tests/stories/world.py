"""The server and the marketplace, each other's only partner, in one process: a story moves them turn by turn.

No clock runs by itself. In a turn every callback on its way is tried once more, the outbox delivers what is due, and
two minutes pass on both clocks; a story goes on when neither side has anything left to do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import httpx2
from sqlmodel import Session, select

from licsrv import audit
from licsrv.emulator.deliveries import Delivery, DeliveryState
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.faults import FaultKind, Side
from licsrv.outbox import store as outbox
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import reading
from licsrv.runtime import Runtime
from tests.conftest import StandingClock

Found = TypeVar("Found")
_MOST_TURNS = 60
_ON_THE_WAY = {DeliveryState.PENDING, DeliveryState.FAILED}


@dataclass
class Road(httpx2.AsyncBaseTransport):
    """The way from the marketplace to the server, with a web server on it that sometimes answers instead."""

    server: httpx2.AsyncBaseTransport
    bad_answers: list[tuple[int, bool]] = field(default_factory=list)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if not self.bad_answers:
            return await self.server.handle_async_request(request)
        status, has_arrived = self.bad_answers.pop(0)
        if has_arrived:
            await (await self.server.handle_async_request(request)).aread()
        return httpx2.Response(status, html=f"<h1>{status}</h1>")


@dataclass(frozen=True)
class Fault:
    """What goes wrong during a chapter.

    Attributes:
        shop: Faults of the emulator: side, kind, value, times.
        road: Statuses that the marketplace gets instead of the server's answer, and whether the server saw the request.
        clock: Seconds by which the marketplace's clock goes before ours.
        may_refuse_applications: It costs an application for a license: the desktop's user asks again.
    """

    name: str
    shop: tuple[tuple[Side, FaultKind, object, int | None], ...] = ()
    road: tuple[tuple[int, bool], ...] = ()
    clock: int = 0
    may_refuse_applications: bool = False

    @property
    def late_seconds(self) -> float:
        """How late callbacks are."""
        return sum(float(str(value)) for _, kind, value, _ in self.shop if kind is FaultKind.LATE_SECONDS)


@dataclass
class World:
    """Both parties, and what the stories look at."""

    runtime: Runtime
    emulator: Emulator
    clock: StandingClock
    road: Road
    client: httpx2.AsyncClient
    shop: httpx2.AsyncClient
    fault: Fault
    memory: dict[str, Any] = field(default_factory=dict)

    async def live(self, chapters: Sequence[Chapter], fault: Fault) -> None:
        """Play chapters, each under the fault, and check after each that the end is the one without it."""
        for chapter in chapters:
            self.clock.advance(minutes=10)
            self.suffer(fault)
            await chapter.happen(self)
            self.clock.advance(seconds=fault.late_seconds)
            await self.settle()
            self.emulator.clear_faults()
            assert chapter.look(self) == chapter.expected, chapter.name
            self.require_peace()

    def suffer(self, fault: Fault) -> None:
        """Let something go wrong from now on."""
        self.fault = fault
        self.emulator.clear_faults()
        for side, kind, value, times in fault.shop:
            self.emulator.set_fault(side, kind, value, times=times)
        self.road.bad_answers = list(fault.road)
        self.emulator.clock.reset()
        self.emulator.clock.move(timedelta(seconds=fault.clock))

    async def settle(self) -> None:
        """Let turns pass until neither side has anything left to do."""
        if not await self.pass_turns(_MOST_TURNS):
            self._complain()

    async def pass_turns(self, most: int) -> bool:
        """Let so many turns pass, or fewer when neither side has anything left to do; return whether that is so."""
        for _ in range(most):
            await asyncio.sleep(0)  # what has ended is cleared away
            await self._try_every_callback()
            if self._deliveries_waiting():
                await self.runtime.worker.drain()
            if self._is_at_rest():
                return True
            self.clock.advance(minutes=2)
        return False

    def _complain(self) -> None:
        raise AssertionError(f"no end: {self._waiting_callbacks()}, {self.rows(OutboxRow)}")

    async def knock_until(self, is_so: Callable[[], bool]) -> None:
        """Let callbacks arrive, but the outbox deliver nothing, until something is so."""
        while not is_so():
            self.emulator.courier.flush()
            await self._try_every_callback()
            self.clock.advance(minutes=2)

    def _is_at_rest(self) -> bool:
        if self._waiting_callbacks() or self._deliveries_waiting():
            return False
        return not (self.emulator.courier.flush() or self._restarted_by_hand())

    def _restarted_by_hand(self) -> bool:
        """Do what the marketplace's people do about requests of License 1.0: most are sent once only."""
        failed = [each for each in self.emulator.courier.deliveries if each.state is DeliveryState.GAVE_UP]
        old = [each.delivery_id for each in failed if each.message.parameters is not None]
        for delivery_id in old:
            self.emulator.courier.retry(delivery_id)
        return bool(old)

    async def _try_every_callback(self) -> None:
        before = {each.delivery_id: each.tries for each in self._waiting_callbacks()}
        # A release of held callbacks starts them one after the other, so new ones may begin while others end.
        while late := [each for each in self._waiting_callbacks() if each.tries == before.get(each.delivery_id, 0)]:
            for each in late:
                each.wake.set()
            await asyncio.sleep(0.001)

    def _waiting_callbacks(self) -> list[Delivery]:
        return [each for each in self.emulator.courier.deliveries if each.state in _ON_THE_WAY]

    def _deliveries_waiting(self) -> int:
        return self.read(outbox.depth).waiting

    def read(self, look: Callable[[Session], Found]) -> Found:
        """Look something up in the server's database."""
        with reading(self.runtime.database) as session:
            return look(session)

    def rows(self, table: type[Any]) -> list[Any]:
        """Return every row of a table."""

        def look(session: Session) -> list[Any]:
            found = list(session.exec(select(table)).all())
            session.expunge_all()
            return found

        return self.read(look)

    def require_peace(self) -> None:
        """Check what holds after every chapter, whatever went wrong in it."""
        refused = [row.last_error for row in self.rows(OutboxRow) if row.state != State.DELIVERED]
        assert refused == []
        assert [each.view() for each in self.emulator.courier.deliveries if not self._is_well(each)] == []
        assert self.read(audit.verify) is None

    def _is_well(self, delivery: Delivery) -> bool:
        """Say whether a callback ended as it should: delivered, or a question that is asked once only."""
        is_refused = delivery.state is DeliveryState.REFUSED and self.fault.may_refuse_applications
        is_question = delivery.message.activity in {"queryInstance", "changeInstanceCheck"}
        return delivery.state is DeliveryState.DELIVERED or is_refused or is_question

    async def ask(self, code: str, device_info: str) -> httpx2.Response:
        """Ask the server for a license string, as a desktop does."""
        body = {"code": code, "device_info": device_info, "nonce": "n"}
        return await self.client.post("/v1/licenses/string", json=body)

    async def check_in(self, license_string: str, device_info: str) -> str:
        """Check in and return the status of the lease."""
        body = {"device_info": device_info, "nonce": "n"}
        bearer = {"Authorization": f"Bearer {license_string}"}
        answer = await self.client.post("/v1/heartbeats", json=body, headers=bearer)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["status"])


@dataclass(frozen=True)
class Chapter:
    """A piece of a life: what happens, where to look afterwards, and what is seen there without any fault."""

    name: str
    happen: Callable[[World], Awaitable[object]]
    look: Callable[[World], object]
    expected: object
