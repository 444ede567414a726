"""Server and marketplace joined both ways.

The soak plays every life under every fault on SQLite, and on PostgreSQL under those that make messages meet each other.
Each day plays a sixth of it: every fault meets some lives, every life some faults on both databases. What is particular
to a database (races, locks) is tested where it belongs, on both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest

from licsrv import app as application
from licsrv.emulator.app import create_app as create_emulator
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.settings import EmulatorSettings
from licsrv.platform.config import Settings
from tests.conftest import ACCESS_KEY, AK, SK, StandingClock
from tests.stories.faults import FAULTS, NO_FAULT, Fault
from tests.stories.world import Road, World

_NEVER_BY_ITSELF = 1e-6  # two minutes between two tries become four years: a turn of the story ends them
_ON_BOTH = frozenset(
    {"nothing", "callbacks doubled", "callbacks reordered", "answers to callbacks lost", "open API's answers lost"}
)


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _is_for_sqlite_only(item)]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not _is_for_sqlite_only(item)]
    for item in items:
        if _fault(item) and not _is_for_every_day(item):
            item.add_marker(pytest.mark.soak)


def _fault(item: pytest.Item) -> Fault | None:
    found = _parameters(item).get("fault")
    return found if isinstance(found, Fault) else None


def _parameters(item: pytest.Item) -> dict[str, object]:
    return getattr(getattr(item, "callspec", None), "params", {})


def _is_for_sqlite_only(item: pytest.Item) -> bool:
    fault = _fault(item)
    return fault is not None and _parameters(item)["database_url"] == "postgresql" and fault.name not in _ON_BOTH


def _is_for_every_day(item: pytest.Item) -> bool:
    fault = _fault(item)
    assert fault is not None
    life = len(item.name.split("[")[0])  # any number that stays the same
    return fault in (FAULTS[0], FAULTS[-1]) or (FAULTS.index(fault) + life) % 12 == 0


@pytest.fixture
async def world(settings: Settings, clock: StandingClock) -> AsyncIterator[World]:
    road = Road(httpx2.MockTransport(lambda _: httpx2.Response(503)))
    shop_settings = EmulatorSettings(
        callback_url="http://licsrv.test/marketplace/callback", access_key=ACCESS_KEY, ak=AK, sk=SK,
        speed=_NEVER_BY_ITSELF,
    )  # fmt: skip
    shop_app = create_emulator(shop_settings, transport=road, now=clock.now)
    emulator: Emulator = shop_app.state.emulator
    to_shop = httpx2.ASGITransport(app=shop_app)
    runtime = application.build_runtime(settings, clock=clock, transport=to_shop)
    road.server = httpx2.ASGITransport(app=application.create_app(runtime))
    async with (
        httpx2.AsyncClient(transport=road.server, base_url="http://licsrv.test") as client,
        httpx2.AsyncClient(transport=to_shop, base_url="http://shop.test") as shop,
    ):
        yield World(runtime, emulator, clock, road, client, shop, NO_FAULT)
    await emulator.aclose()
    await runtime.close()
