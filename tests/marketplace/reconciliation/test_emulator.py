"""The comparison against the emulator: what callbacks that never arrived leave behind."""

from __future__ import annotations

import httpx2
import pytest
from sqlmodel import select

from licsrv.audit import Cause
from licsrv.emulator.emulator import Emulator
from licsrv.licensing.tables import License
from licsrv.marketplace.reconciliation import differences as reconciliation
from licsrv.platform.config import load
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, StandingClock
from tests.marketplace.reconciliation.reconciling import differences, reconciler

ANN = Cause("staff:ann", reason="nightly comparison")


async def used(client: httpx2.AsyncClient, emulator: Emulator) -> str:
    code = emulator.codes.buy(product_id="OFFI1", amount=2, days=30, received=True).code
    answer = await client.post("/v1/licenses/string", json={"code": code, "device_info": DEVICE, "nonce": "n"})
    assert answer.status_code == 200
    return code


async def look(runtime: Runtime, clock: StandingClock) -> None:
    one = reconciler(runtime, clock)
    await one.start(ANN)
    assert await one.work()


async def test_what_lost_callbacks_left_behind_is_found_and_repaired(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    renewed, released, _same = [await used(client, emulator) for _ in range(3)]
    await look(runtime, clock)
    assert differences(runtime) == []
    emulator.set_fault("callbacks", "reorder", 9)  # held until nine of them wait: these two never arrive
    await emulator.codes.renew(renewed, days=365)
    await emulator.codes.release(released)
    clock.advance(minutes=1)

    await look(runtime, clock)
    found = differences(runtime)
    with transaction(runtime.database) as session:
        ids = [difference.id for difference in found]
        done = reconciliation.repair_many(session, ids, cause=ANN, alive_unfreezes=True, now=clock.now())
    clock.advance(minutes=1)
    await look(runtime, clock)

    assert sorted(difference.kind for difference in found) == ["EXPIRY", "STATUS"]
    assert (len(done.repaired), done.left) == (2, {})
    assert differences(runtime) == []
    with reading(runtime.database) as session:
        ends = {license.code: license.expires_at for license in session.scalars(select(License))}
    assert ends[renewed] == emulator.codes.get(renewed).expires_at


async def test_codes_deleted_at_the_marketplace_are_told(
    client: httpx2.AsyncClient, runtime: Runtime, emulator: Emulator, clock: StandingClock
) -> None:
    for _ in range(2):
        await used(client, emulator)
    await emulator.reset()
    clock.advance(minutes=1)

    await look(runtime, clock)

    assert [difference.kind for difference in differences(runtime)] == ["UNKNOWN", "UNKNOWN"]


async def test_the_application_works_on_what_the_command_line_started(
    runtime: Runtime, client: httpx2.AsyncClient, emulator: Emulator
) -> None:
    await used(client, emulator)
    await runtime.reconciler.start(ANN)

    await runtime.reconciler.tick()
    await runtime.reconciler.finished()

    assert runtime.reconciler.under_way() is None


@pytest.mark.parametrize(("text", "hour"), [("never", None), ("0", 0), ("23", 23)])
def test_the_hour_is_a_setting(text: str, hour: int | None) -> None:
    assert load({"LICSRV_RECONCILE_AT": text}).reconcile_at == hour
    assert load({}).reconcile_at == 2
