"""The product line of authorization codes: every field rule, the answers, and the table that finds the product line."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.errors import CallbackError
from licsrv.marketplace import commands
from licsrv.marketplace.callbacks.envelope import product_lines
from licsrv.marketplace.callbacks.product_lines import authorization_code
from licsrv.marketplace.commands import Outcome, Probe, ResultCode

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "authorization_code.json").read_text("utf-8"))


def named(vector: dict[str, Any]) -> str:
    return str(vector["name"])


def expected(described: dict[str, Any]) -> object:
    members = {name: value for name, value in described.items() if name != "command"}
    if "expires_at" in members:
        members["expires_at"] = datetime.fromisoformat(members["expires_at"])
    return getattr(commands, described["command"])(**members)


def zone_of(vector: dict[str, Any]) -> ZoneInfo:
    return ZoneInfo(vector.get("timezone", "UTC"))


@pytest.mark.parametrize("vector", VECTORS["understood"], ids=named)
def test_a_message_becomes_a_command(vector: dict[str, Any]) -> None:
    command = product_lines.parse(vector["body"], callback_timezone=zone_of(vector))

    assert command == expected(vector["command"])


@pytest.mark.parametrize("vector", VECTORS["refused"], ids=named)
def test_a_message_that_breaks_a_rule_is_refused_by_the_name_of_the_member(vector: dict[str, Any]) -> None:
    with pytest.raises(CallbackError) as refused:
        product_lines.parse(vector["body"], callback_timezone=zone_of(vector))

    assert refused.value.result_code == "000002"
    assert refused.value.message.startswith(f"{vector['names']} ")


def test_expiry_moments_are_in_utc_whatever_the_time_zone() -> None:
    body = VECTORS["understood"][0]["body"]

    command = product_lines.parse(body, callback_timezone=ZoneInfo("Asia/Shanghai"))

    assert asdict(command)["expires_at"].tzinfo is UTC


def test_another_product_lines_activity_is_refused_by_this_one() -> None:
    with pytest.raises(CallbackError, match="activity"):
        authorization_code.parse({"activity": "newInstance"}, callback_timezone=UTC)


def test_the_activities_are_those_of_the_guide() -> None:
    assert {"refreshLicenseCode", "updateLicenseCodeStatus", "releaseLicenseCode"} == authorization_code.ACTIVITIES


def test_no_activity_belongs_to_two_product_lines() -> None:
    activities = [activity for line in product_lines.PRODUCT_LINES for activity in line.ACTIVITIES]

    assert len(activities) == len(set(activities))


@pytest.mark.parametrize(
    ("result", "answer"),
    [
        (Outcome(), {"resultCode": "000000", "resultMsg": "success."}),
        (Outcome("m" * 255), {"resultCode": "000000", "resultMsg": "m" * 255}),
        (Outcome("m" * 256), {"resultCode": "000000", "resultMsg": "m" * 255}),
        (CallbackError("000003", "no such code"), {"resultCode": "000003", "resultMsg": "no such code"}),
        (CallbackError(ResultCode.INTERNAL_ERROR, "x" * 999), {"resultCode": "000005", "resultMsg": "x" * 255}),
    ],
)
def test_a_result_becomes_an_answer(result: Outcome | CallbackError, answer: dict[str, object]) -> None:
    assert authorization_code.answer(result) == answer
    assert product_lines.answer("refreshLicenseCode", result) == answer


@pytest.mark.parametrize("activity", [None, "nobodys", 5, [], {"a": 1}])
def test_an_answer_needs_no_known_activity(activity: object) -> None:
    answer = product_lines.answer(activity, CallbackError("000001", "signature is not valid."))

    assert answer == {"resultCode": "000001", "resultMsg": "signature is not valid."}


NAMES = ["activity", "license", "scene", "orderId", "orderLineId", "productId", "expireTime", "status", "testFlag", "x"]
WORDS = st.sampled_from(
    ["1", "0", "", "FREEZE", "UNFREEZE", "20230523201932", "00010101000000", "99991231235959", "\ud800", "\x00"]
)
VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | WORDS
ANYTHING = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(), VALUES, max_size=2)
ACTIVITIES = st.fixed_dictionaries({"activity": st.sampled_from(sorted(authorization_code.ACTIVITIES))})
ZONES = st.sampled_from(["UTC", "Asia/Shanghai", "America/New_York", "Pacific/Kiritimati"]).map(ZoneInfo)


@given(st.dictionaries(st.sampled_from(NAMES), ANYTHING), ACTIVITIES | st.just({}), ZONES)
def test_nothing_but_a_command_or_an_invalid_parameter_comes_out(
    members: dict[str, object], activity: dict[str, object], zone: ZoneInfo
) -> None:
    body = members | activity

    try:
        command = product_lines.parse(body, callback_timezone=zone)
    except CallbackError as error:
        assert error.result_code == "000002"  # noqa: PT017 - most messages are refused, some are not
    else:
        assert isinstance(command, Probe) == (str(body.get("testFlag")).strip().lower() in {"1", "1.0", "true"})
