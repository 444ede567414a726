"""The policy of a product: what it states over what the settings say, and that decisions follow it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as some

from licsrv.errors import InvalidPolicyError, PolicyContradictionError, ServiceUnavailableError
from licsrv.licensing import policies, store
from licsrv.licensing.moves import MoveRules
from licsrv.licensing.places import PlaceRules
from licsrv.licensing.policies import VALUES, Policies, Policy, Times, Value
from licsrv.platform.config import Settings
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests import products
from tests.conftest import DEVICE, NOW
from tests.licensing.test_activation import add_license, ask
from tests.tables import each

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BASE = Policy(PlaceRules(default=3), moves=MoveRules(per_place=2), time=Times(12 * HOUR, 100 * HOUR))
STATED = {"places.limit": 2, "moves.days": 7.5, "time.grace_hours": 48, "recognition.weak_binding": True}


# --- Pure: what is stated, over what the settings say


def test_what_a_product_does_not_state_is_as_the_settings_say() -> None:
    policy = policies.over(BASE, STATED)

    assert policy.places == PlaceRules(limit=2, default=3)
    assert (policy.moves.per_place, policy.moves.span) == (2, 7.5 * DAY)
    assert policy.time == Times(12 * HOUR, 48 * HOUR)
    assert policy.recognition.weak_binding is True
    assert policies.over(BASE, {}) == BASE


def test_each_value_comes_back_as_it_was_stated() -> None:
    for row in each(VALUES.values()):
        with row as value:
            number: Any = value.choices[-1] if value.choices else int(value.bounds[1]) if value.bounds else True
            assert value.of(policies.over(BASE, {value.name: number})) == number


REFUSED = {
    "places.limit": [0, 1.5, True, "3", 10**7, float("nan"), [], 10**400],
    "recognition.learned_days": [0, 1.5],
    "recognition.weak_binding": [1, "yes", 0.0],
    "time.check_in_hours": [0, 0.2, 745, float("inf"), "soon"],
    "no.such.value": [1, True],
}


def test_every_problem_is_named_at_once() -> None:
    for row in each([(name, value) for name, values in REFUSED.items() for value in values]):
        with row as (name, value), pytest.raises(InvalidPolicyError) as refused:
            policies.changed({}, {name: value, "moves.per_place": -1}, BASE)
        fields = [one["field"] for one in refused.value.extra["errors"]]  # type: ignore[attr-defined]
        assert fields == [name, "moves.per_place"]


CONTRADICTING: list[tuple[dict[str, Any], dict[str, Any], bool]] = [
    ({}, {"time.check_in_hours": 101}, True),
    ({}, {"time.check_in_hours": 100}, False),
    ({"time.check_in_hours": 24}, {"time.grace_hours": 23}, True),
    ({}, {"moves.per_place": 3, "moves.days": 2, "moves.cool_down_hours": 24}, True),
    ({}, {"moves.per_place": 3, "moves.days": 2.5, "moves.cool_down_hours": 24}, False),
    ({}, {"moves.per_place": 1, "moves.days": 2, "moves.cool_down_hours": 240}, False),
    ({"time.check_in_hours": 101}, {"time.check_in_hours": None}, False),
]


def test_values_that_cannot_hold_together_are_refused() -> None:
    for row in each(CONTRADICTING):
        with row as (stated, given, contradicts):
            if not contradicts:
                policies.changed(stated, given, BASE)
                continue
            with pytest.raises(PolicyContradictionError) as refused:
                policies.changed(stated, given, BASE)
            assert refused.value.code == "POLICY_CONTRADICTION"


def test_a_contradiction_is_named_next_to_what_is_wrong() -> None:
    with pytest.raises(InvalidPolicyError) as refused:
        policies.changed({}, {"time.check_in_hours": 101, "moves.days": 0}, BASE)

    fields = [one["field"] for one in refused.value.extra["errors"]]  # type: ignore[attr-defined]
    assert fields == ["moves.days", "time.check_in_hours, time.grace_hours"]


def test_settings_that_contradict_each_other_keep_no_product_from_changing() -> None:
    odd = Policy(time=Times(200 * HOUR, 100 * HOUR))

    assert policies.changed({}, {"places.limit": 2}, odd) == {"places.limit": 2}


ANY_VALUE = some.sampled_from(list(VALUES.values())).flatmap(
    lambda value: some.tuples(
        some.just(value.name),
        some.sampled_from(value.choices)
        if value.choices
        else some.booleans()
        if value.bounds is None
        else some.integers(1, int(value.bounds[1])),
    )
)


@given(some.lists(ANY_VALUE).map(dict))
def test_what_was_stored_is_read_again(stated: dict[str, Any]) -> None:
    text = policies.text_of(stated)

    assert policies.read(text) == stated
    assert Policies(BASE).of(text) == policies.over(BASE, stated)


DAMAGED = [
    "", "{", "[]", "null", '"x"', '{"places.limit": 0}', '{"places.limit": "3"}', '{"time.grace_hours": NaN}',
    '{"moves.per_place": 1e999}', '{"places.limit":' + "1" * 5000 + "}",
]  # fmt: skip


def test_a_damaged_policy_is_neither_the_generous_one_nor_a_strict_one() -> None:
    for row in each(DAMAGED):
        with row as text, pytest.raises(ServiceUnavailableError):
            policies.read(text)


def test_what_a_later_version_stored_is_left_out() -> None:
    assert Policies(BASE).of('{"clones.mode":"warn","places.limit":5}').places.limit == 5


TYPED = [
    ("places.limit", "3", 3), ("time.grace_hours", "1.5", 1.5), ("places.limit", "default", None),
    ("recognition.weak_binding", "Yes", True), ("recognition.weak_binding", "off", False),
    ("recognition.weak_binding", "1", "1"), ("places.limit", "1_000", "1_000"), ("places.limit", "三", "三"),
    ("places.limit", "-1", "-1"), ("no.such", "7", 7),
]  # fmt: skip


def test_a_value_may_be_one_of_a_few_words() -> None:
    value = Value("places.order", "order", choices=("off", "first", "last"))

    assert value.problem("first") is None
    for wrong in ("yes", "", True, 1, [], "FIRST"):
        assert value.problem(wrong) == "One of off, first, last."


def test_typed_words_are_read() -> None:
    for row in each(TYPED):
        with row as (name, text, expected):
            assert policies.read_word(name, text) == expected


# --- Decisions follow it


async def test_a_change_reaches_a_device_at_its_next_check_in(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "CAD")
    add_license(runtime, "C-1", device_limit=1, product_id="CAD")
    string = (await client.post("/v1/licenses/string", json=ask("C-1", DEVICE))).json()["license_string"]

    assert await lease(client, string) == (NOW + 24 * HOUR, NOW + 168 * HOUR)
    with transaction(runtime.database) as session:
        products.change(session, "CAD", {"time.check_in_hours": 2, "time.grace_hours": 30})

    assert await lease(client, string) == (NOW + 2 * HOUR, NOW + 30 * HOUR)
    again = (await client.post("/v1/licenses/string", json=ask("C-1", DEVICE))).json()
    assert again["refresh_after"] == f"{NOW + 30 * HOUR:%Y-%m-%dT%H:%M:%SZ}"


async def lease(client: httpx2.AsyncClient, string: str) -> tuple[Any, Any]:
    from datetime import datetime

    headers = {"Authorization": f"Bearer {string}"}
    answer = await client.post("/v1/heartbeats", json={"nonce": "n", "device_info": DEVICE}, headers=headers)
    assert answer.status_code == 200, answer.text
    return tuple(datetime.fromisoformat(answer.json()[name]) for name in ("next_heartbeat_at", "lease_until"))


async def test_a_damaged_policy_keeps_no_other_product_waiting(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "CAD", {"time.check_in_hours": 2})
        products.describe(session, "OTHER")
    strings = {}
    for code, product_id in (("C-1", "CAD"), ("C-2", "OTHER")):
        add_license(runtime, code, device_limit=1, product_id=product_id)
        strings[code] = (await client.post("/v1/licenses/string", json=ask(code, DEVICE))).json()["license_string"]
    with transaction(runtime.database) as session:
        damaged = store.current_policy(session, "CAD")
        assert damaged is not None
        damaged.stated = "{"

    headers = {"Authorization": f"Bearer {strings['C-1']}"}
    refused = await client.post("/v1/heartbeats", json={"nonce": "n", "device_info": DEVICE}, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert (await client.post("/v1/licenses/string", json=ask("C-1", DEVICE))).status_code == 503
    assert await lease(client, strings["C-2"]) == (NOW + 24 * HOUR, NOW + 168 * HOUR)


async def test_moves_follow_the_policy_of_the_product(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "FIXED", {"moves.per_place": 0})
    add_license(runtime, "C-1", device_limit=1, product_id="FIXED")
    string = (await client.post("/v1/licenses/string", json=ask("C-1", DEVICE))).json()["license_string"]

    headers = {"Authorization": f"Bearer {string}"}
    refused = await client.post("/v1/devices/release", json={"device_info": DEVICE}, headers=headers)

    assert (refused.status_code, refused.json()["code"]) == (409, "MOVE_LIMIT_REACHED")


# --- The settings go on working as what holds where a product says nothing


def test_every_setting_of_a_value_is_there(settings: Settings) -> None:
    from licsrv.licensing.policy_defaults import policies_of

    base = policies_of(settings).base
    for value in VALUES.values():
        if value.setting:
            stated = getattr(settings, value.setting.lower())
            assert (value.of(base) or base.places.default) == stated, value.name


def test_a_policy_has_one_text(settings: Settings) -> None:
    stated = policies.changed({"time.grace_hours": 48}, {"places.limit": 2.0}, BASE)

    assert json.loads(policies.text_of(stated)) == {"places.limit": 2, "time.grace_hours": 48}
    assert policies.text_of(stated) == '{"places.limit":2,"time.grace_hours":48}'
