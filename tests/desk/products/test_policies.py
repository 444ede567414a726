"""Policies at the desk: shown, previewed, changed, undone; whom a change concerns."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlmodel import select

from licsrv.audit import Action
from licsrv.heartbeats.tables import DeviceBranch
from licsrv.licensing import store
from licsrv.licensing.tables import Device
from licsrv.platform.db import transaction
from tests import products
from tests.conftest import DEVICE, NOW, OTHER_DEVICE
from tests.heartbeats.copies import remember_copies
from tests.sales import Desk
from tests.tables import each

POLICY = "/products/policy"
WHY = "Repairs are frequent."
CONTAINER = "02:42:AC:11:00:02|INSTALL-0123456789ABCDEF0123456789ABCDE7||BFEBFBFF000906EA"


def describe(desk: Desk, policy: dict[str, Any] | None = None) -> None:
    with transaction(desk.house.runtime.database) as session:
        products.describe(session, "OFFI1", policy)


async def put(desk: Desk, status: int = 200, **body: Any) -> dict[str, Any]:
    answer = await desk.visitor.call("PUT", f"/admin/api{POLICY}", {"product": "OFFI1", "reason": WHY, **body})
    assert answer.status_code == status, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def preview(desk: Desk, values: dict[str, Any]) -> dict[str, tuple[int, list[str]]]:
    """Return whom a change concerns: by the first word of what it does, how many, and their names."""
    found = await desk.post(f"{POLICY}/preview", {"product": "OFFI1", "values": values})
    return {
        one["says"]["en"]: (one["count"], [device["name"] for device in one["devices"]]) for one in found["effects"]
    }


async def test_a_change_is_shown_with_what_it_means_and_can_be_undone(desk: Desk) -> None:
    describe(desk)

    changed = await put(desk, values={"time.grace_hours": 48, "moves.per_place": "2"}, version=0)

    assert (changed["changed"], changed["policy"]["version"]) == (True, 1)
    grace = next(one for one in changed["policy"]["values"] if one["name"] == "time.grace_hours")
    assert (grace["value"], grace["is_stated"], grace["says"]["zh"]) == (48, True, "设备失去联系后仍可使用 48 小时。")
    undone = await desk.post(f"{POLICY}/undo", {"product": "OFFI1", "reason": WHY, "version": 1})
    assert undone["policy"]["versions"][0]["stated"] == {}
    assert await desk.get(f"{POLICY}?product=OFFI1") == undone["policy"]
    product = (await desk.get("/products"))["items"][0]
    assert (product["product_id"], product["device_limit"]) == ("OFFI1", None)


REFUSED: list[tuple[dict[str, Any], int, str]] = [
    ({"values": {"moves.per_place": -1, "colour": 1}}, 422, "INVALID_POLICY"),
    ({"values": {"time.check_in_hours": 400}}, 422, "POLICY_CONTRADICTION"),
    ({"values": {"places.limit": 2}, "version": 7}, 409, "CONFLICT"),
    ({"values": {"places.limit": 2}, "product": "OFFI\u00e9"}, 404, "NOT_FOUND"),
    ({"values": {"places.limit": 2}, "product": "A\x00"}, 422, "INVALID_REQUEST"),
    ({"values": {"places.limit": []}}, 422, "INVALID_REQUEST"),
    ({"values": {"": 1}}, 422, "INVALID_REQUEST"),
    ({"values": {"places.limit": 2}, "reason": ""}, 422, "INVALID_REQUEST"),
    ({"values": {"places.limit": 10**30}}, 422, "INVALID_POLICY"),
    ({"values": []}, 422, "INVALID_REQUEST"),
]  # fmt: skip


async def test_a_refusal_has_a_code_and_changes_nothing(desk: Desk) -> None:
    describe(desk)

    for row in each(REFUSED):
        with row as (body, status, code):
            answer = await desk.visitor.call("PUT", f"/admin/api{POLICY}", {"product": "OFFI1", "reason": WHY, **body})
            assert (answer.status_code, answer.json()["code"]) == (status, code)
    for address in (POLICY, f"{POLICY}?product=", f"{POLICY}?product=%00", f"{POLICY}?product=NONE"):
        answer = await desk.visitor.call("GET", f"/admin/api{address}")
        assert answer.status_code in {404, 422}
    assert (await desk.get(f"{POLICY}?product=OFFI1"))["version"] == 0


async def test_a_preview_names_the_devices_that_get_no_place_again(desk: Desk) -> None:
    describe(desk, {"places.limit": 2})
    code = desk.buy(amount=1)
    await desk.string(code, name="first")
    desk.clock.move_to(NOW + timedelta(seconds=1))
    await desk.string(code, OTHER_DEVICE, name="second")

    assert await preview(desk, {"places.limit": 3}) == {}
    [(says, found)] = (await preview(desk, {"places.limit": 1})).items()
    assert found == (1, ["second"])
    assert says.startswith("1 license gets more devices in use than places.")
    assert (await desk.get(f"{POLICY}?product=OFFI1"))["version"] == 1, "nothing was changed"


async def test_a_preview_says_who_needs_a_seat_and_who_has_no_place_when_that_is_taken_back(desk: Desk) -> None:
    describe(desk)
    code = desk.buy(amount=1)
    await desk.string(code, name="first")

    floating = await preview(desk, {"places.floating": True})
    answer = await desk.visitor.call(
        "PUT", f"/admin/api{POLICY}", {"product": "OFFI1", "values": {"places.floating": True}, "reason": WHY}
    )
    desk.clock.move_to(NOW + timedelta(seconds=1))
    await desk.string(code, OTHER_DEVICE, name="second")
    still = await preview(desk, {"places.floating": True, "places.limit": 1})
    fixed = await preview(desk, {"places.floating": False})

    assert answer.status_code == 200
    assert list(floating.values()) == [(1, ["first"])]
    assert "needs a seat" in next(iter(floating))
    assert still == {}
    assert list(fixed.values()) == [(1, ["second"])]
    assert (await desk.get("/desk"))["overfull"] == []
    body = {"product": "OFFI1", "values": {"places.floating": False}, "reason": WHY}
    await desk.visitor.call("PUT", f"/admin/api{POLICY}", body)
    assert [line["code"] for line in (await desk.get("/desk"))["overfull"]] == [code]


async def test_a_preview_names_devices_that_were_silent_for_longer(desk: Desk) -> None:
    describe(desk)
    code = desk.buy(amount=2)
    string = await desk.string(code, name="silent")
    await desk.beat(string)
    await desk.string(code, OTHER_DEVICE, name="never checked in")
    desk.clock.move_to(NOW + timedelta(hours=50))

    assert await preview(desk, {"time.grace_hours": 51}) == {}
    [(_, found)] = (await preview(desk, {"time.grace_hours": 49})).items()
    assert found == (1, ["silent"])


async def test_a_preview_names_weakly_bound_devices_and_those_that_cannot_learn(desk: Desk) -> None:
    describe(desk, {"recognition.weak_binding": True, "places.limit": 5})
    code = desk.buy(amount=1)
    await desk.string(code, CONTAINER, name="container")
    await desk.string(code, DEVICE, name="repaired")
    mac, _, board, cpu = DEVICE.split("|")
    await desk.string(code, f"{mac}|NEW-DISK-7731|{board}|{cpu}", name="repaired")
    learned = desk.house.audited(Action.DEVICE_PART_LEARNED)
    assert len(learned) == 1

    weak = await preview(desk, {"recognition.weak_binding": False})
    fewer = await preview(desk, {"recognition.learned_parts": 1})
    same = await preview(desk, {"recognition.learned_parts": 2, "recognition.learned_days": 31})

    assert list(weak.values()) == [(1, ["container"])]
    assert list(fewer.values()) == [(1, ["repaired"])]
    assert same == {}


async def test_a_preview_counts_the_devices_that_may_no_longer_move_by_themselves(desk: Desk) -> None:
    describe(desk)
    for number in range(3):
        await desk.string(desk.buy(amount=1), name=f"pc-{number}")

    [(_, (count, names))] = (await preview(desk, {"moves.per_place": 0})).items()

    assert (count, sorted(names)) == (3, ["pc-0", "pc-1", "pc-2"])


async def test_a_preview_counts_the_devices_whose_places_are_then_freed_by_themselves(desk: Desk) -> None:
    describe(desk)
    await desk.string(desk.buy(amount=1), name="dead")
    desk.clock.advance(days=20)
    await desk.string(desk.buy(amount=1), name="alive")
    freed = {"moves.unseen_days": 20, "moves.unseen_released": True}

    found = [await preview(desk, freed | {"moves.unseen_days": days}) for days in (20, 21)]

    assert [list(one.values()) for one in found] == [[(1, ["dead"])], []]
    assert await preview(desk, {"moves.unseen_days": 20}) == {}  # only where someone asks for it


async def test_a_damaged_policy_is_shown_where_it_is_mended_and_hides_nothing_else(desk: Desk) -> None:
    describe(desk, {"moves.per_place": 1})
    code = desk.sell(product_id="OFFI1")
    await desk.string(code)
    with transaction(desk.house.runtime.database) as session:
        current = store.current_policy(session, "OFFI1")
        assert current is not None
        current.stated = '{"moves.per_place":'

    await desk.post("/search", {"text": code})
    for path in ("/products", f"/licenses/{code}", "/desk"):
        await desk.get(path)
    shown = await desk.get(f"{POLICY}?product=OFFI1")
    assert (shown["is_damaged"], shown["versions"][0]["stated"]) == (True, None)
    refused = await put(desk, 409, values={"moves.per_place": 2})
    assert (refused["code"], refused["action"]) == ("CONFLICT", "Go back to the version before: undo it.")

    undone = await desk.post(f"{POLICY}/undo", {"product": "OFFI1", "reason": WHY})

    assert (undone["changed"], undone["policy"]["is_damaged"]) == (True, False)
    assert (undone["policy"]["version"], undone["policy"]["versions"][1]["stated"]) == (2, None)
    await desk.string(code)
    again = await put(desk, values={"moves.per_place": 2})
    assert again["policy"]["version"] == 3


async def test_a_preview_names_the_machines_in_two_copies_that_would_stop(desk: Desk) -> None:
    describe(desk)
    await desk.string(desk.sell(product_id="OFFI1"))
    with transaction(desk.house.runtime.database) as session:
        one, _ = remember_copies(session, session.scalars(select(Device.id)).one(), now=NOW)

    assert list((await preview(desk, {"clones.action": "refuse"})).values()) == [(1, ["CAD-WS-07"])]
    assert await preview(desk, {"clones.action": "off"}) == {}
    with transaction(desk.house.runtime.database) as session:
        session.get_one(DeviceBranch, (session.scalars(select(Device.id)).one(), one)).blessed_from = NOW
    assert await preview(desk, {"clones.action": "refuse"}) == {}
