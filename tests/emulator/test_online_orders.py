"""Orders of online licenses: buying, the order query with its refusals, notifications."""

from __future__ import annotations

from typing import Any

import pytest

from tests.emulator.online import OnlineMerchant, Shop

KEY = "demo-callback-access-key"
PROCESSING = {"resultCode": "000004"}


async def test_an_order_is_queried_as_documented(shop: Shop) -> None:
    buyer = {"customer_id": "c1", "email": "x@example.com"}
    await shop.buy(order_id="CS1", product_id="OFFI2", sku_code="S", linear_value=10, product_name="N", buyer=buyer)

    answer = await shop.query("CS1", "CS1-000001")

    assert answer.status_code == 200
    assert answer.json() == {
        "resultCode": "MKT.0000",
        "resultMsg": "Success",
        "orderInfo": {
            "orderId": "CS1",
            "orderType": "NEW",
            "createTime": "20260102030405",
            "orderLine": [
                {
                    "orderLineId": "CS1-000001",
                    "chargingMode": "PERIOD",
                    "periodType": "year",
                    "periodNumber": 1,
                    "expireTime": "20270102030405",
                    "productInfo": [{"productId": "OFFI2", "skuCode": "S", "linearValue": 10, "productName": "N"}],
                    "extendParams": [],
                }
            ],
            "buyerInfo": {"customerId": "c1", "email": "x@example.com"},
            "extendParams": [],
        },
    }


MOCKS = [
    ("MOCKPERIODYEARNEW", "NEW", "PERIOD", "20270102030405"),
    ("MOCKONETIMENEW", "NEW", "ONE_TIME", None),
    ("MOCKONDEMAND", "NEW", "ON_DEMAND", None),
    ("MOCKONDEMANDPKG", "NEW", "ON_DEMAND_PKG", None),
    ("MOCKPERIODDAYTRIAL", "TRIAL", "PERIOD", "20260109030405"),
    ("MOCKMONTYTRIALTOFORMAL", "TRIAL_TO_FORMAL", "PERIOD", "20260202030405"),
    ("MOCKMONTYUNSUBSCRIBE", "UNSUBSCRIBE", "PERIOD", "20260202030405"),
    ("MOCKMONTYRENEW", "RENEW", "PERIOD", "20260202030405"),
    ("MOCKMONTYCHANGE", "CHANGE", "PERIOD", "20260202030405"),
]


@pytest.mark.parametrize(("order_id", "order_type", "mode", "end"), MOCKS)
async def test_the_simulated_orders_are_served(
    shop: Shop, order_id: str, order_type: str, mode: str, end: str | None
) -> None:
    info = (await shop.query(order_id, f"{order_id}-000001")).json()["orderInfo"]

    (line,) = info["orderLine"]
    assert (info["orderType"], line["chargingMode"], line.get("expireTime")) == (order_type, mode, end)
    assert ("periodType" in line) == (mode == "PERIOD")


ORDER_REFUSALS = [
    ("", 400, "CBC.0101"),
    ("?orderLineId=x", 400, "CBC.0101"),
    ("?orderId=CS1&more=1", 400, "CBC.0101"),
    ("?orderId=CS1&orderId=CS1", 400, "CBC.0101"),
    ("?orderId=", 500, "CBC.0100"),
    (f"?orderId={'x' * 65}", 500, "CBC.0100"),
    ("?orderId=CS1&orderLineId=", 500, "CBC.0100"),
    ("?orderId=NOBODY", 400, "CBC.0199"),
    ("?orderId=CS1&orderLineId=CS1-000002", 400, "CBC.0199"),
    ("?orderId=FOREIGN", 401, "CBC.0150"),
]


@pytest.mark.parametrize(("query", "status", "code"), ORDER_REFUSALS)
async def test_wrong_order_queries_are_refused_as_documented(shop: Shop, query: str, status: int, code: str) -> None:
    await shop.buy(order_id="CS1")
    await shop.buy(order_id="FOREIGN", foreign=True)

    answer = await shop.open_api.call(f"/v1/order/query{query}", content=b"", method="GET")

    assert (answer.status_code, answer.json()["resultCode"]) == (status, code)


