"""What the marketplace says otherwise than its pages, at the press of one button: no license gains or loses by it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from licsrv.licensing.tables import License
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from tests.stories import test_authorization_code as codes
from tests.stories import test_online_license as online
from tests.stories.world import World


async def press(world: World, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Call the control API, as a person at the emulator does."""
    answer = await world.shop.post(f"/control{path}", json=body)
    assert answer.is_success, answer.text
    pressed: dict[str, Any] = answer.json()
    return pressed


async def buy(world: World, line: str) -> str:
    """Buy and use a license, and return where it is found at the control API."""
    await (codes.buy_and_type_in(world) if line == "code" else online.buy(world))
    await world.settle()
    return f"/codes/{codes.CODE}" if line == "code" else f"/online/instances/{online.ORDER}"


def end(world: World) -> datetime | None:
    (license,) = world.rows(License)
    found: datetime | None = license.expires_at
    return found


@pytest.mark.parametrize("line", ["code", "online"])
@pytest.mark.parametrize("earlier", [False, True], ids=["at first", "after a renewal"])
async def test_a_refund_before_the_renewal_that_it_undoes_gives_no_time(world: World, line: str, earlier: bool) -> None:
    where, before = await buy(world, line), codes.FIRST_END
    if earlier:
        await press(world, f"{where}/renew", {"expire_time": codes.SECOND_END.isoformat()})
        await world.settle()
        before = codes.SECOND_END
    world.clock.advance(minutes=10)

    sent = await press(world, f"{where}/refund-first", {"expire_time": codes.THIRD_END.isoformat()})
    states = [each["state"] for each in (await world.shop.get("/control/callbacks")).json()["callbacks"]][-2:]
    await world.knock_until(lambda: not world.emulator.courier.flush())
    after_refund = end(world)
    await world.settle()

    bodies = [sent["withheld"]["body"], sent["callback"]["body"]]
    assert states[0] == "held"
    assert "UNSUBSCRIBE_RENEWAL_PERIOD" in bodies[1]
    assert (after_refund, end(world)) == (before, before)
    assert [each.state for each in world.emulator.courier.deliveries][-2:] == ["delivered"] * 2
    world.require_peace()


@pytest.mark.parametrize("line", ["code", "online"])
async def test_a_renewal_after_such_a_refund_counts(world: World, line: str) -> None:
    where = await buy(world, line)
    await press(world, f"{where}/refund-first", {"expire_time": codes.SECOND_END.isoformat()})
    await world.settle()
    world.clock.advance(minutes=10)

    await press(world, f"{where}/renew", {"expire_time": codes.THIRD_END.isoformat()})
    await world.settle()

    assert end(world) == codes.THIRD_END


@pytest.mark.parametrize(
    ("kind", "value"),
    [("charging_mode", mode) for mode in ("SUBSCRIPTION", "", "period", "ONE-TIME")]
    + [("date_form", form) for form in ("iso", "spaced", "epoch_ms", "blank", "null", "absent")],
)
async def test_an_order_that_cannot_be_read_gives_no_license_without_an_end(
    world: World, kind: str, value: str
) -> None:
    await press(world, "/faults", {"side": "open_api", "kind": kind, "value": value})
    await online.buy(world)
    await world.pass_turns(8)

    opened = world.rows(License)
    assert all(license.expires_at is not None or license.activated_at is None for license in opened)
    await world.shop.delete("/control/faults")
    await world.settle()
    assert end(world) == online.FIRST_END


@pytest.mark.parametrize("prefix", ["MKT.", "MKT. ", "CBC."])
async def test_an_order_of_another_seller_opens_nothing_whatever_its_refusal_is_called(
    world: World, prefix: str
) -> None:
    await press(world, "/faults", {"side": "open_api", "kind": "code_prefix", "value": prefix})
    await online.buy(world, foreign=True)

    assert await world.pass_turns(70)

    (license,) = world.rows(License)
    assert (license.activated_at, license.expires_at) == (None, None)
    assert license.released_at is not None
    assert [row for row in world.rows(OutboxRow) if row.state == State.WAITING] == []
