"""Callbacks: their bodies and signatures, what counts as delivered, the tries (protocol §5, §6)."""

from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest

from licsrv.emulator import BodyForm, ControlError, Emulator
from licsrv.emulator.callback_signature import canonical_body, sign
from licsrv.emulator.deliveries import DeliveryState, Spoiling
from tests.emulator.conftest import START, SUCCESS, Callback, Merchant

KEY = "demo-callback-access-key"


def _expected_signature(callback: Callback, signed: bytes | None = None) -> str:
    query = callback.query
    return sign(
        callback.body if signed is None else signed,
        access_key=KEY,
        nonce=query["nonce"],
        timestamp=query["timestamp"],
    )


async def test_a_callback_is_signed_timed_and_compact(emulator: Emulator, merchant: Merchant) -> None:
    emulator.codes.buy(code="PL1")

    delivery = await emulator.codes.freeze("PL1")
    await emulator.settle()

    (callback,) = merchant.received
    assert callback.body == b'{"activity":"updateLicenseCodeStatus","license":"PL1","status":"FREEZE","testFlag":"0"}'
    assert callback.content_type == "application/json;charset=utf8"
    assert callback.query["timestamp"] == str(int(START.timestamp() * 1000))
    assert len(callback.query["nonce"]) >= 16
    assert callback.query["signature"] == _expected_signature(callback)
    assert delivery.state is DeliveryState.DELIVERED


async def test_the_life_of_a_code_sends_the_documented_bodies(emulator: Emulator, merchant: Merchant) -> None:
    emulator.codes.buy(code="PL1", expires_at=START + timedelta(days=10), order_id="CS0")

    await emulator.codes.renew("PL1", days=5, order_id="CS1", product_id="P2")
    await emulator.settle()
    await emulator.codes.unsubscribe_renewal("PL1", order_id="CS2")
    await emulator.settle()
    await emulator.codes.freeze("PL1")
    await emulator.settle()
    await emulator.codes.unfreeze("PL1")
    await emulator.settle()
    await emulator.codes.release("PL1", order_id="CS3")
    await emulator.settle()

    bodies = [callback.members for callback in merchant.received]
    assert bodies == [
        {
            "activity": "refreshLicenseCode",
            "scene": "RENEWAL",
            "orderId": "CS1",
            "orderLineId": "CS1-000001",
            "license": "PL1",
            "productId": "P2",
            "expireTime": "20260117030405",
            "testFlag": "0",
        },
        {
            "activity": "refreshLicenseCode",
            "scene": "UNSUBSCRIBE_RENEWAL_PERIOD",
            "orderId": "CS2",
            "orderLineId": "CS2-000001",
            "license": "PL1",
            "expireTime": "20260112030405",
            "testFlag": "0",
        },
        {"activity": "updateLicenseCodeStatus", "license": "PL1", "status": "FREEZE", "testFlag": "0"},
        {"activity": "updateLicenseCodeStatus", "license": "PL1", "status": "UNFREEZE", "testFlag": "0"},
        {
            "activity": "releaseLicenseCode",
            "license": "PL1",
            "orderId": "CS3",
            "orderLineId": "CS3-000001",
            "testFlag": "0",
        },
    ]
    assert emulator.codes.get("PL1").product_id == "OFFI000000000000000001"


async def test_a_release_without_an_order_names_none(emulator: Emulator, merchant: Merchant) -> None:
    emulator.codes.buy(code="PL1")

    await emulator.codes.release("PL1")
    await emulator.settle()

    assert merchant.received[0].members == {"activity": "releaseLicenseCode", "license": "PL1", "testFlag": "0"}


async def test_a_renewal_after_the_end_counts_from_now(emulator: Emulator, merchant: Merchant) -> None:
    emulator.codes.buy(code="PL1", expires_at=START + timedelta(days=1))
    emulator.clock.move(timedelta(days=3))

    await emulator.codes.renew("PL1", days=1)
    await emulator.settle()

    assert merchant.received[0].members["expireTime"] == "20260106030405"


