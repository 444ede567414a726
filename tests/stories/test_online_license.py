"""The whole life of an online license under every fault: what is left is what would have been left without it.

The desktop asks through ISCDesk: application, ``getLicenseAsync``, upload, event.
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from client_stub import PinnedKeys, verify_license, verify_license_file
from licsrv.emulator.errors import ControlError
from licsrv.emulator.online_license.orders import Item, OrderType
from licsrv.emulator.online_license.purchases import Change, Purchase
from licsrv.emulator.settings import UnsubscribeNames
from licsrv.licensing.tables import Device, IssuedLicense, License, Product
from licsrv.marketplace.tables import Application, Instance
from licsrv.platform.db import transaction
from tests.conftest import DEVICE, OTHER_DEVICE
from tests.stories.faults import FAULTS
from tests.stories.world import Chapter, Fault, World

ORDER = "CS2603010930STORY"
FIRST_END, SECOND_END, THIRD_END = (datetime(year, 3, 1, tzinfo=UTC) for year in (2027, 2028, 2029))
YEARLY, MONTHLY = "OFFI-CAD-YEAR", "OFFI-CAD-MONTH"


@dataclass(frozen=True)
class Seen:
    """What both sides hold: the shop's word for the instance, the server's license, and the licenses handed over."""

    shop: str = "OPEN"
    product: str = YEARLY
    amount: int = 1
    ends_at: datetime = FIRST_END
    is_frozen: bool = False
    is_released: bool = False
    devices: int = 0
    handed_over: tuple[tuple[str, str, datetime, int], ...] = ()


def look(world: World) -> Seen:
    require_one_of_each(world)
    (license,) = world.rows(License)
    (instance,) = world.emulator.online.book.all()
    assert instance.problems == []
    return Seen(
        shop=str(instance.state(world.emulator.clock.now())),
        product=license.product_id,
        amount=license.amount,
        ends_at=license.expires_at,
        is_frozen=license.frozen_at is not None,
        is_released=license.released_at is not None,
        devices=len(world.rows(Device)),
        handed_over=tuple(world.memory.get("handed over", ())),
    )


def require_one_of_each(world: World) -> None:
    """Check: one instance and one license; one issued license for each application, which is what was uploaded."""
    (instance,), (license,) = world.rows(Instance), world.rows(License)
    (bought,) = world.emulator.online.book.all()
    assert instance.code == license.code == bought.instance_id
    issued = {row.id: row for row in world.rows(IssuedLicense)}
    granted = {row.event_id: issued[row.issued_id].digest for row in world.rows(Application)}
    uploads = {each.event_id: each.upload for each in world.emulator.online.applications.all() if not each.refused}
    assert granted == {event: hashlib.sha256(upload.content).hexdigest() for event, upload in uploads.items() if upload}
    assert granted.keys() == uploads.keys()


# -- what happens ----------------------------------------------------------------------------------------------------


async def buy(world: World, **what: Any) -> None:
    item = Item(product_id=YEARLY, linear_value=1)
    world.emulator.online.buy(Purchase(item=item, expires_at=FIRST_END, order_id=ORDER, **what))


async def renew_twice(world: World) -> None:
    await world.emulator.online.renew(ORDER, Change(expires_at=SECOND_END))
    await world.emulator.online.renew(ORDER, Change(expires_at=THIRD_END))


async def renew_and_think_better_of_it(world: World) -> None:
    await world.emulator.online.renew(ORDER, Change(expires_at=THIRD_END))
    await world.emulator.online.unsubscribe_renewal(ORDER)


async def unsubscribe(world: World) -> None:
    await world.emulator.online.unsubscribe_renewal(ORDER)


async def freeze(world: World) -> None:
    await world.emulator.online.freeze(ORDER)


async def unfreeze(world: World) -> None:
    await world.emulator.online.unfreeze(ORDER)


async def release(world: World) -> None:
    await world.emulator.online.release(ORDER, unsubscribe=True)


async def apply(world: World, kind: str, device_info: str) -> None:
    """Ask through ISCDesk, and once more while the first application is open."""
    session = world.memory.get("session") or await open_session(world)
    wish = {"kind": kind, "device_info": device_info, "file_name": "cad.lic"}
    asked = [(await world.shop.post(f"/iscdesk/sessions/{session}/licenses", json=wish)).json() for _ in range(2)]
    assert asked[0] == asked[1]
    await world.settle()
    event = await next_event(world, session)
    told = json.loads(event["text"])["params"]
    if world.fault.may_refuse_applications and told["Status"] == "failed":
        await apply(world, kind, device_info)
        return
    assert told["Status"] == "success", told
    await take(world, told, event["file"], device_info)


async def open_session(world: World) -> str:
    (bought,) = world.emulator.online.book.all()
    body = {"instance_id": bought.instance_id, "application": "CAD", "version": "3.2.1"}
    world.memory["session"] = (await world.shop.post("/iscdesk/sessions", json=body)).json()["session"]
    return str(world.memory["session"])


async def next_event(world: World, session: str) -> dict[str, Any]:
    """Return the one event that has happened since the last one."""
    heard = world.memory.get("heard", 0)
    answer = await world.shop.get(f"/iscdesk/sessions/{session}/events", params={"after": heard, "wait": 0})
    (event,) = answer.json()["events"]
    world.memory["heard"] = event["number"]
    found: dict[str, Any] = event
    return found


async def take(world: World, told: dict[str, str], file: dict[str, str] | None, device_info: str) -> None:
    """Verify a license as the software does, with pinned keys, on its own; note what it says."""
    keys = PinnedKeys.from_jwks((await world.client.get("/.well-known/jwks.json")).json())
    believe: dict[str, Any] = {"device_info": device_info, "now": world.clock.now()}
    if file is None:
        license = verify_license(told["LicenseContent"], keys, **believe)
    else:
        license = verify_license_file(base64.b64decode(file["content"]), keys, **believe)
    handed_over = (told["LicenseType"], device_info, license.expires_at, license.quantity)
    world.memory.setdefault("handed over", []).append(handed_over)


async def ask_for_a_string(world: World) -> None:
    await apply(world, "string", DEVICE)


async def ask_for_another_device(world: World) -> None:
    await apply(world, "string", OTHER_DEVICE)


FIRST = ("string", DEVICE, FIRST_END, 1)
SECOND = ("string", OTHER_DEVICE, SECOND_END, 3)
LIFE = (
    Chapter("bought", buy, look, Seen()),
    Chapter("asked for", ask_for_a_string, look, Seen(devices=1, handed_over=(FIRST,))),
    Chapter("renewed twice", renew_twice, look, Seen(ends_at=THIRD_END, devices=1, handed_over=(FIRST,))),
    Chapter("a renewal undone", unsubscribe, look, Seen(ends_at=SECOND_END, devices=1, handed_over=(FIRST,))),
    Chapter(
        "a renewal undone at once", renew_and_think_better_of_it, look,
        Seen(ends_at=SECOND_END, devices=1, handed_over=(FIRST,)),
    ),
    Chapter(
        "upgraded", lambda world: world.emulator.online.upgrade(ORDER, Change(linear_value=3)), look,
        Seen(ends_at=SECOND_END, amount=3, devices=1, handed_over=(FIRST,)),
    ),
    Chapter(
        "a second device", ask_for_another_device, look,
        Seen(ends_at=SECOND_END, amount=3, devices=2, handed_over=(FIRST, SECOND)),
    ),
    Chapter(
        "frozen", freeze, look,
        Seen("FROZEN", YEARLY, 3, SECOND_END, is_frozen=True, devices=2, handed_over=(FIRST, SECOND)),
    ),
    Chapter("unfrozen", unfreeze, look, Seen("OPEN", YEARLY, 3, SECOND_END, devices=2, handed_over=(FIRST, SECOND))),
    Chapter(
        "released", release, look,
        Seen("RELEASED", YEARLY, 3, SECOND_END, is_released=True, devices=2, handed_over=(FIRST, SECOND)),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_an_online_license_lives_its_life(world: World, fault: Fault) -> None:
    await world.live(LIFE, fault)


# -- a trial of a product whose licenses are files, asked for before the server knows what was ordered -----------------


async def try_and_ask_at_once(world: World) -> None:
    item = Item(product_id=MONTHLY, linear_value=1)
    instance, _ = world.emulator.online.buy(
        Purchase(item=item, order_type=OrderType.TRIAL, expires_at=TRIAL_END, order_id=ORDER)
    )
    await world.knock_until(lambda: instance.instance_id is not None)
    await apply(world, "file", DEVICE)


async def formalize(world: World) -> None:
    await world.emulator.online.formalize(ORDER, Change(product_id=YEARLY, expires_at=FIRST_END))


async def renew_with_more_places(world: World) -> None:
    """A question that arrives damaged is refused, and ends the sale: the buyer tries again."""
    change = Change(linear_value=2, expires_at=SECOND_END)
    for _ in range(3):
        with suppress(ControlError):
            await world.emulator.online.renew_changed(ORDER, change)
            return
    raise AssertionError("the sale was refused each time")


async def ask_for_a_file(world: World) -> None:
    await apply(world, "file", DEVICE)


TRIAL_END = datetime(2026, 4, 1, tzinfo=UTC)
TRIED, BOUGHT = ("file", DEVICE, TRIAL_END, 1), ("file", DEVICE, SECOND_END, 2)
TRIAL = (
    Chapter("tried", try_and_ask_at_once, look, Seen("OPEN", MONTHLY, 1, TRIAL_END, devices=1, handed_over=(TRIED,))),
    Chapter("bought", formalize, look, Seen("OPEN", YEARLY, 1, FIRST_END, devices=1, handed_over=(TRIED,))),
    Chapter(
        "changed", renew_with_more_places, look, Seen("OPEN", YEARLY, 2, SECOND_END, devices=1, handed_over=(TRIED,))
    ),
    Chapter(
        "asked for", ask_for_a_file, look,
        Seen("OPEN", YEARLY, 2, SECOND_END, devices=1, handed_over=(TRIED, BOUGHT)),
    ),
)  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_a_trial_becomes_a_license_in_files(world: World, fault: Fault) -> None:
    with transaction(world.runtime.database) as session:
        for product_id in (MONTHLY, YEARLY):
            session.add(Product(product_id=product_id, name="CAD", deliver_as="file"))

    await world.live(TRIAL, fault)


@pytest.mark.parametrize("names", UnsubscribeNames)
async def test_an_undone_renewal_stays_undone_in_either_reading(world: World, names: UnsubscribeNames) -> None:
    world.emulator.change_settings(unsubscribe_names=names)

    await world.live(LIFE[:4], FAULTS[0])


async def renew_and_upgrade_for_longer(world: World) -> None:
    await world.emulator.online.renew(ORDER, Change(expires_at=SECOND_END))
    world.clock.advance(minutes=1)
    await world.emulator.online.upgrade(ORDER, Change(linear_value=3, expires_at=THIRD_END))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_an_upgrade_counts_next_to_a_renewal(world: World, fault: Fault) -> None:
    upgraded = Chapter("upgraded", renew_and_upgrade_for_longer, look, Seen(ends_at=THIRD_END, amount=3))

    await world.live((LIFE[0], upgraded), fault)
