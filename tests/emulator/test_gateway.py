"""The gateway: who may call, within which window, and when a key pair is locked (protocol §3.2, §4)."""

from __future__ import annotations

from datetime import timedelta

import httpx2
import pytest

from licsrv.emulator import Emulator
from tests.emulator.conftest import ACTIVATE, HEARTBEAT, START
from tests.emulator.open_api_client import BASE, OpenApiClient

PREFIX = "Incorrect IAM authentication information: "
ONE_SECOND = timedelta(seconds=1)


async def _fail(open_api: OpenApiClient, times: int) -> list[str]:
    answers = [await open_api.call(ACTIVATE, {"license": "PL1"}, sk="wrong") for _ in range(times)]
    return [answer.json()["error_msg"] for answer in answers]


async def test_a_right_signature_passes_the_gateway(open_api: OpenApiClient) -> None:
    answer = await open_api.call(ACTIVATE, {"license": "PL1"})

    assert (answer.status_code, answer.json()["error_code"]) == (200, "92020005")


async def test_a_wrong_signature_is_answered_as_documented(open_api: OpenApiClient) -> None:
    answer = await open_api.call(ACTIVATE, {"license": "PL1"}, sk="wrong")

    assert answer.status_code == 401
    assert answer.json()["error_code"] == "APIGW.0301"
    assert answer.json()["error_msg"].startswith(PREFIX + "verify aksk signature fail, ")
    assert len(answer.json()["request_id"]) == 32


async def test_an_unknown_key_is_named_so_and_never_locked(open_api: OpenApiClient) -> None:
    messages = [(await open_api.call(ACTIVATE, {}, ak="NOBODY")).json()["error_msg"] for _ in range(8)]

    assert set(messages) == {PREFIX + "Get secretKey failed,ak:******,err:ak not exist"}


WINDOW = [
    (timedelta(minutes=15), 200),
    (timedelta(minutes=-15), 200),
    (timedelta(minutes=15) + ONE_SECOND, 401),
    (timedelta(minutes=-15) - ONE_SECOND, 401),
]


@pytest.mark.parametrize(("age", "status"), WINDOW)
async def test_a_signature_is_accepted_for_fifteen_minutes_on_both_sides(
    open_api: OpenApiClient, age: timedelta, status: int
) -> None:
    answer = await open_api.call(ACTIVATE, {"license": "PL1"}, age=age)

    assert answer.status_code == status


SPOILED_HEADERS = [
    {"authorization": "nonsense"},
    {"authorization": "SDK-HMAC-SHA256 Access=DEMOAK, SignedHeaders=x-sdk-date, Signature=00"},
    {"authorization": "SDK-HMAC-SHA256 Access=DEMOAK, SignedHeaders=host, Signature=00"},
    {"authorization": "SDK-HMAC-SHA256 Access=DEMOAK, SignedHeaders=x-sdk-date;host, Signature=00"},
    {"authorization": "SDK-HMAC-SHA256 Access=DEMOAK, SignedHeaders=host;host;x-sdk-date, Signature=00"},
    {"authorization": "SDK-HMAC-SHA256 Access=DEMOAK, SignedHeaders=gone;host;x-sdk-date, Signature=00"},
    {"authorization": "SDK-HMAC-SHA256 Access=DEMOAK, SignedHeaders=host;x-sdk-date, Signature=\u00e9"},
    {"x_sdk_date": "2026-01-02T03:04:05Z"},
    {"x_sdk_date": "20261302T030405Z"},
    {"content_type": "text/plain"},
]


@pytest.mark.parametrize("headers", SPOILED_HEADERS)
async def test_headers_that_do_not_fit_the_signature_are_refused(
    open_api: OpenApiClient, headers: dict[str, str]
) -> None:
    encoded = {name: value.encode("latin-1") for name, value in headers.items()}

    answer = await open_api.call(ACTIVATE, {"license": "PL1"}, **encoded)  # type: ignore[arg-type]

    assert (answer.status_code, answer.json()["error_code"]) == (401, "APIGW.0301")


async def test_a_changed_body_is_refused(open_api: OpenApiClient, http: httpx2.AsyncClient) -> None:
    request = (await open_api.call(ACTIVATE, {"license": "PL1"})).request

    answer = await http.post(request.url, headers=dict(request.headers) | {"content-length": "2"}, content=b"{}")

    assert answer.status_code == 401


async def test_the_sixth_failure_in_a_row_locks_the_pair_for_five_minutes(
    open_api: OpenApiClient, emulator: Emulator
) -> None:
    messages = await _fail(open_api, 7)

    assert all("verify aksk signature fail" in message for message in messages[:6])
    assert messages[6] == PREFIX + "AK access failed to reach the limit,forbidden."
    emulator.clock.set_to(START + timedelta(minutes=5) - ONE_SECOND)
    assert await open_api.code(ACTIVATE, {"license": "PL1"}) == "APIGW.0301"
    emulator.clock.set_to(START + timedelta(minutes=5))
    assert await open_api.code(ACTIVATE, {"license": "PL1"}) == "92020005"


async def test_five_failures_do_not_lock_and_a_success_clears_them(open_api: OpenApiClient) -> None:
    await _fail(open_api, 5)
    assert await open_api.code(ACTIVATE, {"license": "PL1"}) == "92020005"

    messages = await _fail(open_api, 5)

    assert all("verify aksk signature fail" in message for message in messages)
    assert await open_api.code(HEARTBEAT, {"license": "PL1"}) == "92020005"


async def test_a_query_is_part_of_the_signature(open_api: OpenApiClient) -> None:
    assert await open_api.code(ACTIVATE + "?b=2&a=%201", {"license": "PL1"}) == "92020005"


async def test_an_unknown_path_is_answered_by_the_gateway(open_api: OpenApiClient, emulator: Emulator) -> None:
    answer = await open_api.call("/v2/license/heartbeat", {})

    assert (answer.status_code, answer.json()["error_code"]) == (404, "APIGW.0101")
    assert emulator.requests.all()[-1].path == BASE + "/v2/license/heartbeat"


async def test_the_date_header_shows_the_marketplaces_clock(open_api: OpenApiClient) -> None:
    answer = await open_api.call(ACTIVATE, {"license": "PL1"})

    assert answer.headers["date"] == "Fri, 02 Jan 2026 03:04:05 GMT"
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
