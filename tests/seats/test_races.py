"""Many programs at once, on two replicas where the database allows them: nothing is over-sold, no answer is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import col, select

from licsrv import app as application
from licsrv import audit
from licsrv.licensing.tables import License
from licsrv.platform.config import Settings
from licsrv.platform.db import reading
from licsrv.seats.tables import Seat
from tests.conftest import StandingClock
from tests.seats.conftest import CODE, Office, Program, device
from tests.soak import rounds


@pytest.fixture
async def offices(office: Office, settings: Settings) -> AsyncIterator[list[Office]]:
    """Replicas on one database, each with a clock of its own; one on SQLite, which has one writer."""
    if office.runtime.database.is_sqlite:
        yield [office, office]
        return
    clock = StandingClock()
    runtime = application.build_runtime(settings, clock=clock)
    transport = httpx2.ASGITransport(app=application.create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        yield [office, Office(runtime, client, clock)]
    await runtime.close()


def held(office: Office, code: str = CODE) -> list[Any]:
    """Return the seats of a license that were not ended."""
    of_license = (col(Seat.license_id) == col(License.id), col(License.code) == code)
    with reading(office.runtime.database) as session:
        return list(
            session.scalars(
                select(Seat).join(License, of_license[0]).where(of_license[1], col(Seat.ended_at).is_(None))
            )
        )


@rounds(everyday=48, short=200, whole=200)
async def test_many_check_outs_at_once_get_as_many_seats_as_are_admitted(offices: list[Office], rounds: int) -> None:
    office = offices[0]
    office.sell(seats=10, policy={"places.overdraft": 2})
    machines = await office.programs(4)
    asking = [
        Program(offices[number % 2].http, machines[number % 4].string, machines[number % 4].device)
        for number in range(rounds)
    ]

    answers = await asyncio.gather(*(program.call("checkout") for program in asking))
    again = await asyncio.gather(*(program.call("checkout") for program in asking if program.seat_id))

    assert sorted(answer.status_code for answer in answers) == [200] * 12 + [409] * (rounds - 12)
    given = {program.seat_id for program in asking if program.seat_id}
    assert given == {row.id for row in held(office)} == {answer.json()["seat_id"] for answer in again}
    assert len(given) == 12
    with reading(office.runtime.database) as session:
        assert audit.verify(session) is None


@pytest.mark.soak
async def test_many_devices_at_once_get_as_many_fixed_places_as_are_admitted(offices: list[Office]) -> None:
    offices[0].sell(seats=10, policy={"places.floating": False, "places.overdraft_percent": 20})
    asking = (
        offices[number % 2].http.post(
            "/v1/licenses/string", json={"code": CODE, "device_info": device(number), "nonce": "n"}
        )
        for number in range(200)
    )

    answers = await asyncio.gather(*asking)

    assert sorted(answer.status_code for answer in answers) == [200] * 12 + [409] * 188


async def test_one_program_that_asks_many_times_at_once_has_one_seat(offices: list[Office]) -> None:
    offices[0].sell()
    program = await offices[0].program()
    same = [Program(one.http, program.string, program.device, program.session) for one in offices * 8]

    answers = await asyncio.gather(*(one.call("checkout") for one in same))

    assert {answer.status_code for answer in answers} == {200}
    assert {one.seat_id for one in same} == {held(offices[0])[0].id}
    assert len(held(offices[0])) == 1


@rounds(everyday=2, short=10, whole=60)
async def test_renewals_at_the_moment_of_the_end_meet_check_outs_that_read_a_later_clock(
    offices: list[Office], rounds: int
) -> None:
    """The renewal was asked for in time, and the check-out saw the seat lapsed; whichever the database takes first."""
    first, second = offices
    for number in range(rounds):
        code = f"{CODE}-{number}"
        first.sell(code, seats=6)
        machine = await first.program(number, code)
        holders = [machine.again() for _ in range(6)]
        for program in holders:
            await program.done("checkout")
        newcomers = [Program(second.http, machine.string, machine.device) for _ in range(12)]
        first.pass_time(minutes=15, microseconds=-1)
        second.clock.move_to(first.clock.now() + timedelta(milliseconds=1))
        second.runtime.replica.noted_at = second.clock.now()

        calls = [(program, "renew") for program in holders] + [(program, "checkout") for program in newcomers]
        calls = calls[::2] + calls[1::2]
        answers = await asyncio.gather(*(program.call(path) for program, path in calls))

        won = {
            program.session for (program, _), answer in zip(calls, answers, strict=True) if answer.status_code == 200
        }
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert len(won) == 6 == len(held(first, code))
