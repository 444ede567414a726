"""Misbehaviour on demand reaches the messages and routes of online licenses as well."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from tests.emulator.conftest import START
from tests.emulator.online import OnlineMerchant, Shop, form
from tests.tables import each

CALLBACKS: dict[str, Any] = {"side": "callbacks"}
OPEN_API: dict[str, Any] = {"side": "open_api", "times": 1}


async def _order(shop: Shop) -> httpx2.Response:
    return await shop.query("MOCKONDEMAND")


async def _upload(shop: Shop) -> httpx2.Response:
    return await shop.send_form("evt-nobody", b"")


@pytest.mark.parametrize("how", ["fresh", "identical"])
async def test_a_doubled_new_instance_opens_one_instance(shop: Shop, online_merchant: OnlineMerchant, how: str) -> None:
    await shop.post("/faults", CALLBACKS | {"kind": "double", "value": how, "times": 1})

    instance = await shop.buy()

    assert (len(online_merchant.received), instance["state"]) == (2, "OPEN")
    nonces = {query["nonce"] for query in online_merchant.queries}
    assert len(nonces) == (2 if how == "fresh" else 1)


async def test_a_lost_answer_to_new_instance_is_repeated_with_a_new_business_id(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    await shop.post("/faults", CALLBACKS | {"kind": "lose_answer", "times": 1})

    instance = await shop.buy()

    first, second = online_merchant.received
    assert first["businessId"] != second["businessId"]
    assert instance["instance_id"] == first["businessId"]


async def test_a_lost_answer_to_an_application_keeps_its_event(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy())["instance_id"]
    await shop.post("/faults", CALLBACKS | {"kind": "lose_answer", "value": 2})

    await shop.apply(instance)

    assert len(online_merchant.of("getLicenseAsync")) == 3
    assert len({body["eventId"] for body in online_merchant.of("getLicenseAsync")}) == 1


async def test_freeze_and_unfreeze_can_change_places(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy())["instance_id"]
    await shop.post("/faults", CALLBACKS | {"kind": "reorder", "value": 2})

    await shop.post(f"/online/instances/{instance}/freeze")
    await shop.post(f"/online/instances/{instance}/unfreeze")
    await shop.settle()

    assert [body["status"] for body in online_merchant.of("updateInstanceStatus")] == ["UNFREEZE", "FREEZE"]


async def test_a_late_application_and_a_wrong_clock(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy())["instance_id"]
    await shop.post("/faults", CALLBACKS | {"kind": "late_seconds", "value": 60})
    await shop.post("/faults", CALLBACKS | {"kind": "clock_skew_seconds", "value": -61})

    await shop.apply(instance)

    assert online_merchant.queries[-1]["timestamp"] == str(int((START.timestamp() - 61) * 1000))


@pytest.mark.parametrize("call", [_order, _upload])
@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "status", "value": 503}, 503, None),
        ({"kind": "lose_answer"}, 502, None),
        ({"kind": "lock_key_pair"}, 401, "APIGW.0301"),
        ({"kind": "refuse_signature"}, 401, "APIGW.0301"),
        ({"kind": "clock_skew_seconds", "value": 3600}, 401, "APIGW.0301"),
    ],
)
async def test_the_new_operations_fail_on_demand(
    shop: Shop, call: Any, fault: dict[str, Any], status: int, code: str | None
) -> None:
    good = (await call(shop)).status_code
    await shop.post("/faults", OPEN_API | fault)

    answer = await call(shop)

    assert answer.status_code == status
    assert code is None or answer.json()["error_code"] == code
    assert (await call(shop)).status_code == good


@pytest.mark.parametrize("call", [_order, _upload])
async def test_the_new_operations_break_off_garble_and_hang(shop: Shop, call: Any) -> None:
    await shop.post("/faults", OPEN_API | {"kind": "lose_answer", "value": "close"})
    with pytest.raises(httpx2.RemoteProtocolError):
        await call(shop)
    await shop.post("/faults", OPEN_API | {"kind": "garbage", "value": "{"})
    assert (await call(shop)).content == b"{"
    await shop.post("/faults", OPEN_API | {"kind": "delay_seconds", "value": 60})
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await call(shop)


async def test_a_lost_answer_to_an_upload_comes_after_its_effect(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]
    await shop.post("/faults", OPEN_API | {"kind": "lose_answer", "path": "upload"})

    answer = await shop.send_form(event, _string_form())

    assert answer.status_code == 502
    assert (await shop.get(f"/online/applications/{event}"))["state"] == "uploaded"
    assert (await shop.send_form(event, _string_form())).json()["error_code"] == "CBC.0000"


def _string_form() -> bytes:
    return form({"type": "CHARACTERS", "characters": "a.b.c"})


async def test_a_fault_can_meet_one_activity_only(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await shop.post("/faults", CALLBACKS | {"kind": "reorder", "value": 0, "path": "updateInstanceStatus"})
    other = await shop.post("/faults", CALLBACKS | {"kind": "double", "path": "releaseInstance"})
    instance = (await shop.buy())["instance_id"]

    await shop.post(f"/online/instances/{instance}/freeze")
    assert (await shop.http.delete(f"/control/faults/{other['id']}")).is_success
    await shop.settle()

    assert [body["activity"] for body in online_merchant.received] == ["newInstance"]
    assert (await shop.get("/callbacks?state=held"))["callbacks"][0]["activity"] == "updateInstanceStatus"
    assert list(await shop.post("/faults", CALLBACKS | {"kind": "double", "path": "upload"}, status=400)) == ["error"]


async def test_a_time_out_ends_the_tries_and_a_retry_still_sends(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy())["instance_id"]
    await shop.post("/settings", {"speed": 0.001})
    online_merchant.answers["getLicenseAsync"] = [{"resultCode": "000005"}]
    wish = {"device_info": "A|||"}
    event = (await shop.post(f"/online/instances/{instance}/applications", wish))["event_id"]
    while not (delivery := (await shop.get("/callbacks"))["callbacks"][-1])["attempts"]:
        await asyncio.sleep(0)

    await shop.post(f"/online/applications/{event}/expire")
    await shop.settle()

    assert (await shop.get(f"/callbacks/{delivery['id']}"))["state"] == "gave up"
    await shop.post(f"/callbacks/{delivery['id']}/retry")
    await shop.settle()
    assert (await shop.get(f"/callbacks/{delivery['id']}"))["state"] == "delivered"


async def test_a_held_application_can_arrive_after_its_time_out(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy())["instance_id"]
    await shop.post("/faults", CALLBACKS | {"kind": "reorder", "value": 0})
    event = (await shop.apply(instance))["event_id"]

    await shop.post(f"/online/applications/{event}/expire")
    await shop.post("/callbacks/flush")
    await shop.settle()

    assert online_merchant.received[-1]["eventId"] == event
    assert (await shop.upload_string(event, "late"))["error_code"] == "91381034"


async def test_an_order_is_answered_in_another_form_than_documented(shop: Shop) -> None:
    await shop.buy(order_id="CS1", period_type="month", period_number=1)

    async def line(kind: str, value: object) -> dict[str, Any]:
        await shop.post("/faults", OPEN_API | {"kind": kind, "value": value})
        found: dict[str, Any] = (await shop.query("CS1")).json()["orderInfo"]["orderLine"][0]
        return found

    documented = (await shop.query("CS1")).json()["orderInfo"]["orderLine"][0]
    forms: list[tuple[str, object, dict[str, Any]]] = [
        ("charging_mode", "SUBSCRIPTION", {"chargingMode": "SUBSCRIPTION"}),
        ("date_form", "iso", {"expireTime": "2026-02-02T03:04:05Z"}),
        ("date_form", "spaced", {"expireTime": "2026-02-02 03:04:05"}),
        ("date_form", "epoch_ms", {"expireTime": 1770001445000}),
        ("date_form", "blank", {"expireTime": ""}),
        ("date_form", "null", {"expireTime": None}),
        ("members", '{"periodNumber": -1}', {"periodNumber": -1}),
    ]
    for row in each(forms):
        with row as (kind, value, changed):
            assert await line(kind, value) == documented | changed
    assert "expireTime" not in await line("date_form", "absent")
    renamed = await line("members", '{"expireTime": "(named endTime)", "periodType": "(absent)"}')
    assert (renamed["endTime"], "expireTime" in renamed, "periodType" in renamed) == ("20260202030405", False, False)


@pytest.mark.parametrize("prefix", ["MKT.", "MKT. ", "CBC."])
async def test_codes_come_with_another_prefix(shop: Shop, prefix: str) -> None:
    await shop.post("/faults", OPEN_API | {"kind": "code_prefix", "value": prefix})

    assert (await shop.query("CS-NOBODY")).json()["resultCode"].startswith(prefix)


@pytest.mark.parametrize("value", ["", "[]", "not json", 7])
async def test_members_must_be_a_json_object(shop: Shop, value: object) -> None:
    answer = await shop.http.post("/control/faults", json=OPEN_API | {"kind": "members", "value": value})

    assert answer.status_code == 400


async def test_a_merchant_that_refuses_a_change_is_sold_none(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy(order_id="CS1", linear_value=3))["instance_id"]
    online_merchant.answers["changeInstanceCheck"] = [{"resultCode": "000002", "resultMsg": "in use"}]

    refused = await shop.http.post(f"/control/online/instances/{instance}/change", json={"linear_value": 1})

    assert refused.status_code == 409
    assert [message["activity"] for message in online_merchant.received[1:]] == ["changeInstanceCheck"]
    sold = (await shop.query("CS1")).json()["orderInfo"]["orderLine"][0]
    assert sold["productInfo"][0]["linearValue"] == 3
