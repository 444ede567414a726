"""A lived-in installation: licenses bought, used, renewed, frozen, refused; callbacks good and bad; a full outbox."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
from starlette.types import ASGIApp, Receive, Scope, Send

from licsrv import app as application
from licsrv.emulator.app import create_app as create_emulator
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.settings import EmulatorSettings
from licsrv.runtime import Runtime
from tests.conftest import ACCESS_KEY, AK, DEVICE, OTHER_DEVICE, SK, StandingClock, make_settings

HOSTILE = "[red]x[/red] =1+1,\u202e:smile:"


@dataclass
class Later:
    """An application that is known only after whoever talks to it."""

    app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app is not None
        await self.app(scope, receive, send)


@dataclass
class House:
    """A running service with its marketplace, both in this process."""

    runtime: Runtime
    emulator: Emulator
    client: httpx2.AsyncClient
    clock: StandingClock

    async def string(self, code: str, device: str = DEVICE, name: str = "") -> str:
        body = {"code": code, "device_info": device, "nonce": "n", "client": {"name": name, "version": "3.2.1"}}
        answer = await self.client.post("/v1/licenses/string", json=body)
        assert answer.status_code == 200, answer.text
        license_string: str = answer.json()["license_string"]
        return license_string

    async def beat(self, license_string: str, device: str = DEVICE) -> None:
        headers = {"Authorization": f"Bearer {license_string}"}
        body = {"nonce": "n", "device_info": device}
        answer = await self.client.post("/v1/heartbeats", json=body, headers=headers)
        assert answer.status_code == 200, answer.text


@asynccontextmanager
async def house(url: str, keys_dir: Path) -> AsyncIterator[House]:
    clock = StandingClock(datetime.now(UTC) - timedelta(hours=3))
    later = Later()
    marketplace = create_emulator(
        EmulatorSettings(
            callback_url="http://127.0.0.1:9/marketplace/callback", access_key=ACCESS_KEY, ak=AK, sk=SK, speed=100_000
        ),
        now=clock.now,
        transport=httpx2.ASGITransport(app=later),
    )
    settings = make_settings(url, keys_dir)
    runtime = application.build_runtime(settings, clock=clock, transport=httpx2.ASGITransport(app=marketplace))
    later.app = application.create_app(runtime)
    transport = httpx2.ASGITransport(app=later)
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        yield House(runtime, marketplace.state.emulator, client, clock)
    await runtime.close()
    await marketplace.state.emulator.aclose()


@dataclass(frozen=True)
class Furnished:
    """The codes of what was furnished."""

    used: str
    frozen: str
    parked: str


async def furnish(url: str, keys_dir: Path) -> Furnished:
    """Live in the house for three hours."""
    async with house(url, keys_dir) as home:
        codes = home.emulator.codes
        used = codes.buy(product_id="OFFI1", amount=2, days=365, received=True).code
        license_string = await home.string(used, name=HOSTILE)
        await home.string(used, OTHER_DEVICE, name="本田の机")
        await home.beat(license_string)
        await home.runtime.worker.drain()
        home.clock.advance(hours=1)
        await codes.renew(used, days=365)
        await home.emulator.settle()
        await home.runtime.worker.drain()

        frozen = codes.buy(product_id="OFFI1", amount=1, days=3, received=True).code
        await home.string(frozen)
        await codes.freeze(frozen)
        await home.emulator.send_callback(
            {"activity": "RELEASE_LICENSE", "license": "PLUNKNOWN", "orderId": "CS1", "orderLineId": "L1"}
        )
        await home.client.post("/marketplace/callback", content=b"{}")
        await home.emulator.settle()

        parked = codes.buy(product_id="OFFI2", amount=1, days=30, received=True).code
        await home.beat(await home.string(parked))
        home.emulator.set_fault("open_api", "error_code", "92020002", path="usage", times=1)
        home.clock.advance(hours=1)
        await home.runtime.worker.drain()
        await codes.release(parked)
        await home.emulator.settle()
        license_string = await home.string(used)
        home.clock.advance(days=1)
        await home.beat(license_string)
    return Furnished(used, frozen, parked)
