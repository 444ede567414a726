"""Misbehaviour on demand, on both sides, and that it ends when it should."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import httpx2
import pytest

from licsrv.emulator import ControlError, Emulator
from licsrv.emulator.deliveries import DeliveryState
from licsrv.emulator.faults import FaultKind, Side
from licsrv.emulator.open_api_codes import UNAUTHORIZED_NAME, WORDINGS, OpenApiCode
from tests.emulator.conftest import ACTIVATE, HEARTBEAT, START, USAGE, Merchant
from tests.emulator.open_api_client import OpenApiClient

OPEN_API, CALLBACKS = Side.OPEN_API, Side.CALLBACKS


async def test_a_status_fault_answers_html_and_does_nothing(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")
    emulator.set_fault(OPEN_API, FaultKind.STATUS, 502, times=1)

    answer = await open_api.call(ACTIVATE, {"license": "PL1"})

    assert answer.status_code == 502
    assert answer.headers["content-type"].startswith("text/html")
    assert await open_api.code(ACTIVATE, {"license": "PL1"}) == "92020000"


@pytest.mark.parametrize("how", ["502", "close"])
async def test_a_lost_answer_comes_after_the_effect(open_api: OpenApiClient, emulator: Emulator, how: str) -> None:
    emulator.codes.buy(code="PL1")
    emulator.set_fault(OPEN_API, FaultKind.LOSE_ANSWER, how, times=1)

    if how == "502":
        assert (await open_api.call(ACTIVATE, {"license": "PL1"})).status_code == 502
    else:
        with pytest.raises(httpx2.RemoteProtocolError):
            await open_api.call(ACTIVATE, {"license": "PL1"})

    assert "answer lost" in emulator.requests.all()[-1].outcome
    assert await open_api.code(ACTIVATE, {"license": "PL1"}) == "92020003"


async def test_refusals_can_be_lost_too(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.set_fault(OPEN_API, FaultKind.LOSE_ANSWER, times=1)

    assert (await open_api.call(ACTIVATE, {"license": "PL-nobody"})).status_code == 502


async def test_a_garbled_answer_comes_after_the_effect(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")
    emulator.set_fault(OPEN_API, FaultKind.GARBAGE, times=1)

    answer = await open_api.call(ACTIVATE, {"license": "PL1"})

    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting"):
        answer.json()
    assert emulator.codes.get("PL1").activated_at == START


async def test_a_delayed_answer_is_late(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.set_fault(OPEN_API, FaultKind.DELAY_SECONDS, 60)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await open_api.call(ACTIVATE, {"license": "PL1"})


async def test_a_locked_key_pair_says_so_until_the_fault_goes(open_api: OpenApiClient, emulator: Emulator) -> None:
    fault = emulator.set_fault(OPEN_API, FaultKind.LOCK_KEY_PAIR)

    answer = await open_api.call(ACTIVATE, {"license": "PL1"})
    emulator.clear_faults(fault.fault_id)

    assert answer.status_code == 401
    assert answer.json()["error_msg"].endswith("AK access failed to reach the limit,forbidden.")
    assert await open_api.code(ACTIVATE, {"license": "PL1"}) == "92020005"


async def test_refused_signatures_count_and_lock_like_wrong_ones(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.set_fault(OPEN_API, FaultKind.REFUSE_SIGNATURE, times=6)

    messages = [(await open_api.call(ACTIVATE, {})).json()["error_msg"] for _ in range(7)]

    assert all("verify aksk signature fail" in message for message in messages[:6])
    assert "reach the limit" in messages[6]


async def test_a_wrong_clock_moves_the_window_and_the_date_header(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.set_fault(OPEN_API, FaultKind.CLOCK_SKEW_SECONDS, 901, times=1)

    answer = await open_api.call(ACTIVATE, {"license": "PL1"})

    assert answer.status_code == 401
    assert "signature expired" in answer.json()["error_msg"]
    assert answer.headers["date"] == "Fri, 02 Jan 2026 03:19:06 GMT"
    assert (await open_api.call(ACTIVATE, {"license": "PL1"})).status_code == 200


@pytest.mark.parametrize("code", [code for code in OpenApiCode if code is not OpenApiCode.SUCCESS])
async def test_every_documented_code_can_be_forced(
    open_api: OpenApiClient, emulator: Emulator, code: OpenApiCode
) -> None:
    emulator.set_fault(OPEN_API, FaultKind.ERROR_CODE, code.value)

    answer = await open_api.call(HEARTBEAT, {"license": "PL1"})

    assert answer.status_code == WORDINGS[code].status
    assert answer.json() == {"error_code": code.value, "error_msg": WORDINGS[code].message}


async def test_the_older_unauthorized_can_be_forced(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.set_fault(OPEN_API, FaultKind.ERROR_CODE, UNAUTHORIZED_NAME)

    answer = await open_api.call(HEARTBEAT, {"license": "PL1"})

    assert (answer.status_code, answer.json()) == (403, {"error_code": "92020001", "error_msg": "Unauthorized"})


async def test_a_legacy_internal_error_is_http_500(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.change_settings(legacy_http_status=True)
    emulator.set_fault(OPEN_API, FaultKind.ERROR_CODE, "92020001")

    assert (await open_api.call(HEARTBEAT, {"license": "PL1"})).status_code == 500


async def test_a_fault_meets_only_its_path(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.set_fault(OPEN_API, FaultKind.STATUS, 503, path="heartbeat")

    statuses = [(await open_api.call(path, {"license": "PL1"})).status_code for path in (ACTIVATE, HEARTBEAT, USAGE)]

    assert statuses == [200, 503, 400]


async def test_a_fault_ends_after_its_times_and_is_replaced_by_its_like(
    open_api: OpenApiClient, emulator: Emulator
) -> None:
    emulator.set_fault(OPEN_API, FaultKind.STATUS, 500)
    emulator.set_fault(OPEN_API, FaultKind.STATUS, 503, times=2)

    statuses = [(await open_api.call(ACTIVATE, {"license": "PL1"})).status_code for _ in range(3)]

    assert statuses == [503, 503, 200]
    assert emulator.faults.view() == []


async def test_late_callbacks_wait_first(emulator: Emulator, merchant: Merchant) -> None:
    emulator.change_settings(speed=1000)
    emulator.set_fault(CALLBACKS, FaultKind.LATE_SECONDS, 10, times=1)
    started = asyncio.get_running_loop().time()

    await emulator.send_callback({"activity": "late"})
    await emulator.send_callback({"activity": "on time"})
    await emulator.settle()

    assert merchant.activities == ["on time", "late"]
    assert asyncio.get_running_loop().time() - started >= 0.01


@pytest.mark.parametrize(("how", "nonces"), [("fresh", 2), ("identical", 1)])
async def test_doubled_callbacks_come_twice(emulator: Emulator, merchant: Merchant, how: str, nonces: int) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.DOUBLE, how)

    delivery = await emulator.send_callback({"activity": "x"})
    await emulator.settle()

    assert merchant.activities == ["x", "x"]
    assert len({callback.query["nonce"] for callback in merchant.received}) == nonces
    assert (delivery.tries, len(delivery.attempts), delivery.state) == (1, 2, DeliveryState.DELIVERED)


async def test_held_callbacks_come_in_reverse_order(emulator: Emulator, merchant: Merchant) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.REORDER, 3)

    deliveries = [await emulator.send_callback({"activity": name}) for name in "ab"]
    await emulator.settle()
    assert [delivery.state for delivery in deliveries] == [DeliveryState.HELD] * 2
    await emulator.send_callback({"activity": "c"})
    await emulator.settle()

    assert merchant.activities == ["c", "b", "a"]


async def test_held_callbacks_come_when_flushed_or_when_the_fault_goes(emulator: Emulator, merchant: Merchant) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.REORDER, 0)
    for name in "ab":
        await emulator.send_callback({"activity": name})
    emulator.courier.flush()
    await emulator.settle()

    for name in "cd":
        await emulator.send_callback({"activity": name})
    emulator.clear_faults()
    await emulator.settle()

    assert merchant.activities == ["b", "a", "d", "c"]


async def test_a_reorder_that_is_used_up_releases_what_it_held(emulator: Emulator, merchant: Merchant) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.REORDER, 0, times=2)

    for name in "abc":
        await emulator.send_callback({"activity": name})
    await emulator.settle()

    assert merchant.activities.index("b") < merchant.activities.index("a")
    assert set(merchant.activities) == {"a", "b", "c"}


async def test_a_held_callback_cannot_be_retried(emulator: Emulator) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.REORDER, 0)
    delivery = await emulator.send_callback({"activity": "x"})

    with pytest.raises(ControlError, match="held"):
        emulator.courier.retry(delivery.delivery_id)


async def test_a_lost_callback_answer_leads_to_another_try(emulator: Emulator, merchant: Merchant) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.LOSE_ANSWER, 2)

    delivery = await emulator.send_callback({"activity": "x"}, tries=5)
    await emulator.settle()

    assert [attempt.succeeded for attempt in delivery.attempts] == [False, False, True]
    assert delivery.attempts[0].http_status == 200


async def test_a_wrong_marketplace_clock_shows_in_the_timestamp(emulator: Emulator, merchant: Merchant) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.CLOCK_SKEW_SECONDS, 3600.5, times=1)

    await emulator.send_callback({"activity": "x"})
    await emulator.settle()

    assert int(merchant.received[0].query["timestamp"]) == int((START + timedelta(seconds=3600.5)).timestamp() * 1000)


async def test_a_wrong_signature_is_right_again_on_the_next_try(emulator: Emulator, merchant: Merchant) -> None:
    emulator.set_fault(CALLBACKS, FaultKind.WRONG_SIGNATURE, times=1)
    merchant.answers.append((200, b'{"resultCode":"000001"}'))

    await emulator.send_callback({"activity": "x"}, tries=2)
    await emulator.settle()

    assert merchant.received[0].query["signature"] == "0" * 64
    assert merchant.received[1].query["signature"] != "0" * 64


REFUSED = [
    (OPEN_API, FaultKind.DOUBLE, None, "all", None),
    (CALLBACKS, FaultKind.STATUS, 500, "all", None),
    (CALLBACKS, FaultKind.DOUBLE, None, "activate", None),
    (OPEN_API, FaultKind.STATUS, 499, "all", None),
    (OPEN_API, FaultKind.STATUS, True, "all", None),
    (OPEN_API, FaultKind.STATUS, "500", "all", None),
    (OPEN_API, FaultKind.DELAY_SECONDS, None, "all", None),
    (OPEN_API, FaultKind.DELAY_SECONDS, -1, "all", None),
    (OPEN_API, FaultKind.DELAY_SECONDS, float("nan"), "all", None),
    (OPEN_API, FaultKind.DELAY_SECONDS, 10**400, "all", None),
    (OPEN_API, FaultKind.LOSE_ANSWER, "later", "all", None),
    (OPEN_API, FaultKind.ERROR_CODE, "92020000", "all", None),
    (OPEN_API, FaultKind.GARBAGE, 5, "all", None),
    (OPEN_API, FaultKind.LOCK_KEY_PAIR, "x", "all", None),
    (OPEN_API, FaultKind.STATUS, 500, "nowhere", None),
    (OPEN_API, FaultKind.STATUS, 500, "all", 0),
]


@pytest.mark.parametrize(("side", "kind", "value", "path", "times"), REFUSED)
async def test_faults_that_make_no_sense_are_refused(
    emulator: Emulator, side: Side, kind: FaultKind, value: object, path: str, times: int | None
) -> None:
    with pytest.raises(ControlError):
        emulator.set_fault(side, kind, value, path=path, times=times)

    assert emulator.faults.view() == []
