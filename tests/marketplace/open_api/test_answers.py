"""What the open API answers becomes values: what is documented, and everything odd that may come instead."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.marketplace.open_api.code_answers import (
    Activation,
    ReportedStatus,
    Usage,
    activation,
    code_state,
    usage_payload,
    usage_result,
)

ALIVE = {"status": "ALIVE", "expire_time": "20230726121646", "product_id": "12345", "amount": 2, "order_id": "CS123"}
EXPIRES_AT = datetime(2023, 7, 26, 12, 16, 46, tzinfo=UTC)

NOTHING = Activation(ReportedStatus.UNKNOWN, None, None, None, None, "")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, NOTHING),
        ({}, NOTHING),
        ("text", NOTHING),
        ({"license_code_info": ""}, NOTHING),
        ({"license_code_info": "not json"}, Activation(ReportedStatus.UNKNOWN, None, None, None, None, "not json")),
        ({"license_code_info": "[]"}, Activation(ReportedStatus.UNKNOWN, None, None, None, None, "[]")),
        (
            {"license_code_info": {"status": "ALIVE", "product_id": 5}},
            Activation(ReportedStatus.ALIVE, None, "5", None, None, '{"status": "ALIVE", "product_id": 5}'),
        ),
    ],
)
def test_an_activation_without_readable_information_is_still_one(data: object, expected: Activation) -> None:
    assert activation(data) == expected


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("ALIVE", "ALIVE"),
        ("EXPIRED", "EXPIRED"),
        ("RELEASED", "RELEASED"),
        (" alive ", "ALIVE"),
        ("FROZEN", "UNKNOWN"),
        ("UNKNOWN", "UNKNOWN"),
        ("", "UNKNOWN"),
        (None, "UNKNOWN"),
        (7, "UNKNOWN"),
        (["ALIVE"], "UNKNOWN"),
    ],
)
def test_a_new_word_for_the_status_is_kept_and_unknown(word: object, status: str) -> None:
    state = code_state({"status": word})

    assert state.status == status
    assert state.raw == {"status": word}


@pytest.mark.parametrize(
    ("time", "moment"),
    [
        ("20230726121646", EXPIRES_AT),
        ("20230726121646123", EXPIRES_AT),
        (20230726121646, EXPIRES_AT),
        (20230726121646.0, EXPIRES_AT),
        (" 20230726121646", EXPIRES_AT),
        ("20230726121646\r\n", EXPIRES_AT),
        ("   ", None),
        ("2023-07-26 12:16:46", None),
        ("1690373806000", None),
        (1690373806.5, None),
        ("never", None),
        ("2023072612164", None),
        ("20230229121646", None),
        ("2023-07-26T12:16:46Z", None),
        (1690373806000, None),
        ("", None),
        (None, None),
        (True, None),
        ({}, None),
    ],
)
def test_an_odd_time_is_none_and_kept_raw(time: object, moment: datetime | None) -> None:
    state = code_state({"expire_time": time, "activate_time": time})

    assert (state.expires_at, state.activated_at) == (moment, moment)
    is_blank = time is None or (isinstance(time, str) and not time.strip())
    assert state.unread == (("expire_time",) if moment is None and not is_blank else ())
    assert activation({"license_code_info": {"expire_time": time}}).unread == state.unread
    assert state.raw["expire_time"] == time


@pytest.mark.parametrize(
    ("amount", "number"),
    [
        (2, 2),
        ("2", 2),
        (" 2 ", 2),
        (2.0, 2),
        (999_999_999, 999_999_999),
        (999_999_999.0, 999_999_999),
        (0, None),
        (-1, None),
        ("-1", None),
        (-1.0, None),
        (2.5, None),
        (10**9, None),
        (10**15, None),
        ("1" + "0" * 15, None),
        (1e300, None),
        ("2.0", None),
        ("２", None),
        (True, None),
        ("", None),
        ([], None),
    ],
)
def test_the_amount_is_a_whole_number_or_none(amount: object, number: int | None) -> None:
    state = code_state({"amount": amount})

    assert state.amount == number
    assert state.unread == (("amount",) if number is None and amount not in ("", None) else ())


def test_a_query_looks_into_nested_information_too() -> None:
    state = code_state({"status": "EXPIRED", "license_code_info": json.dumps(ALIVE)})

    assert (state.status, state.expires_at) == (ReportedStatus.EXPIRED, EXPIRES_AT)


@pytest.mark.parametrize(
    ("data", "failed", "complete"),
    [
        (None, (), True),
        ({}, (), True),
        ({"check_fail_list": []}, (), True),
        ({"check_fail_list": None}, (), True),
        ({"other": ["PL1"]}, (), True),
        ({"check_fail_list": ["PL2", "PL1"]}, ("PL1", "PL2"), True),
        ({"check_fail_usage_info": [{"license": "PL2", "reason": "no"}]}, ("PL2",), True),
        ({"check_fail_x": {"PL1": "no"}}, ("PL1",), True),
        ({"check_fail_x": '["PL1","PL2"]'}, ("PL1", "PL2"), True),
        ({"check_fail_x": "PL2, PL9"}, ("PL2",), True),
        ({"check_fail_x": ["PL10"]}, (), False),
        ({"check_fail_count": 3}, (), False),
    ],
)
def test_a_usage_report_names_the_codes_that_failed(data: object, failed: tuple[str, ...], complete: bool) -> None:
    result = usage_result(data, ["PL1", "PL2"])

    assert (result.failed_codes, result.complete) == (failed, complete)


@pytest.mark.parametrize(
    ("usages", "accepted"),
    [
        ([Usage(f"PL{i}", ("a",)) for i in range(100)], True),
        ([Usage(f"PL{i}", ("a",)) for i in range(101)], False),
        ([Usage("PL1", tuple(map(str, range(100))))], True),
        ([Usage("PL1", tuple(map(str, range(101))))], False),
        ([Usage("PL1", ())], False),
        ([Usage("PL1", ("a" * 256,))], True),
        ([Usage("PL1", ("a" * 257,))], False),
        ([Usage("PL1", ("",))], False),
    ],
)
def test_a_usage_report_keeps_the_documented_limits(usages: list[Usage], accepted: bool) -> None:
    if accepted:
        assert usage_payload(usages)
    else:
        with pytest.raises(ValueError, match=r"usage report|client id"):
            usage_payload(usages)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just("20230726121646"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.sampled_from([*ALIVE, "check_fail_x"]), inner),
    max_leaves=8,
)
DATA = JSON | st.fixed_dictionaries({"license_code_info": JSON | JSON.map(json.dumps), "check_fail_x": JSON})


@given(DATA)
def test_no_success_is_too_odd_to_be_read(data: object) -> None:
    assert activation(data).status in ReportedStatus
    assert code_state(data).status in ReportedStatus
    assert set(usage_result(data, ["PL1"]).failed_codes) <= {"PL1"}


@pytest.mark.parametrize("product", ["P" * 129, "P\x00", "P\n1"])
def test_an_id_that_no_table_has_room_for_is_not_given(product: str) -> None:
    state = code_state({"status": "ALIVE", "product_id": product, "order_id": "o" * 65})

    assert (state.product_id, state.order_id) == (None, None)
