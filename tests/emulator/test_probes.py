"""The twice-daily probes: saved debug cases, what fails, and when trade is frozen."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from licsrv.emulator import EmulatorSettings, create_app
from tests.emulator.online import OnlineMerchant, Shop

HALF_A_DAY = timedelta(hours=12).total_seconds()
SCENES = {
    "newInstance",
    "queryInstance",
    "refreshInstance:TRIAL_TO_FORMAL",
    "refreshInstance:RENEWAL",
    "refreshInstance:UNSUBSCRIBE_RENEWAL_PERIOD",
    "refreshInstance:RENEWAL_CHANGE",
    "updateInstanceStatus:FREEZE",
    "updateInstanceStatus:UNFREEZE",
    "releaseInstance",
    "upgradeInstance",
    "changeInstanceCheck",
    "getLicenseAsync",
    "orderNotify",
    "refreshLicenseCode",
    "updateLicenseCodeStatus",
    "releaseLicenseCode",
}


async def _round(shop: Shop) -> dict[str, Any]:
    await shop.post("/probes")
    await shop.settle()
    return await shop.get("/probes")


async def test_a_round_replays_every_scene_with_the_test_flag(shop: Shop, online_merchant: OnlineMerchant) -> None:
    shown = await _round(shop)

    assert set(shown["cases"]) == SCENES
    assert len(online_merchant.received) == len(SCENES)
    assert {body["testFlag"] for body in online_merchant.received} == {"1"}
    assert (shown["failing"], shown["trading_frozen"]) == ([], False)
    assert await shop.get("/online/instances") == {"instances": []}


async def test_a_failing_case_is_named_and_tried_once(shop: Shop, online_merchant: OnlineMerchant) -> None:
    online_merchant.answers["orderNotify"] = [{"resultCode": "000005"}]

    shown = await _round(shop)

    assert shown["failing"] == ["orderNotify"]
    assert "000005" in shown["rounds"][0]["failing"]["orderNotify"]
    assert len(online_merchant.of("orderNotify")) == 1
    assert (await _round(shop))["failing"] == []


@pytest.mark.parametrize(("rounds", "frozen"), [(9, False), (10, True)])
async def test_ten_failing_rounds_freeze_the_trade(
    shop: Shop, online_merchant: OnlineMerchant, rounds: int, frozen: bool
) -> None:
    online_merchant.answers["newInstance"] = [{"resultCode": "000005"}] * rounds

    for _ in range(rounds):
        shown = await _round(shop)

    assert (shown["failing_rounds_in_a_row"], shown["trading_frozen"]) == (rounds, frozen)


@pytest.mark.parametrize(("seconds", "frozen"), [(5 * 86_400 - 1, False), (5 * 86_400, True)])
async def test_five_days_of_failure_freeze_the_trade(
    shop: Shop, online_merchant: OnlineMerchant, seconds: int, frozen: bool
) -> None:
    online_merchant.answers["newInstance"] = [{"resultCode": "000005"}] * 2
    await _round(shop)
    await shop.post("/clock", {"move_seconds": seconds})

    assert (await _round(shop))["trading_frozen"] is frozen


async def test_a_good_round_between_begins_anew_and_a_freeze_stays(shop: Shop, online_merchant: OnlineMerchant) -> None:
    bad, good = {"resultCode": "000005"}, {"resultCode": "000000"}
    online_merchant.answers["releaseInstance"] = [bad, good, *[bad] * 10, good]

    for _ in range(11):
        shown = await _round(shop)
    assert (shown["failing_rounds_in_a_row"], shown["trading_frozen"]) == (9, False)
    await _round(shop)
    assert (await _round(shop))["trading_frozen"] is True
    assert (await shop.post("/probes/unfreeze"))["trading_frozen"] is False


async def test_cases_can_be_saved_and_removed(shop: Shop, online_merchant: OnlineMerchant) -> None:
    for name in SCENES:
        assert (await shop.http.delete(f"/control/probes/cases/{name}")).status_code == 200
    await shop.post("/probes/cases", {"name": "mine", "body": {"activity": "orderNotify", "orderId": "CS9"}})

    await _round(shop)

    assert online_merchant.received == [{"activity": "orderNotify", "orderId": "CS9", "testFlag": "1"}]


@pytest.mark.parametrize("body", [{}, {"body": []}, {"body": {}}, {"name": "a/b", "body": {"activity": "x"}}])
async def test_a_case_without_sense_is_refused(shop: Shop, body: dict[str, Any]) -> None:
    assert list(await shop.post("/probes/cases", body, status=400)) == ["error"]


async def test_an_unknown_case_cannot_be_removed(shop: Shop) -> None:
    assert (await shop.http.delete("/control/probes/cases/nobody")).status_code == 404


async def test_the_process_probes_by_itself_when_asked(online_merchant: OnlineMerchant) -> None:
    settings = EmulatorSettings(callback_url="https://merchant.test/", speed=HALF_A_DAY, probes_by_itself=True)
    app = create_app(settings, transport=httpx2.ASGITransport(online_merchant))

    async with app.router.lifespan_context(app):
        async with asyncio.timeout(10):
            while not app.state.emulator.probes.view()["rounds"]:
                await asyncio.sleep(0.05)
        await app.state.emulator.settle()

    assert len(online_merchant.received) >= len(SCENES)