async def test_every_renewal_has_an_order_of_its_own(emulator: Emulator, merchant: Merchant) -> None:
    emulator.codes.buy(code="PL1", expires_at=START + timedelta(days=1))

    for _ in range(3):
        await emulator.codes.renew("PL1", days=1)
    await emulator.settle()

    assert len({callback.members["orderId"] for callback in merchant.received}) == 3


async def test_probing_sends_all_three_activities_and_changes_nothing(emulator: Emulator, merchant: Merchant) -> None:
    await emulator.codes.probe()
    await emulator.settle()

    assert sorted(merchant.activities) == ["refreshLicenseCode", "releaseLicenseCode", "updateLicenseCodeStatus"]
    assert {callback.members["testFlag"] for callback in merchant.received} == {"1"}
    assert emulator.codes.all() == []


NOT_DELIVERED = [
    (500, SUCCESS),
    (201, SUCCESS),
    (302, SUCCESS),
    (200, b""),
    (200, b"OK"),
    (200, b'["000000"]'),
    (200, b'{"resultMsg":"success."}'),
    (200, b'{"resultCode":"000001"}'),
    (200, b'{"resultCode":"000004"}'),
    (200, b'{"resultCode":0}'),
    (200, b'{"resultCode":"000000"}' + b" " * 70_000),
]


@pytest.mark.parametrize(("status", "content"), NOT_DELIVERED, ids=range(len(NOT_DELIVERED)))
async def test_any_other_answer_is_tried_again(
    emulator: Emulator, merchant: Merchant, status: int, content: bytes
) -> None:
    merchant.answers.append((status, content))
    emulator.codes.buy(code="PL1")

    delivery = await emulator.codes.freeze("PL1")
    await emulator.settle()

    assert [attempt.succeeded for attempt in delivery.attempts] == [False, True]
    assert delivery.attempts[0].failure
    assert delivery.state is DeliveryState.DELIVERED


async def test_every_try_is_signed_afresh(emulator: Emulator, merchant: Merchant) -> None:
    merchant.answers.extend([(500, b"")] * 4)
    emulator.codes.buy(code="PL1")

    await emulator.codes.freeze("PL1")
    await emulator.settle()

    assert len({callback.query["nonce"] for callback in merchant.received}) == 5
    assert all(callback.query["signature"] == _expected_signature(callback) for callback in merchant.received)
    assert len({callback.body for callback in merchant.received}) == 1


async def test_after_sixty_tries_it_gives_up_until_someone_retries(emulator: Emulator, merchant: Merchant) -> None:
    merchant.answers.extend([(500, b"")] * 60)
    emulator.codes.buy(code="PL1")
    delivery = await emulator.codes.freeze("PL1")
    await emulator.settle()
    assert (len(merchant.received), delivery.state) == (60, DeliveryState.GAVE_UP)

    emulator.courier.retry(delivery.delivery_id)
    await emulator.settle()

    assert (delivery.tries, delivery.state) == (61, DeliveryState.DELIVERED)


async def test_an_answer_after_the_time_limit_is_none(emulator: Emulator, merchant: Merchant) -> None:
    merchant.delay = 60
    emulator.change_settings(callback_time_limit=timedelta(milliseconds=5))

    delivery = await emulator.send_callback({"activity": "x"})
    await emulator.settle()

    assert delivery.attempts[0].http_status is None
    assert delivery.attempts[0].failure == "no answer within 0.005 s"


async def test_a_merchant_that_breaks_is_only_a_failed_try(emulator: Emulator, merchant: Merchant) -> None:
    merchant.error = RuntimeError("boom")

    delivery = await emulator.send_callback({"activity": "x"})
    await emulator.settle()

    assert (delivery.state, delivery.attempts[0].failure) == (DeliveryState.GAVE_UP, "RuntimeError: boom")


