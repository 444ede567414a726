"""Activate, query and usage: every documented code, and the rules for every field (protocol §2, §3)."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.emulator import Emulator, EmulatorSettings, FrozenReading
from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.json_text import MAX_BYTES
from licsrv.emulator.product_line import Call, Operation
from tests.emulator.conftest import ACTIVATE, ACTIVATE_BATCH, HEARTBEAT, START, USAGE
from tests.emulator.open_api_client import OpenApiClient

ONE_SECOND = timedelta(seconds=1)


async def test_activation_answers_json_inside_json(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1", product_id="12345", amount=2, days=30, order_id="CS123")

    answer = await open_api.call(ACTIVATE, {"license": "PL1"})

    assert answer.status_code == 200
    assert answer.json()["error_code"] == "92020000"
    assert answer.json()["error_msg"] == "success"
    assert json.loads(answer.json()["data"]["license_code_info"]) == {
        "status": "ALIVE",
        "expire_time": "20260201030405",
        "product_id": "12345",
        "amount": 2,
        "order_id": "CS123",
    }


async def test_days_count_from_the_time_of_effect(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1", days=1)

    await open_api.call(ACTIVATE, {"license": "PL1", "real_effect_time": "20260102153555"})

    answer = await open_api.call(HEARTBEAT, {"license": "PL1"})
    assert answer.json()["data"]["activate_time"] == "20260102030405"
    assert answer.json()["data"]["expire_time"] == "20260103153555"


async def test_a_query_answers_the_whole_license_info(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1", product_id="P", amount=3, days=1, order_id="CS1")
    await open_api.call(ACTIVATE, {"license": "PL1"})

    answer = await open_api.call(
        HEARTBEAT, {"license": "PL1", "heartbeatInfo": {"thirdPartyAccount": "me", "ip": "::1"}}
    )

    assert answer.json() == {
        "error_code": "92020000",
        "error_msg": "success",
        "data": {
            "license_code": "PL1",
            "status": "ALIVE",
            "activate_time": "20260102030405",
            "expire_time": "20260103030405",
            "product_id": "P",
            "order_id": "CS1",
            "amount": 3,
        },
    }
    assert emulator.codes.get("PL1").queries == 1


@pytest.mark.parametrize(("age", "status"), [(timedelta(days=1) - ONE_SECOND, "ALIVE"), (timedelta(days=1), "EXPIRED")])
async def test_a_code_expires_at_its_end(
    open_api: OpenApiClient, emulator: Emulator, age: timedelta, status: str
) -> None:
    emulator.codes.buy(code="PL1", days=1)
    await open_api.call(ACTIVATE, {"license": "PL1"})

    emulator.clock.move(age)

    assert (await open_api.call(HEARTBEAT, {"license": "PL1"})).json()["data"]["status"] == status


@pytest.mark.parametrize("reading", FrozenReading)
async def test_what_a_frozen_code_reads_as_can_be_chosen(
    open_api: OpenApiClient, emulator: Emulator, reading: FrozenReading
) -> None:
    emulator.codes.buy(code="PL1")
    await open_api.call(ACTIVATE, {"license": "PL1"})
    await emulator.codes.freeze("PL1")
    emulator.change_settings(frozen_reads_as=reading)

    answer = await open_api.call(HEARTBEAT, {"license": "PL1"})

    assert answer.json()["data"]["status"] == reading.value


async def test_a_released_code_stays_readable(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")
    await emulator.codes.release("PL1")

    answer = await open_api.call(HEARTBEAT, {"license": "PL1"})

    assert (answer.json()["data"]["status"], answer.json()["data"]["activate_time"]) == ("RELEASED", "")


BUSINESS_CODES = [
    ("unknown", ACTIVATE, {"license": "PL-nobody"}, "92020005", 200, 200),
    ("unknown", HEARTBEAT, {"license": "PL-nobody"}, "92020005", 200, 200),
    ("fresh", HEARTBEAT, {"license": "PL1"}, "92020011", 200, 400),
    ("not received", ACTIVATE, {"license": "PL1"}, "92020004", 200, 200),
    ("active", ACTIVATE, {"license": "PL1"}, "92020003", 200, 400),
    ("frozen", ACTIVATE, {"license": "PL1"}, "92020003", 200, 400),
    ("released", ACTIVATE, {"license": "PL1"}, "92020003", 200, 400),
    ("expired", ACTIVATE, {"license": "PL1"}, "92020003", 200, 400),
    ("fresh", ACTIVATE, {"license": "PL1", "real_effect_time": "20260102030404"}, "92020002", 200, 400),
    ("fresh", ACTIVATE_BATCH, {"license_list": ["PL1", "PL-nobody"]}, "92020020", 200, 400),
    ("fresh", ACTIVATE_BATCH, {"license_list": ["PL1", "PL1"]}, "92020020", 200, 400),
    ("active", ACTIVATE_BATCH, {"license_list": ["PL1"]}, "92020020", 200, 400),
    ("fresh", ACTIVATE, {"license": 1}, "95000001", 400, 400),
]


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize(("state", "path", "body", "code", "status", "legacy_status"), BUSINESS_CODES)
async def test_every_refusal_has_its_code_and_http_status(
    open_api: OpenApiClient,
    emulator: Emulator,
    state: str,
    path: str,
    body: object,
    code: str,
    status: int,
    legacy_status: int,
    legacy: bool,
) -> None:
    await _bring_into(emulator, state)
    emulator.change_settings(legacy_http_status=legacy)

    answer = await open_api.call(path, body)

    assert answer.json()["error_code"] == code
    assert answer.status_code == (legacy_status if legacy else status)


async def _bring_into(emulator: Emulator, state: str) -> None:
    emulator.codes.buy(
        code="PL1",
        received=state != "not received",
        expires_at=START + timedelta(days=1) if state == "expired" else None,
    )
    if state == "active":
        emulator.codes.activate("PL1", None, START)
    if state == "frozen":
        await emulator.codes.freeze("PL1")
    if state == "released":
        await emulator.codes.release("PL1")
    if state == "expired":
        emulator.clock.move(timedelta(days=1))


async def test_the_second_activation_is_an_illegal_state(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")

    assert [await open_api.code(ACTIVATE, {"license": "PL1"}) for _ in range(2)] == ["92020000", "92020003"]


async def test_a_batch_is_activated_whole_or_not_at_all(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")
    emulator.codes.buy(code="PL2", received=False)
    assert await open_api.code(ACTIVATE_BATCH, {"license_list": ["PL1", "PL2"]}) == "92020020"
    assert emulator.codes.get("PL1").activated_at is None

    emulator.codes.receive("PL2")
    answer = await open_api.call(ACTIVATE_BATCH, {"license_list": ["PL1", "PL2"]})

    assert answer.json() == {"error_code": "92020000", "error_msg": "success"}
    assert emulator.codes.get("PL2").activated_at == START


async def test_an_effect_time_equal_to_the_orders_is_accepted(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")

    assert await open_api.code(ACTIVATE, {"license": "PL1", "real_effect_time": "20260102030405"}) == "92020000"


def _usage(*items: object, code: str = "PL1") -> dict[str, Any]:
    return {"usage_info": [{"license": code, "software_usage_Info": list(items)}]}


INVALID_FIELDS = [
    (ACTIVATE, {}),
    (ACTIVATE, {"license": None}),
    (ACTIVATE, {"license": ""}),
    (ACTIVATE, {"license": "x" * 65}),
    (ACTIVATE, {"license": "a\nb"}),
    (ACTIVATE, {"license": ["PL1"]}),
    (ACTIVATE, {"license": "PL1", "real_effect_time": "2026010215355"}),
    (ACTIVATE, {"license": "PL1", "real_effect_time": "20261302153555"}),
    (ACTIVATE, {"license": "PL1", "real_effect_time": 20260102153555}),
    (ACTIVATE, {"license": "PL1", "real_effect_time": "٢٠٢٦٠١٠٢١٥٣٥٥٥"}),
    (ACTIVATE_BATCH, {}),
    (ACTIVATE_BATCH, {"license_list": []}),
    (ACTIVATE_BATCH, {"license_list": "PL1"}),
    (ACTIVATE_BATCH, {"license_list": ["PL1", 2]}),
    (ACTIVATE_BATCH, {"license_list": [f"PL{n}" for n in range(101)]}),
    (HEARTBEAT, {"license": "PL1", "heartbeatInfo": "x"}),
    (HEARTBEAT, {"license": "PL1", "heartbeatInfo": {}}),
    (HEARTBEAT, {"license": "PL1", "heartbeatInfo": {"thirdPartyAccount": "x" * 257}}),
    (HEARTBEAT, {"license": "PL1", "heartbeatInfo": {"thirdPartyAccount": "x", "ip": "x" * 33}}),
    (USAGE, {}),
    (USAGE, {"usage_info": []}),
    (USAGE, {"usage_info": ["PL1"]}),
    (USAGE, {"usage_info": [{"license": "PL1", "software_usage_info": [{"id": "a"}]}]}),
    (USAGE, _usage()),
    (USAGE, _usage({})),
    (USAGE, _usage({"id": "a", "active_num": 1})),
    (USAGE, _usage({"id": ""})),
    (USAGE, _usage({"id": "x" * 257})),
    (USAGE, _usage({"active_num": "1"})),
    (USAGE, _usage({"active_num": True})),
    (USAGE, _usage({"active_num": -1})),
    (USAGE, _usage({"active_num": 1_000_000_000})),
    (USAGE, _usage(*({"id": str(n)} for n in range(101)))),
]


@pytest.mark.parametrize(("path", "body"), INVALID_FIELDS)
async def test_a_broken_field_rule_is_95000001(open_api: OpenApiClient, path: str, body: object) -> None:
    answer = await open_api.call(path, body)

    assert (answer.status_code, answer.json()) == (
        400,
        {"error_code": "95000001", "error_msg": "req param is invalid"},
    )


async def test_the_longest_allowed_values_are_accepted(open_api: OpenApiClient, emulator: Emulator) -> None:
    codes = [f"PL{n:062}" for n in range(100)]
    for code in codes:
        emulator.codes.buy(code=code)

    assert await open_api.code(ACTIVATE_BATCH, {"license_list": codes}) == "92020000"
    items = [{"license": code, "software_usage_Info": [{"id": "x" * 256}]} for code in codes]
    answer = await open_api.call(USAGE, {"usage_info": items})
    assert answer.json()["data"] == {"check_fail_list": []}
    assert await open_api.code(USAGE, _usage(*({"id": str(n)} for n in range(100)), code=codes[0])) == "92020000"


async def test_heartbeat_info_can_be_required_as_in_the_older_text(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.change_settings(heartbeat_info_required=True)

    assert await open_api.code(HEARTBEAT, {"license": "PL1"}) == "95000001"


NOT_READABLE = [
    b"",
    b"[]",
    b"{",
    b"\xff",
    b'"x"',
    b'{"license":NaN}',
    b'{"license":"\\ud800"}',
    b'{"n":' + b"9" * 5000 + b"}",
    b'{"n":1e999}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", NOT_READABLE, ids=range(len(NOT_READABLE)))
async def test_a_body_that_is_no_json_object_is_95000004(open_api: OpenApiClient, content: bytes) -> None:
    answer = await open_api.call(ACTIVATE, content=content)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "95000004")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "BREW"])
async def test_another_method_is_95000002(open_api: OpenApiClient, method: str) -> None:
    answer = await open_api.call(ACTIVATE, {}, method=method)

    assert (answer.status_code, answer.json()["error_code"]) == (405, "95000002")


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/jsonp", "application/x-www-form-urlencoded"])
async def test_another_content_type_is_95000003(open_api: OpenApiClient, content_type: str) -> None:
    answer = await open_api.call(ACTIVATE, {}, content_type=content_type)

    assert (answer.status_code, answer.json()["error_code"]) == (415, "95000003")


async def test_a_content_type_may_name_its_charset(open_api: OpenApiClient) -> None:
    code = await open_api.code(ACTIVATE, {"license": "PL1"}, content_type="Application/JSON; charset=utf-8")

    assert code == "92020005"


async def test_a_body_beyond_the_limit_is_not_read(open_api: OpenApiClient) -> None:
    answer = await open_api.call(ACTIVATE, content=b"x" * (MAX_BYTES + 1))

    assert answer.status_code == 413


async def test_usage_is_kept_by_the_marketplaces_day(open_api: OpenApiClient, emulator: Emulator) -> None:
    emulator.codes.buy(code="PL1")
    emulator.codes.activate("PL1", None, START)
    emulator.clock.set_to(START.replace(hour=15, minute=59, second=59))
    await open_api.call(USAGE, _usage({"id": "b"}, {"id": "a"}, {"id": "b"}))

    emulator.clock.move(ONE_SECOND)
    await open_api.call(USAGE, _usage({"active_num": 100}))

    assert emulator.codes.get("PL1").view(START)["usage"] == {
        "2026-01-02": {"ids": ["a", "b"], "active_num": None},
        "2026-01-03": {"ids": [], "active_num": 100},
    }


async def test_refused_usage_is_listed_and_the_rest_is_kept(open_api: OpenApiClient, emulator: Emulator) -> None:
    for code in ["PL1", "PL2", "PL3"]:
        emulator.codes.buy(code=code)
    emulator.codes.activate("PL1", None, START)
    await emulator.codes.release("PL3")

    body = {
        "usage_info": [{"license": code, "software_usage_Info": [{"id": "a"}]} for code in ["PL1", "PL2", "PL3", "PL4"]]
    }
    answer = await open_api.call(USAGE, body)

    assert answer.json()["error_code"] == "92020000"
    refused = {item["license"]: item["error_code"] for item in answer.json()["data"]["check_fail_list"]}
    assert refused == {"PL2": "92020011", "PL3": "92020003", "PL4": "92020005"}
    assert [use.ids for use in emulator.codes.get("PL1").usage.values()] == [{"a"}]


async def test_received_requests_are_written_down(open_api: OpenApiClient, emulator: Emulator) -> None:
    await open_api.call(ACTIVATE, {"license": "PL1"})
    await open_api.call(ACTIVATE, {"license": "PL1"}, ak="NOBODY")

    first, second = emulator.requests.all()

    assert (first.ak, first.http_status, first.body) == ("DEMOAK", 200, '{"license": "PL1"}')
    assert first.outcome.startswith("92020005")
    assert second.ak == "NOBODY"
    assert "ak not exist" in second.outcome


NAMES = [
    "license",
    "license_list",
    "real_effect_time",
    "heartbeatInfo",
    "thirdPartyAccount",
    "usage_info",
    "software_usage_Info",
    "id",
    "active_num",
]
OPERATIONS = [
    operation
    for line in Emulator(
        EmulatorSettings(), transport=httpx2.MockTransport(lambda _: httpx2.Response(200))
    ).product_lines
    for operation in line.operations()
    if "license/" in operation.path
]
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=4),
    max_leaves=12,
)


@given(body=JSON_VALUES.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_no_body_makes_an_operation_fail_otherwise_than_documented(body: bytes) -> None:
    call = Call({}, "", "application/json", body, START)

    assert {_outcome(operation, call) for operation in OPERATIONS} <= {
        "done",
        "95000001",
        "95000004",
        "92020005",
        "92020020",
    }


def _outcome(operation: Operation, call: Call) -> str:
    try:
        operation.perform(call)
    except OpenApiRefusedError as refusal:
        return refusal.code.value
    return "done"
