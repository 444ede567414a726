"""The whole life of a License 1.0 under every fault, with every answer's ``Body-Sign`` right as the shop judges it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from licsrv.emulator.license_v1.line import Terms
from licsrv.licensing.tables import Device, License
from licsrv.marketplace.tables import Instance
from tests.conftest import DEVICE
from tests.stories.faults import FAULTS
from tests.stories.world import Chapter, Fault, World

ORDER, PRODUCT, SUCCESSOR = "CS2603010930OLD", "00301-666688-0-0", "00301-666688-0-1"
FIRST_END, SECOND_END, THIRD_END = (datetime(year, 3, 1, tzinfo=UTC) for year in (2027, 2028, 2029))


@dataclass(frozen=True)
class Seen:
    """What both sides hold. When it ended is left out: a late message ends it late."""

    product: str = PRODUCT
    ends_at: datetime | None = FIRST_END
    is_over: bool = False
    is_released: bool = False
    devices: int = 0
    answers: tuple[str, ...] = ()


def look(world: World) -> Seen:
    (license,), (instance,) = world.rows(License), world.rows(Instance)
    bought = world.emulator.licenses_v1.get(ORDER)
    assert bought.problems == []
    assert bought.license == bought.instance_id == license.code == instance.code
    assert license.amount == 2
    require_signed_answers(world)
    is_over = license.expires_at is not None and license.expires_at <= world.clock.now()
    return Seen(
        product=license.product_id,
        ends_at=None if is_over else license.expires_at,
        is_over=is_over,
        is_released=license.released_at is not None,
        devices=len(world.rows(Device)),
        answers=tuple(world.memory.get("answers", ())),
    )


def require_signed_answers(world: World) -> None:
    """Check that whatever was answered to a request with a right token and time carries a right signature."""
    tried = [attempt for each in world.emulator.courier.deliveries for attempt in each.attempts]
    answered = [each for each in tried if each.http_status == 200 and each.result_code not in {"000001", "000002"}]
    assert answered
    assert {each.body_sign for each in answered} == {"right"}


async def buy_and_ask_twice(world: World) -> None:
    world.emulator.licenses_v1.buy(Terms(product_id=PRODUCT, amount=2, expires_at=FIRST_END), order_id=ORDER)
    await world.emulator.licenses_v1.ask(ORDER)


async def type_in(world: World) -> None:
    """Ask for a license string with what the buyer was given."""
    license = world.emulator.licenses_v1.get(ORDER).license
    assert license is not None
    answer = (await world.ask(license, DEVICE)).json()
    world.memory.setdefault("answers", []).append(answer.get("code", "license"))


async def renew_twice(world: World) -> None:
    await world.emulator.licenses_v1.renew(ORDER, Terms(product_id=SUCCESSOR, expires_at=SECOND_END))
    await world.emulator.licenses_v1.renew(ORDER, Terms(product_id=SUCCESSOR, expires_at=THIRD_END))


async def expire(world: World) -> None:
    await world.emulator.licenses_v1.expire(ORDER)
    await world.settle()
    await type_in(world)


async def renew_late(world: World) -> None:
    await world.emulator.licenses_v1.renew(ORDER, Terms(product_id=SUCCESSOR, expires_at=THIRD_END))
    await world.settle()
    await type_in(world)


async def release(world: World) -> None:
    await world.emulator.licenses_v1.release(ORDER)
    await world.settle()
    await type_in(world)


OVER, AGAIN = ("license", "LICENSE_EXPIRED"), ("license", "LICENSE_EXPIRED", "license")
LIFE = (
    Chapter("bought", buy_and_ask_twice, look, Seen()),
    Chapter("typed in", type_in, look, Seen(devices=1, answers=("license",))),
    Chapter("renewed twice", renew_twice, look, Seen(SUCCESSOR, THIRD_END, devices=1, answers=("license",))),
    Chapter("ended", expire, look, Seen(SUCCESSOR, None, is_over=True, devices=1, answers=OVER)),
    Chapter("renewed late", renew_late, look, Seen(SUCCESSOR, THIRD_END, devices=1, answers=AGAIN)),
    Chapter(
        "released", release, look,
        Seen(SUCCESSOR, THIRD_END, is_released=True, devices=1, answers=(*AGAIN, "LICENSE_RELEASED")),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_license_v1_lives_its_life(world: World, fault: Fault) -> None:
    await world.live(LIFE, fault)
