"""Codes whose end the marketplace does not state readably: provisional with an alarm, never without an end."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv import audit
from licsrv.emulator.emulator import Emulator
from licsrv.licensing.tables import License, Product
from licsrv.marketplace import store
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, StandingClock
from tests.tables import each


async def string(client: httpx2.AsyncClient, code: str) -> httpx2.Response:
    return await client.post("/v1/licenses/string", json={"code": code, "device_info": DEVICE, "nonce": "n"})


def license_of(runtime: Runtime, code: str) -> License:
    with reading(runtime.database) as session:
        assert audit.verify(session) is None
        return session.exec(select(License).where(License.code == code)).one()


def unread(runtime: Runtime) -> dict[str, str]:
    with reading(runtime.database) as session:
        return {row.subject: row.members for row in store.unread_answers(session, 50)}


def bought(emulator: Emulator) -> str:
    return emulator.codes.buy(product_id="OFFI1", amount=3, days=30, received=True).code


def answering(emulator: Emulator, **members: Any) -> None:
    """Let the marketplace state members in another form."""
    emulator.set_fault("open_api", "members", json.dumps(members))


FORMS: list[object] = [
    "2026-03-31T09:30:00Z", "2026-03-31 09:30:00", "1774949400000", 1774949400000, 1774949400.5, "2026 0331093000",
    "20260331", "never", "99999999999999", True, [], {"time": "20260331093000"}, None, "", "   ",
]  # fmt: skip


async def test_a_code_whose_end_is_not_stated_readably_is_provisional_with_an_alarm(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    for row in each(FORMS):
        with row as form:
            code = bought(emulator)
            answering(emulator, expire_time=form)

            answer = await string(client, code)

            license = license_of(runtime, code)
            assert (answer.status_code, answer.json()["expires_at"]) == (200, "2026-03-02T09:30:00Z")
            assert (license.activated_at, license.expires_at) == (None, None)
            assert license.provisional_until == NOW + timedelta(hours=24)
            assert (license.product_id, license.amount) == ("OFFI1", 3)
            assert unread(runtime)[code] == "expire_time"
    assert clock.now() == NOW


async def test_an_end_under_another_name_is_no_end(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    code = bought(emulator)
    answering(emulator, expire_time="(absent)", expireTime="20260331093000")

    assert (await string(client, code)).status_code == 200

    assert license_of(runtime, code).activated_at is None
    assert unread(runtime) == {code: "expire_time"}


async def test_the_license_is_confirmed_when_the_end_can_be_read(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    code = bought(emulator)
    answering(emulator, expire_time="soon")
    await string(client, code)
    await runtime.worker.drain()
    assert license_of(runtime, code).activated_at is None

    emulator.clear_faults()
    clock.advance(minutes=1)
    await runtime.worker.drain()

    license = license_of(runtime, code)
    assert (license.activated_at, license.expires_at) == (clock.now(), NOW + timedelta(days=30))
    assert unread(runtime) == {}


async def test_a_code_whose_end_stays_unreadable_gets_no_second_provisional_time(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    code = bought(emulator)
    answering(emulator, expire_time="soon")
    await string(client, code)
    clock.advance(hours=25)

    answer = await string(client, code)

    assert (answer.status_code, answer.json()["code"]) == (503, "MARKETPLACE_UNAVAILABLE")
    assert "does not say when this license ends" in answer.json()["detail"]
    assert license_of(runtime, code).activated_at is None


@pytest.mark.parametrize(("form", "confirmed"), [("(absent)", True), (None, True), ("", True), ("soon", False)])
async def test_a_product_that_is_marked_as_sold_once_has_licenses_without_an_end_unless_one_is_stated(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, form: object, confirmed: bool
) -> None:
    with transaction(runtime.database) as session:
        session.add(Product(product_id="OFFI1", name="Office", one_off=True))
    code = bought(emulator)
    answering(emulator, expire_time=form)

    await string(client, code)

    license = license_of(runtime, code)
    assert (license.activated_at is not None, license.expires_at) == (confirmed, None)


async def test_an_unreadable_answer_about_a_license_in_use_keeps_its_end_and_raises_an_alarm(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    code = bought(emulator)
    bearer = (await string(client, code)).json()["license_string"]
    answering(emulator, expire_time="2026-03-31T09:30:00Z", amount=10**15)

    await client.post(
        "/v1/heartbeats", headers={"Authorization": f"Bearer {bearer}"}, json={"nonce": "n", "device_info": DEVICE}
    )
    await runtime.worker.drain()

    license = license_of(runtime, code)
    assert (license.expires_at, license.amount) == (NOW + timedelta(days=30), 3)
    assert unread(runtime) == {code: "amount, expire_time"}


async def test_an_amount_that_makes_no_sense_gives_the_places_of_the_product(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator
) -> None:
    for row in each([-1, 0, 10**15, 2.5, "many"]):
        with row as amount:
            code = bought(emulator)
            answering(emulator, amount=amount)
            assert (await string(client, code)).status_code == 200
            assert license_of(runtime, code).amount is None
            assert unread(runtime)[code] == "amount"
