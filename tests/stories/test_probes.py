"""The marketplace's twice-daily probe: saved debug cases of every scene are answered 000000 and change nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from licsrv.audit.tables import AuditEntry
from licsrv.emulator.online_license.messages import SAMPLE_INSTANCE
from licsrv.emulator.online_license.orders import Item
from licsrv.emulator.online_license.purchases import Purchase
from licsrv.licensing.tables import Device, IssuedLicense, License
from licsrv.marketplace.tables import Application, Instance, OrderRecord
from licsrv.outbox.tables import OutboxRow
from tests.conftest import DEVICE
from tests.stories.world import Fault, World

END = datetime(2027, 3, 1, tzinfo=UTC)
HALF_A_DAY = timedelta(hours=12)
SCENES = 16
TABLES = (License, Device, IssuedLicense, Instance, OrderRecord, Application, OutboxRow, AuditEntry)


def state(world: World) -> list[list[dict[str, Any]]]:
    """Return every row that a callback could change."""
    return [[row.model_dump() for row in world.rows(table)] for table in TABLES]


async def with_a_code_and_an_instance(world: World) -> tuple[str, str]:
    code = world.emulator.codes.buy(expires_at=END).code
    assert (await world.ask(code, DEVICE)).status_code == 200
    instance, _ = world.emulator.online.buy(Purchase(item=Item(), expires_at=END))
    await world.settle()
    return code, instance.require_id()


async def probe(world: World) -> dict[str, Any]:
    world.emulator.probes.start_round()
    await world.settle()
    return world.emulator.probes.view()


def answers(world: World, shown: dict[str, Any]) -> dict[str, str]:
    ids = shown["rounds"][-1]["callback_ids"]
    return {name: world.emulator.courier.get(id).attempts[-1].result_code for name, id in ids.items()}


@pytest.mark.parametrize("seconds", [0, 55, -55])
async def test_every_scene_is_answered_and_nothing_changes(world: World, seconds: int) -> None:
    await with_a_code_and_an_instance(world)
    world.suffer(Fault("the marketplace's clock is off", clock=seconds))
    before = state(world)

    shown = await probe(world)

    assert len(shown["cases"]) == SCENES
    assert set(answers(world, shown).values()) == {"000000"}
    assert shown["failing"] == []
    assert state(world) == before


async def test_cases_saved_with_real_names_change_nothing_either(world: World) -> None:
    code, instance = await with_a_code_and_an_instance(world)
    for name, body in world.emulator.probes.cases().items():
        saved = {**body, **({"instanceId": instance} if body.get("instanceId") == SAMPLE_INSTANCE else {})}
        world.emulator.probes.save(name, saved | ({"license": code} if "license" in body else {}))
    before = state(world)

    shown = await probe(world)

    assert set(answers(world, shown).values()) == {"000000"}
    assert state(world) == before


@pytest.mark.soak
async def test_a_fortnight_of_probes_keeps_the_trade_open(world: World) -> None:
    for _ in range(28):
        shown = await probe(world)
        world.clock.advance(seconds=HALF_A_DAY.total_seconds())

    assert (shown["failing_rounds_in_a_row"], shown["trading_frozen"]) == (0, False)
    assert state(world) == [[] for _ in TABLES]


async def test_a_round_that_met_a_broken_server_is_made_good_by_the_next(world: World) -> None:
    world.suffer(Fault("server answers 5xx", road=((503, False),) * SCENES))
    assert len((await probe(world))["failing"]) == SCENES

    assert (await probe(world))["failing"] == []
