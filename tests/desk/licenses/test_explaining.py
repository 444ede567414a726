"""What a device would get, now or at a date or under a policy, by the decision that really decides; nothing changes."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlmodel import SQLModel

from licsrv.licensing.tables import Product
from licsrv.platform.db import reading, transaction
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.sales import Desk

THIRD = "04:7C:16:5E:E3:99|WD-0099|BOARD-99|BFEBFBFF00090672"
REPAIRED = DEVICE.replace(DEVICE.split("|")[1], "WD-NEW-77")
CPU_ONLY = "|||BFEBFBFF00090672"


async def explain(desk: Desk, code: str, device: str, **more: Any) -> dict[str, Any]:
    return await desk.post(f"/licenses/{code}/explain", {"device_info": device, **more})


def rules(found: dict[str, Any]) -> list[tuple[str, bool]]:
    return [(step["rule"], step["passed"]) for step in found["trace"]]


def everything(desk: Desk) -> dict[str, list[Any]]:
    """Every row of every table."""
    with reading(desk.house.runtime.database) as session:
        tables = SQLModel.metadata.sorted_tables
        return {table.name: sorted(map(repr, session.execute(select(table)).all())) for table in tables}


async def test_a_known_device_gets_it_and_the_trace_says_by_which_rules(desk: Desk) -> None:
    code = desk.sell()
    await desk.string(code)

    found = await explain(desk, code, DEVICE)

    assert (found["gets_license"], found["code"], found["takes_place"]) == (True, None, False)
    assert found["device"]["name"] == "CAD-WS-07"
    assert rules(found) == [("license", True), ("device", True), ("place", True), ("lease", True)]
    assert found["trace"][1]["says"]["en"].endswith("MAC agrees, disk agrees, board agrees, CPU agrees.")
    assert "硬盘一致" in found["trace"][1]["says"]["zh"]


async def test_a_new_device_gets_a_place_and_a_repaired_one_learns(desk: Desk) -> None:
    code = desk.sell()
    await desk.string(code)

    new, repaired = await explain(desk, code, OTHER_DEVICE), await explain(desk, code, REPAIRED)

    assert (new["device"], new["takes_place"]) == (None, True)
    assert rules(new)[2:4] == [("place", True), ("binding", True)]
    assert new["trace"][2]["says"]["en"] == "1 of 2 places are taken, so it gets one."
    assert ("learning", True) in rules(repaired)


@pytest.mark.parametrize("device", [DEVICE, OTHER_DEVICE, THIRD, REPAIRED, CPU_ONLY])
async def test_no_row_of_any_table_changes(desk: Desk, device: str) -> None:
    code = desk.sell(places=1)
    await desk.string(code)
    await desk.get(f"/licenses/{code}")  # notes that the token was used today, as any call does
    before = everything(desk)

    await explain(desk, code, device)
    await explain(desk, code, device, at=(NOW + timedelta(days=400)).isoformat(), policy={"places.limit": 9})

    assert everything(desk) == before
    assert sum(map(len, before.values())) > 10


async def test_what_is_explained_is_what_the_device_is_then_told(desk: Desk) -> None:
    code = desk.sell(places=1)
    await desk.string(code)
    for device in (THIRD, CPU_ONLY):
        found = await explain(desk, code, device)
        answer = (await desk.ask(code, device)).json()

        assert (found["gets_license"], found["code"]) == (False, answer["code"])
        assert found["trace"] == answer["trace"]
        assert [passed for _, passed in rules(found)].count(False) == 1
        assert found["says"]["zh"].endswith(found["trace"][-1]["says"]["zh"])


async def test_a_refusal_names_neither_facts_nor_other_devices(desk: Desk) -> None:
    code = desk.sell(places=1)
    license_string = await desk.string(code, name="SECRET-NAME")
    full = (await desk.ask(code, THIRD)).text
    mismatch = await desk.beat(license_string, THIRD)

    assert rules(mismatch) == [("device", False)]
    for text in (full, json.dumps(mismatch)):
        assert '"trace"' in text
        assert not any(fact in text for fact in ("SECRET-NAME", *DEVICE.split("|"), *THIRD.split("|")))


async def test_at_a_date_the_license_is_as_it_will_be_then(desk: Desk) -> None:
    code = desk.sell(days=30)
    await desk.string(code)

    last = await explain(desk, code, DEVICE, at=(NOW + timedelta(days=30, seconds=-1)).isoformat())
    ended = await explain(desk, code, DEVICE, at=(NOW + timedelta(days=30)).isoformat())

    assert last["gets_license"] is True
    assert (ended["gets_license"], ended["code"], rules(ended)) == (False, "LICENSE_EXPIRED", [("license", False)])
    assert "到期" in ended["says"]["zh"]


async def test_under_a_policy_another_device_gets_a_place(desk: Desk) -> None:
    with transaction(desk.house.runtime.database) as session:
        session.add(Product(product_id="CAD", name="CAD", features=[]))
    code = desk.sell(product_id="CAD", places=None)
    await desk.string(code)

    now = await explain(desk, code, THIRD)
    then = await explain(desk, code, THIRD, policy={"places.limit": 2})
    wrong = await desk.post(
        f"/licenses/{code}/explain", {"device_info": THIRD, "policy": {"places.limit": 0, "x": 1}}, status=422
    )

    assert (now["gets_license"], then["gets_license"], then["places"]) == (False, True, 2)
    assert {one["field"] for one in wrong["errors"]} == {"places.limit", "x"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 422),
        ({"device_info": ""}, 422),
        ({"device_info": "a|b"}, 422),
        ({"device_info": DEVICE, "at": "2026-02-30T00:00:00Z"}, 422),
        ({"device_info": DEVICE, "at": "9999-12-31T00:00:00Z"}, 422),
    ],
    ids=str,
)
async def test_a_question_that_is_none_is_refused(desk: Desk, body: dict[str, Any], status: int) -> None:
    code = desk.sell()

    await desk.post(f"/licenses/{code}/explain", body, status=status)
    await desk.post("/licenses/NOBODY/explain", {"device_info": DEVICE}, status=404)
