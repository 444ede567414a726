"""Online licenses: opening an instance, its life, and applications for licenses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from licsrv.emulator.callback_signature import canonical_body, sign
from licsrv.emulator.online_license.orders import Item
from tests.emulator.online import DEVICE, OnlineMerchant, Shop

KEY = "demo-callback-access-key"
PROCESSING = {"resultCode": "000004"}


async def test_a_purchase_opens_an_instance(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = await shop.buy(order_id="CS1", linear_value=10)

    (asked,) = online_merchant.received
    assert asked == {
        "activity": "newInstance",
        "businessId": asked["businessId"],
        "orderId": "CS1",
        "orderLineId": "CS1-000001",
        "testFlag": "0",
    }
    assert (instance["state"], instance["instance_id"]) == ("OPEN", asked["businessId"])
    query = online_merchant.queries[0]
    assert query["signature"] == sign(
        online_merchant.bodies[0], access_key=KEY, nonce=query["nonce"], timestamp=query["timestamp"]
    )


async def test_not_yet_is_asked_again_with_another_business_id(shop: Shop, online_merchant: OnlineMerchant) -> None:
    online_merchant.answers["newInstance"] = [PROCESSING, PROCESSING]
    online_merchant.answers["queryInstance"] = [PROCESSING, PROCESSING]

    instance = await shop.buy()

    business_ids = [body["businessId"] for body in online_merchant.of("newInstance")]
    assert len(set(business_ids)) == 3 == len(business_ids)
    assert instance["business_ids"] == business_ids
    assert (instance["state"], instance["instance_id"]) == ("OPEN", business_ids[0])
    assert {body["instanceId"] for body in online_merchant.of("queryInstance")} == {business_ids[0]}


async def test_an_answer_to_query_instance_opens_it_too(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await shop.post("/settings", {"speed": 0.001})
    online_merchant.answers["newInstance"] = [PROCESSING]
    online_merchant.instances["CS1", "CS1-000001"] = "RA1"
    info = {"instanceId": "RA1", "appInfo": {"frontEndUrl": "https://x.test"}}
    online_merchant.answers["queryInstance"] = [{"resultCode": "000000", "info": [info]}]

    instance = await shop.buy(order_id="CS1")

    assert (instance["state"], instance["app_info"]) == ("OPEN", {"frontEndUrl": "https://x.test"})
    assert len(online_merchant.of("newInstance")) == 1


async def test_another_instance_id_on_a_repeat_is_written_down(shop: Shop, online_merchant: OnlineMerchant) -> None:
    online_merchant.answers["newInstance"] = [
        PROCESSING | {"instanceId": "A"},
        {"resultCode": "000000", "instanceId": "B"},
    ]

    instance = await shop.buy()

    assert (instance["state"], instance["instance_id"]) == ("OPEN", "A")
    assert "another instanceId, B" in instance["problems"][0]


@pytest.mark.parametrize("wrong", ["", 5, None, "x" * 65])
async def test_success_without_an_instance_id_is_none(
    shop: Shop, online_merchant: OnlineMerchant, wrong: object
) -> None:
    online_merchant.answers["newInstance"] = [{"resultCode": "000000", "instanceId": wrong}]

    instance = await shop.buy()

    assert len(online_merchant.of("newInstance")) == 2
    assert instance["instance_id"] == online_merchant.received[0]["businessId"]


async def test_after_sixty_tries_the_order_fails_and_is_unsubscribed(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    online_merchant.answers["newInstance"] = [{"resultCode": "000005"}] * 60

    instance = await shop.buy()

    assert (instance["state"], len(online_merchant.received)) == ("FAILED", 60)
    assert [order["order_type"] for order in instance["orders"]] == ["NEW", "UNSUBSCRIBE"]
    (delivery,) = (await shop.get("/callbacks"))["callbacks"]
    assert delivery["state"] == "gave up"


async def test_a_failed_order_releases_the_instance_the_merchant_named(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    online_merchant.answers["newInstance"] = [PROCESSING] * 60
    online_merchant.answers["queryInstance"] = [PROCESSING] * 60

    instance = await shop.buy()

    (released,) = online_merchant.of("releaseInstance")
    assert released["instanceId"] == instance["instance_id"]
    assert released["orderId"] == instance["orders"][1]["order_id"]


async def test_an_application_is_written_like_the_published_example(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    instance = (await shop.buy())["instance_id"]

    applied = await shop.apply(instance)

    body, query = online_merchant.bodies[-1], online_merchant.queries[-1]
    members = json.loads(body)
    assert members == {
        "activity": "getLicenseAsync",
        "eventId": applied["event_id"],
        "instanceId": instance,
        "effectiveTime": "2026-01-02 03:04:05 z",
        "expireTime": "2027-01-02 03:04:05 z",
        "deviceFingerprint": DEVICE,
    }
    assert list(members) != sorted(members)
    expected = sign(canonical_body(members), access_key=KEY, nonce=query["nonce"], timestamp=query["timestamp"])
    assert query["signature"] == expected


async def test_optional_members_of_an_application_are_left_out(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy(charging_mode="ONE_TIME"))["instance_id"]

    await shop.apply(instance, device_info="")

    assert not {"expireTime", "deviceFingerprint", "testFlag"} & online_merchant.received[-1].keys()


@pytest.mark.parametrize("code", ["000002", "000003", "000900", "000901", "000902", "000903"])
async def test_a_refused_application_is_not_asked_again(shop: Shop, online_merchant: OnlineMerchant, code: str) -> None:
    online_merchant.answers["getLicenseAsync"] = [{"resultCode": code}]

    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    application = await shop.get(f"/online/applications/{event}")
    assert (application["state"], len(online_merchant.of("getLicenseAsync"))) == ("failed", 1)
    assert code in application["failure"]
    assert (await shop.upload_string(event, "a"))["error_code"] == "91381038"


async def test_an_application_without_an_answer_is_tried_five_times(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    online_merchant.answers["getLicenseAsync"] = [{"resultCode": "000005"}] * 9

    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    assert len({body["eventId"] for body in online_merchant.of("getLicenseAsync")}) == 1
    assert len(online_merchant.of("getLicenseAsync")) == 5
    assert (await shop.get(f"/online/applications/{event}"))["state"] == "failed"


async def test_in_progress_counts_as_accepted(shop: Shop, online_merchant: OnlineMerchant) -> None:
    online_merchant.answers["getLicenseAsync"] = [PROCESSING]

    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    assert len(online_merchant.of("getLicenseAsync")) == 1
    assert (await shop.upload_string(event, "a"))["error_code"] == "CBC.0000"


async def test_an_application_waits_only_so_long_for_its_upload(shop: Shop) -> None:
    event = (await shop.apply((await shop.buy())["instance_id"]))["event_id"]

    expired = await shop.post(f"/online/applications/{event}/expire")

    assert (expired["state"], expired["failure"]) == ("failed", "no license was uploaded in time")
    assert (await shop.upload_string(event, "a"))["error_code"] == "91381034"
    assert "is failed" in (await shop.post(f"/online/applications/{event}/expire", status=409))["error"]


async def test_a_device_asks_again_under_the_same_event(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy())["instance_id"]

    events = [
        (await shop.apply(instance))["event_id"],
        (await shop.apply(instance))["event_id"],
        (await shop.apply(instance, kind="file"))["event_id"],
        (await shop.apply(instance, device_info="other"))["event_id"],
    ]

    assert events[0] == events[1]
    assert len(set(events)) == 3
    await shop.upload_string(events[0], "a")
    assert (await shop.apply(instance))["event_id"] not in events
    repeated = await shop.apply(instance, event_id=events[0])
    assert (repeated["event_id"], repeated["state"]) == (events[0], "uploaded")
    assert online_merchant.received[-1]["eventId"] == events[0]


async def test_a_life_sends_the_documented_bodies(shop: Shop, online_merchant: OnlineMerchant) -> None:
    instance = (await shop.buy(order_id="CS0", trial=True, period_type="day", period_number=7))["instance_id"]
    path = f"/online/instances/{instance}"
    calls: list[tuple[str, dict[str, Any]]] = [
        ("formalize", {"period_type": "month", "period_number": 1, "product_id": "P2", "order_id": "CS1"}),
        ("renew", {"order_id": "CS2"}),
        ("unsubscribe", {"order_id": "CS3"}),
        ("change", {"linear_value": 5, "order_id": "CS4"}),
        ("upgrade", {"linear_value": 9, "order_id": "CS5"}),
        ("freeze", {}),
        ("unfreeze", {}),
        ("query", {}),
        ("release", {"unsubscribe": True, "order_id": "CS6"}),
    ]

    for verb, body in calls:
        await shop.post(f"{path}/{verb}", body)
        await shop.settle()

    common = {"instanceId": instance, "testFlag": "0"}
    refresh = common | {"activity": "refreshInstance"}

    changed = replace(Item(), product_id="P2", linear_value=5).product_info()

    def order(number: int) -> dict[str, str]:
        return {"orderId": f"CS{number}", "orderLineId": f"CS{number}-000001"}

    assert online_merchant.received[1:] == [
        refresh | order(1) | {"scene": "TRIAL_TO_FORMAL", "productId": "P2", "expireTime": "20260202030405"},
        refresh | order(2) | {"scene": "RENEWAL", "expireTime": "20260302030405"},
        refresh | order(2) | {"scene": "UNSUBSCRIBE_RENEWAL_PERIOD", "expireTime": "20260202030405"},
        {"activity": "changeInstanceCheck", "instanceId": instance, "productInfo": changed},
        refresh | order(4) | {"scene": "RENEWAL_CHANGE", "expireTime": "20260302030405"},
        common | order(5) | {"activity": "upgradeInstance"},
        common | {"activity": "updateInstanceStatus", "status": "FREEZE"},
        common | {"activity": "updateInstanceStatus", "status": "UNFREEZE"},
        common | {"activity": "queryInstance"},
        common | order(6) | {"activity": "releaseInstance"},
    ]
    types = [(await shop.query(f"CS{n}")).json()["orderInfo"]["orderType"] for n in range(7)]
    assert types == ["TRIAL", "TRIAL_TO_FORMAL", "RENEW", "UNSUBSCRIBE", "CHANGE", "CHANGE", "UNSUBSCRIBE"]
    upgraded = (await shop.query("CS5")).json()["orderInfo"]["orderLine"][0]
    assert upgraded["productInfo"][0]["linearValue"] == 9
    assert (await shop.get(path))["state"] == "RELEASED"


@pytest.mark.parametrize(("names", "order_id"), [("renewal", "CS1"), ("unsubscribe", "CS2"), (None, "CS1")])
async def test_both_readings_of_an_unsubscribed_renewal_can_be_sent(
    shop: Shop, online_merchant: OnlineMerchant, names: str | None, order_id: str
) -> None:
    instance = (await shop.buy())["instance_id"]
    await shop.post(f"/online/instances/{instance}/renew", {"order_id": "CS1"})

    chosen = {"names": names} if names else {}
    await shop.post(f"/online/instances/{instance}/unsubscribe", {"order_id": "CS2"} | chosen)
    await shop.settle()

    undone = next(body for body in online_merchant.received if body.get("scene") == "UNSUBSCRIBE_RENEWAL_PERIOD")
    assert undone["orderId"] == order_id


CONFLICTS = [
    ("NOBODY/freeze", {}, 404),
    ("CS1/unfreeze", {}, 409),
    ("CS1/unsubscribe", {}, 409),
    ("CS1/formalize", {}, 409),
    ("ONCE/renew", {}, 409),
    ("UNOPENED/renew", {}, 409),
    ("UNOPENED/applications", {}, 409),
    ("GONE/freeze", {}, 409),
    ("GONE/release", {}, 409),
    ("CS1/renew", {"order_id": "GONE"}, 409),
    ("CS1/renew", {"order_id": "a/b"}, 400),
    ("CS1/renew", {"period_number": 0}, 400),
    ("CS1/renew", {"period_number": 1001}, 400),
    ("CS1/renew", {"period_type": "week"}, 400),
    ("CS1/renew", {"expire_time": "1960-01-01T00:00:00Z"}, 400),
    ("CS1/renew", {"linear_value": -1}, 400),
    ("CS1/renew", {"period": 1}, 400),
    ("CS1/unsubscribe", {"names": "both"}, 400),
    ("CS1/quota", {"license_quota": -1}, 400),
    ("CS1/applications", {"kind": "usb"}, 400),
    ("CS1/applications", {"device_info": "x" * 5121}, 400),
    ("CS1/applications", {"device_info": 5}, 400),
]


@pytest.mark.parametrize(("path", "body", "status"), CONFLICTS, ids=[f"{n} {c[0]}" for n, c in enumerate(CONFLICTS)])
async def test_what_cannot_be_done_is_one_sentence(
    shop: Shop, online_merchant: OnlineMerchant, path: str, body: dict[str, Any], status: int
) -> None:
    await shop.buy(order_id="CS1")
    await shop.buy(order_id="ONCE", charging_mode="ONE_TIME")
    await shop.buy(order_id="UNOPENED", announce=False)
    await shop.buy(order_id="GONE")
    await shop.post("/online/instances/GONE/release")
    await shop.settle()
    sent, before = len(online_merchant.received), await shop.get("/online/instances")

    answer = await shop.post(f"/online/instances/{path}", body, status=status)

    await shop.settle()
    assert list(answer) == ["error"]
    assert (len(online_merchant.received), await shop.get("/online/instances")) == (sent, before)


async def test_an_instance_expires(shop: Shop) -> None:
    await shop.buy(order_id="CS1", period_type="day")
    await shop.post("/clock", {"move_seconds": timedelta(days=1).total_seconds()})

    assert (await shop.get("/online/instances/CS1"))["state"] == "EXPIRED"


async def test_a_reset_forgets_instances_orders_and_applications(shop: Shop) -> None:
    await shop.apply((await shop.buy(order_id="CS1"))["instance_id"])

    await shop.post("/reset")

    assert await shop.get("/online/instances") == {"instances": []}
    assert await shop.get("/online/applications") == {"applications": []}
    assert (await shop.query("CS1")).json()["resultCode"] == "CBC.0199"


async def test_a_failed_application_opens_again_when_it_is_repeated(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    instance = (await shop.buy())["instance_id"]
    event = (await shop.apply(instance))["event_id"]
    await shop.post(f"/online/applications/{event}/expire")

    repeated = await shop.apply(instance, event_id=event)

    assert (repeated["event_id"], repeated["state"]) == (event, "open")
    assert (await shop.upload_string(event, "a"))["error_code"] == "CBC.0000"
    other = {"device_info": "X", "event_id": event}
    assert (
        "another device" in (await shop.post(f"/online/instances/{instance}/applications", other, status=409))["error"]
    )


async def test_an_end_can_have_seventeen_digits(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await shop.post("/settings", {"ends_with_milliseconds": True})
    instance = (await shop.buy())["instance_id"]

    await shop.post(f"/online/instances/{instance}/renew")
    await shop.settle()

    assert online_merchant.received[-1]["expireTime"] == "20280102030405000"


async def test_orders_and_instances_are_listed_and_shown(shop: Shop) -> None:
    await shop.buy(order_id="CS1", order_line_id="L7", charging_mode="ON_DEMAND", announce=False)

    assert [order["order_line_id"] for order in (await shop.get("/online/orders"))["orders"]] == ["L7"]
    assert (await shop.get("/online/orders/CS1"))["charging_mode"] == "ON_DEMAND"
    assert (await shop.get("/online/instances/CS1"))["state"] == "OPENING"
    await shop.post("/online/instances/CS1/open")
    await shop.settle()
    assert (await shop.get("/online/instances/CS1"))["state"] == "OPEN"


@pytest.mark.parametrize("form", ["canonical", "loose", "loose_signed_canonically", "documented_order"])
async def test_every_form_of_a_body_says_the_same(shop: Shop, online_merchant: OnlineMerchant, form: str) -> None:
    await shop.post("/settings", {"body_form": form})
    await shop.apply((await shop.buy())["instance_id"])

    for body, query in zip(online_merchant.bodies, online_merchant.queries, strict=True):
        words = {"access_key": KEY, "nonce": query["nonce"], "timestamp": query["timestamp"]}
        assert query["signature"] in {sign(body, **words), sign(canonical_body(json.loads(body)), **words)}
