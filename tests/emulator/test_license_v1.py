"""The retired License 1.0: signed GETs, the license in the answer, and whether the answer's Body-Sign is right."""

from __future__ import annotations

from typing import Any

import pytest

from licsrv.emulator.auth_token import auth_token, body_sign
from tests.emulator.online import OnlineMerchant, Shop

KEY = "demo-callback-access-key"
LICENSE = {"resultCode": "000000", "resultMsg": "success.", "license": "LIC-0001", "instanceId": "i1"}


@pytest.fixture(autouse=True)
def _licenses(online_merchant: OnlineMerchant) -> None:
    online_merchant.answers["getLicense"] = [LICENSE] * 9


async def _buy(shop: Shop, **what: Any) -> dict[str, Any]:
    bought = await shop.post("/license-v1/orders", what)
    await shop.settle()
    return await shop.get(f"/license-v1/orders/{bought['license']['order_id']}")


async def test_a_purchase_asks_for_a_license_by_a_signed_get(shop: Shop, online_merchant: OnlineMerchant) -> None:
    bought = await _buy(shop, order_id="CS1", amount=3)

    (query,) = online_merchant.queries
    assert online_merchant.bodies == [b""]
    assert query == {
        "authToken": auth_token({name: query[name] for name in query if name != "authToken"}, access_key=KEY),
        "activity": "getLicense",
        "businessId": query["businessId"],
        "customerId": "688055f1aa90f1858",
        "customerName": "demo-customer",
        "orderId": "CS1",
        "skuCode": "SKU-STANDARD",
        "productId": "00301-666688-0-0",
        "expireTime": "20270102030405",
        "periodType": "year",
        "amount": "3",
        "timeStamp": "20260102030405000",
    }
    assert (bought["license"], bought["instance_id"]) == ("LIC-0001", "i1")


async def test_a_product_paid_once_has_no_period(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await _buy(shop, one_time=True)

    assert not {"expireTime", "periodType", "amount"} & online_merchant.queries[0].keys()


async def test_an_answer_without_a_license_is_asked_again_hourly_for_three_hours(
    shop: Shop, online_merchant: OnlineMerchant
) -> None:
    online_merchant.answers["getLicense"] = [LICENSE | {"license": ""}] * 9

    bought = await _buy(shop)

    assert len({query["businessId"] for query in online_merchant.queries}) == 4 == len(online_merchant.queries)
    assert bought["license"] is None


async def test_a_life_sends_the_documented_parameters(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await _buy(shop, order_id="CS1")
    for verb, body in [
        ("renew", {"order_id": "CS2", "period_type": "month"}),
        ("expire", {}),
        ("release", {}),
    ]:
        await shop.post(f"/license-v1/orders/CS1/{verb}", body)
        await shop.settle()

    told = [
        {name: value for name, value in query.items() if name not in {"authToken", "timeStamp"}}
        for query in online_merchant.queries[1:]
    ]
    assert told == [
        {
            "activity": "refreshLicense",
            "orderId": "CS2",
            "instanceId": "i1",
            "productId": "00301-666688-0-0",
            "expireTime": "20270202030405",
            "periodType": "month",
            "periodNumber": "1",
        },
        {"activity": "expireLicense", "orderId": "CS1", "instanceId": "i1"},
        {"activity": "releaseLicense", "orderId": "CS1", "instanceId": "i1"},
    ]


@pytest.mark.parametrize("verb", ["renew", "expire", "release"])
async def test_what_follows_the_purchase_is_called_once(shop: Shop, online_merchant: OnlineMerchant, verb: str) -> None:
    await _buy(shop, order_id="CS1")
    online_merchant.answers |= {
        f"{word}License": [{"resultCode": "000005"}] for word in ("refresh", "expire", "release")
    }

    await shop.post(f"/license-v1/orders/CS1/{verb}")
    await shop.settle()

    assert (await shop.get("/callbacks"))["callbacks"][-1]["state"] == "gave up"
    assert len(online_merchant.received) == 2


async def test_another_license_on_a_repeat_is_written_down(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await _buy(shop, order_id="CS1")
    online_merchant.answers["getLicense"] = [LICENSE | {"license": "LIC-0002"}]

    await shop.post("/license-v1/orders/CS1/ask")
    await shop.settle()

    shown = await shop.get("/license-v1/orders/CS1")
    assert (shown["license"], len(shown["problems"])) == ("LIC-0001", 1)


ANSWER = b'{"resultCode": "000000", "resultMsg": "success.", "license": "LIC-0001", "instanceId": "i1"}'
SIGNS = [
    (None, "missing"),
    (f'sign_type="HMAC-SHA256", signature="{body_sign(ANSWER, access_key=KEY)}"', "right"),
    (f'sign_type="HMAC-SHA256", signature= "{body_sign(ANSWER, access_key=KEY)}"', "right"),
    (f'sign_type="HMAC-SHA256", signature="{body_sign(ANSWER, access_key="x")}"', "wrong"),
    (body_sign(ANSWER, access_key=KEY), "wrong"),
]


@pytest.mark.parametrize(("header", "verdict"), SIGNS, ids=range(len(SIGNS)))
async def test_the_body_sign_of_the_answer_is_judged(
    shop: Shop, online_merchant: OnlineMerchant, header: str | None, verdict: str
) -> None:
    online_merchant.headers = {} if header is None else {"Body-Sign": header}

    await _buy(shop)

    (delivery,) = (await shop.get("/callbacks"))["callbacks"]
    assert (delivery["method"], delivery["attempts"][0]["body_sign"]) == ("GET", verdict)


async def test_callbacks_of_other_lines_have_no_body_sign(shop: Shop) -> None:
    await shop.buy()

    (delivery,) = (await shop.get("/callbacks"))["callbacks"]
    assert "body_sign" not in delivery["attempts"][0]


async def test_token_and_time_can_be_wrong_on_purpose(shop: Shop, online_merchant: OnlineMerchant) -> None:
    await shop.post("/faults", {"side": "callbacks", "kind": "wrong_signature", "times": 1})
    await shop.post("/faults", {"side": "callbacks", "kind": "clock_skew_seconds", "value": -3600})

    await _buy(shop)

    (query,) = online_merchant.queries
    assert query["timeStamp"] == "20260102020405000"
    assert query["authToken"] != auth_token(query, access_key=KEY)


WRONG: list[tuple[str, dict[str, Any], int]] = [
    ("", {"period_type": "day"}, 400),
    ("", {"product_id": ""}, 400),
    ("", {"customer_id": "x" * 101}, 400),
    ("", {"order_id": "CS1"}, 409),
    ("", {"order_id": "a/b"}, 400),
    ("", {"expire_time": "1960-01-01T00:00:00Z"}, 400),
    ("/NOBODY/expire", {}, 404),
    ("/CS1/renew", {"one_time": True}, 409),
    ("/CS1/renew", {"period_number": 0}, 400),
    ("/CS1/renew", {"order_id": "CS1"}, 409),
    ("/GONE/release", {}, 409),
]


@pytest.mark.parametrize(("path", "body", "status"), WRONG, ids=range(len(WRONG)))
async def test_what_cannot_be_done_is_one_sentence(shop: Shop, path: str, body: dict[str, Any], status: int) -> None:
    await _buy(shop, order_id="CS1")
    await _buy(shop, order_id="GONE")
    await shop.post("/license-v1/orders/GONE/release")
    before = await shop.get("/license-v1/orders")

    assert list(await shop.post(f"/license-v1/orders{path}", body, status=status)) == ["error"]
    assert await shop.get("/license-v1/orders") == before