@pytest.mark.parametrize("settings", [{"order_success_code": "CBC.0000"}, {"order_errors_as_error_code": True}])
async def test_the_other_readings_of_the_order_query_can_be_chosen(shop: Shop, settings: dict[str, Any]) -> None:
    await shop.post("/settings", settings)

    good, bad = (await shop.query("MOCKONDEMAND")).json(), (await shop.query("NOBODY")).json()

    assert good["resultCode"] == settings.get("order_success_code", "MKT.0000")
    assert ("error_code" in bad) == ("order_errors_as_error_code" in settings)


async def test_an_order_query_needs_a_get_and_a_signature(shop: Shop) -> None:
    assert (await shop.query("CS1", sk="wrong")).status_code == 401
    answer = await shop.open_api.call("/v1/order/query?orderId=MOCKONDEMAND", content=b"")
    assert (answer.status_code, answer.json()["resultCode"]) == (400, "CBC.0101")


async def test_an_order_is_notified_for_three_hours(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await shop.buy(order_id="CS1", announce=False)
    online_merchant.answers["orderNotify"] = [{"resultCode": "000005"}] * 50

    await shop.post("/online/orders/CS1/notify")
    await shop.settle()

    assert len(online_merchant.received) == 18
    assert online_merchant.received[0] == {
        "activity": "orderNotify",
        "orderId": "CS1",
        "orderLineId": "CS1-000001",
        "testFlag": "0",
    }


BAD_PURCHASES: list[tuple[dict[str, Any], int]] = [
    ({"charging_mode": "FREE"}, 400),
    ({"charging_mode": "ONE_TIME", "period_number": 1}, 400),
    ({"period_number": 9000}, 400),
    ({"period_type": "year", "period_number": 1000, "order_id": "x" * 65}, 400),
    ({"linear_value": -1}, 400),
    ({"license_quota": -1}, 400),
    ({"buyer": []}, 400),
    ({"buyer": {"name": "x"}}, 400),
    ({"product_id": ""}, 400),
    ({"expire_time": "soon"}, 400),
    ({"order_id": "TAKEN"}, 409),
]


@pytest.mark.parametrize(("body", "status"), BAD_PURCHASES, ids=range(len(BAD_PURCHASES)))
async def test_a_purchase_that_makes_no_sense_is_refused(
    shop: Shop, online_merchant: OnlineMerchant, body: dict[str, Any], status: int
) -> None:
    await shop.buy(order_id="TAKEN")

    assert list(await shop.post("/online/orders", body, status=status)) == ["error"]
    assert len((await shop.get("/online/instances"))["instances"]) == 1 == len(online_merchant.received)


async def test_periods_end_on_days_that_exist(shop: Shop) -> None:
    await shop.post("/clock", {"now": "2028-01-31T00:00:00Z"})

    instance = await shop.buy(period_type="month")

    assert instance["expires_at"] == "2028-02-29T00:00:00.000Z"


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("CBC.0999", 500),
        ("CBC.0100", 500),
        ("CBC.0101", 400),
        ("CBC.0199", 400),
        ("CBC.0150", 401),
        ("CBC.0151", 401),
        ("CBC.0154", 401),
        ("CBC.0250", 406),
    ],
)
async def test_every_code_of_the_order_query_can_be_forced(shop: Shop, code: str, status: int) -> None:
    await shop.post("/faults", {"side": "open_api", "kind": "error_code", "value": code})

    answer = await shop.query("MOCKONDEMAND")

    assert (answer.status_code, answer.json()["resultCode"]) == (status, code)


async def test_a_forced_code_of_another_operation_is_not_for_this_one(shop: Shop) -> None:
    await shop.post("/faults", {"side": "open_api", "kind": "error_code", "value": "92020003", "times": 1})

    assert (await shop.query("MOCKONDEMAND")).status_code == 200
    assert await shop.open_api.code("/v1/license/activate", {"license": "x"}) == "92020003"


async def test_a_simulated_order_can_be_notified(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await shop.post("/online/orders/MOCKMONTYRENEW/notify", {"test": True})
    await shop.settle()

    (notified,) = online_merchant.received
    assert (notified["orderId"], notified["testFlag"]) == ("MOCKMONTYRENEW", "1")
    assert (await shop.http.post("/control/online/orders/NOBODY/notify")).status_code == 404