async def test_a_pause_can_be_ended(emulator: Emulator, merchant: Merchant) -> None:
    emulator.change_settings(speed=1.0)
    merchant.answers.append((500, b""))
    delivery = await emulator.send_callback({"activity": "x"}, tries=2)
    await delivery.tried.wait()
    while delivery.state.value != "failed":
        await asyncio.sleep(0)

    assert emulator.courier.hurry() == 1
    await emulator.settle()

    assert delivery.state is DeliveryState.DELIVERED


async def test_closing_stops_what_still_waits(emulator: Emulator, merchant: Merchant) -> None:
    emulator.change_settings(speed=1.0)
    merchant.answers.append((500, b""))
    delivery = await emulator.send_callback({"activity": "x"}, tries=2)
    await delivery.tried.wait()

    await emulator.aclose()

    assert len(merchant.received) == 1


async def test_loose_bodies_are_signed_as_sent_or_as_sorted(emulator: Emulator, merchant: Merchant) -> None:
    body: dict[str, Any] = {"activity": "x", "license": "PL授", "productId": None}

    await emulator.send_callback(body, form=BodyForm.LOOSE)
    await emulator.settle()
    await emulator.send_callback(body, form=BodyForm.LOOSE_SIGNED_CANONICALLY)
    await emulator.settle()

    as_sent, as_sorted = merchant.received
    assert json.loads(as_sent.body) == json.loads(as_sorted.body) == body
    assert as_sent.body == as_sorted.body != canonical_body(body)
    assert as_sent.query["signature"] == _expected_signature(as_sent)
    assert as_sorted.query["signature"] == _expected_signature(as_sorted, canonical_body(body))


async def test_the_body_form_can_be_chosen_for_everything(emulator: Emulator, merchant: Merchant) -> None:
    emulator.change_settings(body_form=BodyForm.LOOSE)

    await emulator.codes.probe()
    await emulator.settle()

    assert all(b" : " in callback.body for callback in merchant.received)


async def test_an_arbitrary_body_is_sent_once_and_as_it_is(emulator: Emulator, merchant: Merchant) -> None:
    merchant.answers.append((200, b'{"resultCode":"000002"}'))

    delivery = await emulator.send_callback(b"\xff not json")
    await emulator.settle()

    assert merchant.received[0].body == b"\xff not json"
    assert merchant.received[0].query["signature"] == _expected_signature(merchant.received[0])
    assert (delivery.tries, delivery.state) == (1, DeliveryState.GAVE_UP)


async def test_signature_timestamp_and_nonce_can_be_spoiled(emulator: Emulator, merchant: Merchant) -> None:
    spoilings = [
        Spoiling(signature="00"),
        Spoiling(timestamp="yesterday"),
        Spoiling(nonce="again"),
        Spoiling(skew_seconds=-61),
        Spoiling(omit=frozenset({"signature", "timestamp", "nonce"})),
    ]

    for spoiling in spoilings:
        await emulator.send_callback({"activity": "x"}, spoiling=spoiling)
        await emulator.settle()

    wrong, odd_time, nonce, skewed, bare = merchant.received
    assert wrong.query["signature"] == "00"
    assert odd_time.query["timestamp"] == "yesterday"
    assert odd_time.query["signature"] == _expected_signature(odd_time)
    assert nonce.query["nonce"] == "again"
    assert int(skewed.query["timestamp"]) == int(START.timestamp() - 61) * 1000
    assert bare.query == {}


async def test_states_that_do_not_allow_it_are_refused_and_send_nothing(emulator: Emulator, merchant: Merchant) -> None:
    emulator.codes.buy(code="PL1", days=3)

    for verb in (emulator.codes.unfreeze, emulator.codes.renew, emulator.codes.unsubscribe_renewal):
        with pytest.raises(ControlError) as refusal:
            await verb("PL1")
        assert refusal.value.status == 409
    await emulator.codes.release("PL1")
    for verb in (emulator.codes.freeze, emulator.codes.unfreeze, emulator.codes.release, emulator.codes.renew):
        with pytest.raises(ControlError) as refusal:
            await verb("PL1")
        assert refusal.value.status == 409
    await emulator.settle()

    assert merchant.activities == ["releaseLicenseCode"]
