"""Orders that are notified, under every fault: each is asked about and known as the marketplace knows it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from licsrv.emulator.online_license.mock_orders import MOCK_ORDERS
from licsrv.emulator.online_license.orders import Item
from licsrv.emulator.online_license.purchases import Change, Purchase
from licsrv.licensing.tables import License
from licsrv.marketplace.tables import Instance, OrderRecord
from tests.stories.faults import FAULTS
from tests.stories.world import Chapter, Fault, World

ORDER, UPGRADE, RENEWAL = "CS1", "CS2", "CS3"
FIRST_END, SECOND_END = (datetime(year, 3, 1, tzinfo=UTC) for year in (2027, 2028))
Known = dict[str, tuple[str, int | None, datetime | None]]


def look(world: World) -> tuple[Known, list[tuple[int | None, datetime | None]]]:
    """Return the orders that the server knows, and what its licenses have become."""
    orders = {row.order_id: (row.order_type, row.amount, row.expires_at) for row in world.rows(OrderRecord)}
    return orders, [(row.amount, row.expires_at) for row in world.rows(License)]


def look_at_ids(world: World) -> tuple[set[str], int]:
    return {row.order_id for row in world.rows(OrderRecord)}, len(world.rows(Instance))


async def order_and_notify(world: World) -> None:
    """Notify an order of which no instance is asked for, three times."""
    item = Item(product_id="OFFI-CAD", linear_value=1)
    world.emulator.online.buy(Purchase(item=item, expires_at=FIRST_END, order_id=ORDER, announce=False))
    for _ in range(3):
        await world.emulator.online.notify(ORDER)


async def open_instance(world: World) -> None:
    await world.emulator.online.open(ORDER)


async def change_and_notify(world: World) -> None:
    """Notify orders that change an instance beside the callback that tells of them."""
    await world.emulator.online.upgrade(ORDER, Change(linear_value=5, order_id=UPGRADE))
    await world.emulator.online.notify(UPGRADE)
    await world.settle()
    await world.emulator.online.renew(ORDER, Change(expires_at=SECOND_END, order_id=RENEWAL))
    await world.emulator.online.notify(RENEWAL)


async def notify_simulated_orders(world: World) -> None:
    for order_id in MOCK_ORDERS:
        await world.emulator.online.notify(order_id)


FIRST: Known = {ORDER: ("NEW", 1, FIRST_END)}
ALL = FIRST | {UPGRADE: ("CHANGE", 5, FIRST_END), RENEWAL: ("RENEW", 5, SECOND_END)}
LIFE = (
    Chapter("notified", order_and_notify, look, (FIRST, [])),
    Chapter("opened", open_instance, look, (FIRST, [(1, FIRST_END)])),
    Chapter("changed", change_and_notify, look, (ALL, [(5, SECOND_END)])),
    Chapter(
        "simulated",
        notify_simulated_orders,
        look_at_ids,
        ({*ALL, *MOCK_ORDERS} - {"MOCKONDEMAND", "MOCKONDEMANDPKG"}, 1),
    ),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_notified_orders_are_known(world: World, fault: Fault) -> None:
    await world.live(LIFE, fault)
