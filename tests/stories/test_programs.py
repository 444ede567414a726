"""The SDK against the server itself, over its routes: a floating team, a dead machine, a repaired one, a copied one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from sqlmodel import select

from client_stub.machine.store import LicenseStore
from client_stub.session import license_devices
from client_stub.session.configuration import Configuration
from client_stub.session.license_devices import DeviceList
from client_stub.session.problems import Problem
from client_stub.session.seat_taking import Wish
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.claims import License
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.seats import Seat
from client_stub.trust.verdict import Reason
from licsrv import audit
from licsrv.audit import Cause
from licsrv.heartbeats import copies
from licsrv.heartbeats.tables import DeviceBranch
from licsrv.licensing.policies import text_of
from licsrv.licensing.tables import Device, PolicyVersion
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock
from tests.licensing.test_activation import add_license

Answer = TypeVar("Answer")
CODE, PRODUCT = "PL00000000000TEAM", "CAD"
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def machine(number: int, **changed: str) -> str:
    parts = {"mac": f"3C:52:82:00:00:{number:02X}", "disk": f"WD-{number}A5623", "board": f"PF{number}QX7R1"} | changed
    return f"{parts['mac']}|{parts['disk']}|{parts['board']}|BFEBFBFF000906EA"


@dataclass
class Cable(httpx2.BaseTransport):
    """The way of a desktop's threads to the server, which runs on the loop of the test."""

    client: httpx2.AsyncClient
    loop: asyncio.AbstractEventLoop
    is_pulled: bool = False

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_pulled:
            raise httpx2.ConnectError("no network", request=request)
        asked = self.client.request(
            request.method, str(request.url.path), content=request.read(), headers=dict(request.headers)
        )
        answer = asyncio.run_coroutine_threadsafe(asked, self.loop).result(30)
        headers = {"Content-Type": answer.headers.get("Content-Type", "")}
        return httpx2.Response(answer.status_code, headers=headers, content=answer.content)


@dataclass(frozen=True)
class DesktopClock:
    """The server's clock, as a desktop reads it."""

    clock: StandingClock

    def now(self) -> datetime:
        return self.clock.now()

    def monotonic(self) -> float:
        return self.clock.now().timestamp()


@dataclass
class Office:
    """Desktops of one customer; each has a folder of its own."""

    runtime: Runtime
    client: httpx2.AsyncClient
    clock: StandingClock
    folder: Path
    cables: dict[int, Cable] = field(default_factory=dict)

    def sell(self, places: int, **stated: Any) -> None:
        with transaction(self.runtime.database) as session:
            text = text_of({name.replace("__", "."): value for name, value in stated.items()})
            session.add(PolicyVersion(product_id=PRODUCT, version=1, stated=text, at=NOW, actor="test"))
        add_license(self.runtime, CODE, device_limit=places, product_id=PRODUCT)

    def pass_time(self, span: timedelta) -> None:
        self.clock.move_to(self.clock.now() + span)
        self.runtime.replica.noted_at = self.clock.now()

    def start(self, number: int) -> LicenseSession:
        """Start a program on a machine, which shares nothing with its last run but its folder."""
        configuration = Configuration(
            server_url="https://license.example",
            code=CODE,
            keys=PinnedKeys.from_jwks(self.runtime.keyring().jwks()),
            store_path=self.folder / str(number) / "license.json",
            client_name=f"WS-{number}",
        )
        clock = DesktopClock(self.clock)
        cable = self.cables.setdefault(number, Cable(self.client, asyncio.get_running_loop()))
        transport = DirectTransport(configuration, transport=cable, clock=clock)
        store = LicenseStore(configuration.stored_at)
        return LicenseSession(configuration, transport=transport, store=store, clock=clock)

    async def licensed(self, number: int) -> LicenseSession:
        session = self.start(number)
        assert isinstance(await on_desktop(lambda: session.obtain(machine(number))), License), session.last_problem
        return session


async def on_desktop(call: Callable[[], Answer]) -> Answer:
    return await asyncio.to_thread(call)


@pytest.fixture
def office(runtime: Runtime, client: httpx2.AsyncClient, clock: StandingClock, tmp_path: Path) -> Office:
    return Office(runtime, client, clock, tmp_path)


async def test_a_team_of_five_works_on_three_seats_and_one_of_them_on_a_train(office: Office) -> None:
    office.sell(3, places__floating=True, floating__borrow_days=5, floating__seat_minutes=15)
    team = [await office.licensed(number) for number in range(5)]
    assert {one.verdict().reason for one in team} == {Reason.NO_SEAT}

    got = []
    for one in team:
        got.append(await on_desktop(partial(one.seats.check_out, Wish(is_queued=True))))
        office.pass_time(timedelta(seconds=1))
    assert [type(one) for one in got] == [Seat, Seat, Seat, Problem, Problem]
    refused = got[4]
    assert isinstance(refused, Problem)
    assert (refused.code, refused.details["position"]) == ("NO_SEAT_FREE", 2)
    holders = refused.details["holders"]
    assert isinstance(holders, list)
    assert {holder["name"] for holder in holders} == {"WS-0", "WS-1", "WS-2"}

    # One takes the train; its laptop starts there again, without network.
    borrowed = await on_desktop(lambda: team[0].seats.borrow(office.clock.now() + 2 * DAY))
    assert isinstance(borrowed, Seat)
    team[0].seats.return_at_end()
    team[0].close()
    office.cables[0].is_pulled = True
    on_train = await office.licensed(0)
    assert on_train.verdict().until == office.clock.now() + 2 * DAY

    # One closes the program, and who waits first has the seat.
    await on_desktop(team[1].seats.return_at_end)
    assert isinstance(await on_desktop(team[3].seats.renew), Seat)
    still = await on_desktop(team[4].seats.renew)
    assert isinstance(still, Problem)

    # One program is killed: its seat is back after its length, while the others renew.
    for _ in range(5):
        office.pass_time(4 * MINUTE)
        assert isinstance(await on_desktop(team[3].seats.renew), Seat)
        still = await on_desktop(team[4].seats.renew)
    assert isinstance(still, Seat)
    assert team[4].verdict().is_allowed

    # The train arrives: the same seat is renewed, and given back.
    assert on_train.verdict().is_allowed
    office.cables[0].is_pulled = False
    back = await on_desktop(on_train.seats.renew)
    assert isinstance(back, Seat)
    assert back.seat_id == borrowed.seat_id
    assert await on_desktop(on_train.seats.give_back) is None
    assert on_train.verdict().reason is Reason.NO_SEAT


