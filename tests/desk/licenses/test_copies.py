"""Support sees the copies of a machine and lets one of them work; that is audited and can be taken back."""

from __future__ import annotations

from typing import Any

from licsrv.licensing.tables import Product
from licsrv.platform.db import transaction
from tests import products
from tests.conftest import OTHER_DEVICE
from tests.desk.licenses.test_actions import undo
from tests.heartbeats.copies import Machine, forked
from tests.sales import Desk


async def in_two_copies(desk: Desk, action: str) -> tuple[str, Machine, Machine]:
    with transaction(desk.house.runtime.database) as session:
        if session.get(Product, "COPIED") is None:
            products.describe(session, "COPIED", {"clones.action": action})
    code = desk.sell(product_id="COPIED", days=None)
    machine = Machine(desk.visitor.http, await desk.string(code))
    await machine.beats()
    return code, machine, await forked(machine, desk.clock)


async def copy_named(desk: Desk, code: str, name: str) -> dict[str, Any]:
    """Return what an action on the copy of this name takes."""
    [device] = (await desk.get(f"/licenses/{code}"))["copied"]
    [copy] = [one for one in device["copies"] if one["name"] == name]
    return {"device_id": device["device_id"], "branch": copy["branch"]}


async def says(desk: Desk, *machines: Machine) -> list[str]:
    desk.clock.advance(minutes=30)
    return [(await one.beats())["status"] for one in machines]


async def test_the_desk_and_the_page_name_both_copies_until_one_is_blessed(desk: Desk) -> None:
    code, machine, other = await in_two_copies(desk, "warn")

    board, [device] = await desk.get("/desk"), (await desk.get(f"/licenses/{code}"))["copied"]
    assert [(row["code"], row["device_id"]) for row in board["copied"]] == [(code, device["device_id"])]
    assert [alert["area"] for alert in board["alerts"]] == ["clones"]
    assert [(one["name"], one["network"]) for one in device["copies"]] == [
        ("CAD-WS-08", "192.0.2.0/24"), ("CAD-WS-07", "192.0.2.0/24"),
    ]  # fmt: skip
    assert device["is_settled"] is False

    done = await desk.act(code, "bless", **await copy_named(desk, code, "CAD-WS-07"))

    assert done["changed"] is True
    assert "CAD-WS-07 · 192.0.2.0/24" in done["says"]["en"]
    assert (await desk.get("/desk"))["copied"] == []
    assert (await desk.get(f"/licenses/{code}"))["copied"][0]["is_settled"] is True
    assert await says(desk, machine, other) == ["ACTIVE", "ACTIVE"], "the policy only warns"
    await undo(desk, code, done)
    assert len((await desk.get("/desk"))["copied"]) == 1
    assert [row.reason for row in desk.house.audited("COPY_BLESSED", "COPY_UNBLESSED")] == ["because"] * 2


async def test_with_refuse_the_blessed_copy_works_and_the_other_stays_refused(desk: Desk) -> None:
    code, machine, other = await in_two_copies(desk, "refuse")
    assert await says(desk, machine, other) == ["REVOKED", "REVOKED"]

    done = await desk.act(code, "bless", **await copy_named(desk, code, "CAD-WS-07"))

    for _ in range(3):
        assert await says(desk, machine, other) == ["ACTIVE", "REVOKED"]
    kept = machine.link
    await machine.beats()
    machine.link = kept  # its answer was lost
    assert await says(desk, machine, other, machine) == ["ACTIVE", "REVOKED", "ACTIVE"]
    assert await says(desk, Machine(machine.client, machine.string)) == ["ACTIVE"], "an older program"
    await undo(desk, code, done)
    assert await says(desk, machine, other) == ["REVOKED", "REVOKED"]


async def test_a_blessed_machine_that_is_copied_is_proven_again(desk: Desk) -> None:
    code, machine, other = await in_two_copies(desk, "refuse")
    await desk.act(code, "bless", **await copy_named(desk, code, "CAD-WS-07"))
    assert await says(desk, machine) == ["ACTIVE"]

    third = await forked(machine, desk.clock)

    assert await says(desk, machine, third, other) == ["REVOKED"] * 3
    assert len(desk.house.audited("DEVICE_CLONED")) == 2
    assert len((await desk.get("/desk"))["copied"]) == 1


async def test_what_is_no_copy_is_refused_and_changes_nothing(desk: Desk) -> None:
    code, *_ = await in_two_copies(desk, "warn")
    await desk.string(code, OTHER_DEVICE, "CAD-WS-09")
    page = await desk.get(f"/licenses/{code}")
    [copied] = page["copied"]
    [whole] = [one["id"] for one in page["devices"] if one["id"] != copied["device_id"]]
    branch, device = copied["copies"][0]["branch"], copied["device_id"]

    for status, arguments in (
        (422, {}), (422, {"device_id": device}), (422, {"branch": branch}),
        (404, {"device_id": "nobody", "branch": branch}), (409, {"device_id": device, "branch": "00000000"}),
        (409, {"device_id": whole, "branch": branch}), (422, {"device_id": device, "branch": "x" * 9}),
    ):  # fmt: skip
        for action in ("bless", "unbless"):
            await desk.act(code, action, status=status, **arguments)
    assert (await desk.act(code, "unbless", device_id=device, branch=branch))["changed"] is False
    assert await desk.get(f"/licenses/{code}") == page
