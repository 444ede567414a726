"""Devices in use beyond a reduced number of places: staff decides, they stay, or the newest ones go."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from sqlmodel import Session

from licsrv import upkeep
from licsrv.audit import Action
from licsrv.licensing import surplus
from licsrv.licensing.policies import Policies
from licsrv.platform.db import reading, transaction
from tests import products
from tests.conftest import NOW
from tests.sales import Desk

NAMES = ["A", "B", "C", "D"]
MACHINES = {name: f"3C:52:82:11:22:3{number}|S3Z8NB0{name}|BOARD-7{name}1|CPU" for number, name in enumerate(NAMES)}


class BrokenError(Exception):
    """The process ends here."""


async def used(desk: Desk, policy: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """Return the code of a license whose four places are taken, one hour after the other, and the strings."""
    with transaction(desk.house.runtime.database) as session:
        products.describe(session, "CAD", {"places.limit": 4, **policy})
    code = desk.sell(days=300, places=None, product_id="CAD")
    strings = {}
    for name, machine in MACHINES.items():
        strings[name] = await desk.string(code, machine)
        desk.clock.advance(hours=1)
    return code, strings


async def working(desk: Desk, strings: dict[str, str]) -> str:
    """Return the names of the devices that may work."""
    told = {name: (await desk.beat(text, MACHINES[name]))["status"] for name, text in strings.items()}
    return "".join(name for name in NAMES if told[name] == "ACTIVE")


async def overfull(desk: Desk) -> list[str]:
    return [line["code"] for line in (await desk.get("/desk"))["overfull"]]


async def lower(desk: Desk, how: str, code: str) -> None:
    if how == "policy":
        body = {"product": "CAD", "reason": "Sold for two.", "values": {"places.limit": 2}}
        answer = await desk.visitor.call("PUT", "/admin/api/products/policy", body)
        assert answer.status_code == 200, answer.text
    else:
        await desk.act(code, "set_terms", terms={"places": 2})


@pytest.mark.parametrize("how", ["policy", "own sale"])
async def test_the_newest_devices_go_where_the_product_says_so(desk: Desk, how: str) -> None:
    code, strings = await used(desk, {"places.surplus": "newest-out"})
    await lower(desk, how, code)
    assert await working(desk, strings) == "ABCD"

    await upkeep.release_surplus(desk.house.runtime)
    await upkeep.release_surplus(desk.house.runtime)

    assert await working(desk, strings) == "AB"
    assert await overfull(desk) == []
    entries = desk.house.audited(Action.DEVICE_RELEASED)
    assert [entry.actor for entry in entries] == ["policy", "policy"]
    # One that left makes room for one that went.
    refused = await desk.ask(code, MACHINES["D"])
    assert refused.json()["code"] == "DEVICE_LIMIT_REACHED"


@pytest.mark.parametrize(("word", "shown"), [("staff", True), ("keep", False)])
async def test_otherwise_they_keep_their_places(desk: Desk, word: str, *, shown: bool) -> None:
    code, strings = await used(desk, {"places.surplus": word})
    await lower(desk, "policy", code)

    await upkeep.release_surplus(desk.house.runtime)

    assert await working(desk, strings) == "ABCD"
    assert await overfull(desk) == ([code] if shown else [])


async def test_an_overdraft_is_no_surplus_and_stays_on_the_desk(desk: Desk) -> None:
    code, strings = await used(desk, {"places.surplus": "newest-out", "places.overdraft": 1})
    await lower(desk, "policy", code)

    await upkeep.release_surplus(desk.house.runtime)

    assert await working(desk, strings) == "ABC"
    assert await overfull(desk) == [code]


async def test_who_changes_the_word_is_told_whom_it_costs_a_place(desk: Desk) -> None:
    code, strings = await used(desk, {})
    await lower(desk, "policy", code)
    asked = {"product": "CAD", "values": {"places.surplus": "newest-out"}}

    preview = await desk.post("/products/policy/preview", asked)
    await desk.visitor.call("PUT", "/admin/api/products/policy", {**asked, "reason": "As agreed."})
    await upkeep.release_surplus(desk.house.runtime)

    (effect,) = preview["effects"]
    assert "lose their places" in effect["says"]["en"]
    assert (effect["count"], len(effect["devices"])) == (1, 2)
    assert await working(desk, strings) == "AB"


async def test_very_many_go_in_short_transactions_and_a_crash_between_two_loses_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(surplus, "_AT_ONCE", 1)
    code, strings = await used(desk, {"places.surplus": "newest-out"})
    await lower(desk, "policy", code)
    database, policies = desk.house.runtime.database, Policies()
    with reading(database) as session:
        (license_id,), after = surplus.find(session, policies, after="")

    def release(session: Session) -> bool:
        return surplus.release(session, license_id, policies, now=NOW)

    with transaction(database) as session:
        assert release(session) is True
    assert await working(desk, strings) == "ABC"
    with suppress(BrokenError), transaction(database) as session:
        release(session)
        raise BrokenError
    await upkeep.release_surplus(desk.house.runtime)

    assert (await working(desk, strings), after) == ("AB", None)
    assert len(desk.house.audited(Action.DEVICE_RELEASED)) == 2