async def test_a_license_that_becomes_floating_or_fixed_reaches_the_program(office: Office) -> None:
    office.sell(3, places__floating=True)
    session = await office.licensed(1)
    with transaction(office.runtime.database) as database:
        current = database.get(PolicyVersion, (PRODUCT, 1))
        assert current is not None
        current.stated = "{}"

    refused = await on_desktop(lambda: session.seats.check_out(Wish()))

    assert isinstance(refused, Problem)
    assert (refused.code, session.seats.is_license_in_doubt) == ("NOT_FLOATING", True)
    await on_desktop(session.renew_texts)
    assert session.verdict().is_allowed


async def test_the_user_moves_the_license_of_a_dead_machine_to_a_new_one(office: Office) -> None:
    office.sell(1, moves__unseen_days=10, moves__show_names=True)
    await office.licensed(1)
    office.pass_time(10 * DAY)
    new = office.start(2)

    refused = await on_desktop(lambda: new.obtain(machine(2)))
    assert isinstance(refused, Problem)
    assert refused.code == "DEVICE_LIMIT_REACHED"
    [dead] = license_devices.movable(refused)
    moved = await on_desktop(lambda: new.obtain(machine(2), move_from=dead.device_id))

    assert dead.name == "WS-1"
    assert isinstance(moved, License)
    assert new.verdict().is_allowed
    listed = await on_desktop(new.list_devices)
    assert isinstance(listed, DeviceList)
    assert [(one.name, one.is_mine, one.holds_place) for one in listed.devices] == [
        ("WS-2", True, True),
        ("WS-1", False, False),
    ]
    assert (listed.places_taken, listed.moves_left) == (1, 3)


async def test_a_device_gives_its_place_back_and_has_no_license_then(office: Office) -> None:
    office.sell(1)
    session = await office.licensed(1)

    assert await on_desktop(session.release_device) is None

    assert session.verdict().reason is Reason.RELEASED
    await on_desktop(session.keep_up)
    other = office.start(2)
    assert isinstance(await on_desktop(lambda: other.obtain(machine(2))), License)


async def test_a_place_of_a_device_that_works_is_not_freed(office: Office) -> None:
    office.sell(2, moves__unseen_days=10)
    one, other = await office.licensed(1), await office.licensed(2)
    listed = await on_desktop(one.list_devices)
    assert isinstance(listed, DeviceList)

    refused = await on_desktop(lambda: one.release_device(listed.devices[1].device_id))

    assert refused is not None
    assert refused.code == "MOVE_NOT_ALLOWED"
    assert other.verdict().is_allowed


async def test_a_new_network_card_changes_nothing_for_the_user(office: Office) -> None:
    office.sell(1)
    (await office.licensed(1)).close()
    repaired = office.start(1)

    obtained = await on_desktop(lambda: repaired.obtain(machine(1, mac="3C:52:82:44:55:66")))

    assert isinstance(obtained, License)
    assert repaired.verdict().is_allowed


async def test_a_copied_machine_and_its_copy_stop_until_support_decides_and_a_restored_one_does_not(
    office: Office,
) -> None:
    office.sell(1, clones__action="refuse")

    async def at_work(number: int) -> Reason:
        """Start the program on a machine, which is a copy of the first, and let it check in."""
        office.pass_time(11 * HOUR)
        session = office.start(number)
        await on_desktop(lambda: session.obtain(machine(1)))
        await on_desktop(session.check_in)
        session.close()
        return session.verdict().reason

    for _ in range(2):
        assert await at_work(1) is Reason.LICENSED
    shutil.copytree(office.folder / "1", office.folder / "backup")
    assert await at_work(1) is Reason.LICENSED
    shutil.rmtree(office.folder / "1")
    shutil.copytree(office.folder / "backup", office.folder / "1")
    for _ in range(3):
        assert await at_work(1) is Reason.LICENSED, "restored from a backup"

    shutil.copytree(office.folder / "1", office.folder / "7")
    said = [await at_work(number) for number in (1, 7, 1, 7, 1)]

    assert said == [Reason.LICENSED] * 3 + [Reason.REVOKED] * 2
    with transaction(office.runtime.database, (audit.seal,)) as session:
        device = session.exec(select(Device)).one()
        [mine] = [one.branch for one in session.exec(select(DeviceBranch)) if one.name == "WS-1" and one.proven_at]
        assert copies.bless(session, device, mine, cause=Cause("staff:ann"), now=office.clock.now())
    assert [await at_work(number) for number in (7, 1, 7, 1)] == [Reason.REVOKED, Reason.LICENSED] * 2
