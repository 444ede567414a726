"""The whole life of an authorization code under every fault: what is left is what would have been left without it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from licsrv.licensing.tables import Device, License
from tests.conftest import DEVICE, OTHER_DEVICE
from tests.stories.faults import FAULTS
from tests.stories.world import Chapter, Fault, World

CODE, PRODUCT = "PL0000000000STORY", "OFFI-CAD"
FIRST_END, SECOND_END, THIRD_END = (datetime(year, 3, 1, tzinfo=UTC) for year in (2027, 2028, 2029))


@dataclass(frozen=True)
class Seen:
    """What both sides hold: the marketplace's record of the code and the server's license."""

    shop: str = "ACTIVE"
    shop_ends_at: datetime = FIRST_END
    ends_at: datetime = FIRST_END
    amount: int | None = 2
    is_frozen: bool = False
    is_released: bool = False
    devices: int = 2
    clients: int = 0
    leases: tuple[str, ...] = ()


def look(world: World) -> Seen:
    (license,) = world.rows(License)
    code = world.emulator.codes.get(CODE)
    assert (license.code, license.product_id) == (CODE, PRODUCT)
    assert (license.provisional_until, license.refused_reason) == (None, None)
    return Seen(
        shop=str(code.state(world.emulator.clock.now())),
        shop_ends_at=code.expires_at or FIRST_END,
        ends_at=license.expires_at,
        amount=license.amount,
        is_frozen=license.frozen_at is not None,
        is_released=license.released_at is not None,
        devices=len(world.rows(Device)),
        clients=len({each for day in code.usage.values() for each in day.ids}),
        leases=tuple(world.memory.get("leases", ())),
    )


# -- what happens ----------------------------------------------------------------------------------------------------


async def buy_and_type_in(world: World) -> None:
    """Two devices ask at once; whoever is served provisionally asks again when the marketplace could be reached."""
    world.emulator.codes.buy(code=CODE, product_id=PRODUCT, amount=2, expires_at=FIRST_END)
    for device_info in (DEVICE, OTHER_DEVICE, DEVICE):
        assert (await world.ask(CODE, device_info)).status_code == 200
        await world.settle()
    world.memory["string"] = (await world.ask(CODE, DEVICE)).json()["license_string"]
    world.memory["other"] = (await world.ask(CODE, OTHER_DEVICE)).json()["license_string"]


async def check_in(world: World) -> None:
    first = await world.check_in(world.memory["string"], DEVICE)
    other = await world.check_in(world.memory["other"], OTHER_DEVICE)
    world.memory["leases"] = (first, other)


async def renew_twice(world: World) -> None:
    await world.emulator.codes.renew(CODE, expires_at=SECOND_END)
    await world.emulator.codes.renew(CODE, expires_at=THIRD_END)


async def renew_and_think_better_of_it(world: World) -> None:
    await world.emulator.codes.renew(CODE, expires_at=THIRD_END)
    await world.emulator.codes.unsubscribe_renewal(CODE)


async def freeze(world: World) -> None:
    await world.emulator.codes.freeze(CODE)
    await world.settle()
    await check_in(world)


async def unfreeze(world: World) -> None:
    await world.emulator.codes.unfreeze(CODE)
    await world.settle()
    await check_in(world)


async def release(world: World) -> None:
    await world.emulator.codes.release(CODE, unsubscribe=True)
    await world.settle()
    await check_in(world)


ACTIVE, FROZEN, RELEASED = (("ACTIVE",) * 2, ("FROZEN",) * 2, ("RELEASED",) * 2)
LIFE = (
    Chapter("bought", buy_and_type_in, look, Seen()),
    Chapter("used", check_in, look, Seen(clients=2, leases=ACTIVE)),
    Chapter("renewed twice", renew_twice, look, Seen("ACTIVE", THIRD_END, THIRD_END, clients=2, leases=ACTIVE)),
    Chapter(
        "a renewal undone", lambda world: world.emulator.codes.unsubscribe_renewal(CODE), look,
        Seen("ACTIVE", SECOND_END, SECOND_END, clients=2, leases=ACTIVE),
    ),
    Chapter(
        "a renewal undone at once", renew_and_think_better_of_it, look,
        Seen("ACTIVE", SECOND_END, SECOND_END, clients=2, leases=ACTIVE),
    ),
    Chapter("frozen", freeze, look, Seen("FROZEN", SECOND_END, SECOND_END, is_frozen=True, clients=2, leases=FROZEN)),
    Chapter("unfrozen", unfreeze, look, Seen("ACTIVE", SECOND_END, SECOND_END, clients=2, leases=ACTIVE)),
    Chapter(
        "released", release, look,
        Seen("RELEASED", SECOND_END, SECOND_END, is_released=True, clients=2, leases=RELEASED),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_an_authorization_code_lives_its_life(world: World, fault: Fault) -> None:
    await world.live(LIFE, fault)
