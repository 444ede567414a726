"""What the outbox tells the marketplace, and what becomes of the answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv.emulator.emulator import Emulator
from licsrv.licensing.tables import License
from licsrv.marketplace.tables import MarketplaceView
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import ReportUsage
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, StandingClock
from tests.marketplace.sending import send, status


def rows(runtime: Runtime, model: Any) -> list[Any]:
    with reading(runtime.database) as session:
        return list(session.exec(select(model)).all())


async def license_of(client: httpx2.AsyncClient, code: str, device: str = DEVICE) -> str:
    answer = await client.post("/v1/licenses/string", json={"code": code, "device_info": device, "nonce": "n"})
    return str(answer.json()["license_string"])


async def beat(client: httpx2.AsyncClient, bearer: str, device: str = DEVICE) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {bearer}"}
    body: dict[str, Any] = (
        await client.post("/v1/heartbeats", headers=headers, json={"nonce": "n", "device_info": device})
    ).json()
    return body


@pytest.fixture
def code(emulator: Emulator) -> str:
    return emulator.codes.buy(product_id="OFFI1", amount=200, days=30, received=True).code


async def test_the_first_use_of_a_day_reaches_the_marketplace(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str
) -> None:
    await beat(client, await license_of(client, code))

    await runtime.worker.drain()

    known = emulator.codes.get(code)
    assert known.queries == 1
    assert [len(day.ids) for day in known.usage.values()] == [1]
    assert {row.state for row in rows(runtime, OutboxRow)} == {"DELIVERED"}
    assert [view.status for view in rows(runtime, MarketplaceView)] == ["ALIVE"]


async def test_a_hundred_devices_of_a_code_are_one_usage_call(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str
) -> None:
    devices = [f"02:00:00:00:{n // 250:02X}:{n % 250 + 1:02X}|D{n}|B{n}|C" for n in range(120)]
    for device in devices:
        await beat(client, await license_of(client, code, device), device)

    await runtime.worker.drain()

    calls = [request for request in emulator.requests.all() if "usage" in request.path]
    assert len(calls) == 2
    assert [len(day.ids) for day in emulator.codes.get(code).usage.values()] == [120]


async def test_a_refused_use_of_a_license_released_since_needs_nothing_more(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str, clock: StandingClock
) -> None:
    """The marketplace names the code among those that failed its check, and no person could change that."""
    await beat(client, await license_of(client, code))
    await emulator.codes.release(code)

    await runtime.worker.drain()

    assert {(row.kind, row.state) for row in rows(runtime, OutboxRow)} >= {("report_usage", "DELIVERED")}
    assert "PARKED" not in {row.state for row in rows(runtime, OutboxRow)}


async def test_any_other_refused_use_is_parked(runtime: Runtime, emulator: Emulator, clock: StandingClock) -> None:
    message = ReportUsage("lic-1", code="PL-UNKNOWN", client_id="dev-1", day=clock.now().date())
    with transaction(runtime.database) as session:
        outbox.enqueue(session, message, now=clock.now())

    await runtime.worker.drain()

    assert [(row.kind, row.state) for row in rows(runtime, OutboxRow)] == [("report_usage", "PARKED")]


async def test_what_the_marketplace_says_counts(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str, clock: StandingClock
) -> None:
    """A renewal whose callback never arrived reaches the device with the next day's query."""
    bearer = await license_of(client, code)
    emulator.set_fault("callbacks", "wrong_signature", True)
    await emulator.codes.renew(code, days=365)
    clock.advance(days=1)

    await beat(client, bearer)
    await runtime.worker.drain()

    assert rows(runtime, License)[0].expires_at == emulator.codes.get(code).expires_at


async def test_a_lost_unfreeze_is_mended_by_the_next_query(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str, clock: StandingClock
) -> None:
    bearer = await license_of(client, code)
    await send(client, status(code, "FREEZE"), at=clock.now())
    assert (await beat(client, bearer))["status"] == "FROZEN"
    clock.advance(seconds=1)

    await runtime.worker.drain()

    assert rows(runtime, License)[0].frozen_at is None, "the marketplace says ALIVE"
    assert (await beat(client, bearer))["status"] == "ACTIVE"


async def test_a_frozen_license_keeps_its_end_while_the_marketplace_calls_it_expired(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str, clock: StandingClock
) -> None:
    await license_of(client, code)
    emulator.set_fault("callbacks", "wrong_signature", True)
    await emulator.codes.freeze(code)
    await send(client, status(code, "FREEZE"), at=clock.now())
    clock.advance(seconds=1)

    await runtime.worker.drain()

    [license] = rows(runtime, License)
    assert license.frozen_at is not None
    assert license.expires_at == NOW + timedelta(days=30)


async def test_a_release_whose_callback_was_lost_is_noticed(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str, clock: StandingClock
) -> None:
    bearer = await license_of(client, code)
    emulator.set_fault("callbacks", "wrong_signature", True)
    await emulator.codes.release(code)
    clock.advance(seconds=1)

    await beat(client, bearer)
    await runtime.worker.drain()

    assert (await beat(client, bearer))["status"] == "RELEASED"


async def test_a_marketplace_that_fails_is_asked_again_later(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, code: str, clock: StandingClock
) -> None:
    bearer = await license_of(client, code)
    emulator.set_fault("open_api", "status", 502)
    await beat(client, bearer)
    await runtime.worker.drain()
    waiting = {row.kind: (row.state, row.attempts) for row in rows(runtime, OutboxRow)}
    assert waiting == {"query_license": ("WAITING", 1), "report_usage": ("WAITING", 0)}, "in their order"

    emulator.clear_faults()
    clock.advance(minutes=1)
    await runtime.worker.drain()

    assert {row.state for row in rows(runtime, OutboxRow)} == {"DELIVERED"}
