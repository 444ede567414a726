"""A license with a life: bought, on two machines, used for a while, one of them refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import httpx2

from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing import store as licensing
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.platform.db import reading, transaction
from tests.conftest import DEVICE, OTHER_DEVICE, StandingClock
from tests.staff import House

CODE = "PL2026000123"
THIRD_DEVICE = "DE:AD:BE:EF:00:01|SSD-77|BOARD-3|CPU-3"


@dataclass
class Furnished:
    """What was put in."""

    license_id: str
    license_string: str


async def furnish(house: House, code: str = CODE, customer: str = "Eastern Tools Ltd.", days: int = 4) -> Furnished:
    """Let a license of two places be bought, taken by two devices, used for some days, and asked for by a third."""
    clock = house.runtime.clock
    assert isinstance(clock, StandingClock)
    purchase = Purchase(
        code, MANUAL, product_id="CAD-PRO", order_id=f"CS-{code[-4:]}", customer=customer, device_limit=2,
        expires_at=clock.now() + timedelta(days=20),
    )  # fmt: skip
    with transaction(house.runtime.database, (audit.seal,)) as session:
        changes.add(session, purchase, cause=Cause("staff:test", "", "bought"), now=clock.now())
    transport = httpx2.ASGITransport(app=house.app)
    async with httpx2.AsyncClient(transport=transport, base_url="https://licsrv.test") as http:
        first = await ask(http, code, DEVICE, "CAD-WS-07")
        second = await ask(http, code, OTHER_DEVICE, "CAD-WS-08")
        for day in range(days):
            clock.advance(days=1)
            for string, device in ((first, DEVICE), (second, OTHER_DEVICE))[: 1 + day % 2]:
                headers = {"Authorization": f"Bearer {string.json()['license_string']}"}
                body = {"nonce": "n", "device_info": device, "client": {"version": "3.2.1"}}
                answer = await http.post("/v1/heartbeats", json=body, headers=headers)
                assert answer.status_code == 200, answer.text
        refused = await ask(http, code, THIRD_DEVICE, "CAD-WS-09")
    assert refused.status_code == 409, refused.text
    return Furnished(license_id(house, code), str(first.json()["license_string"]))


async def furnish_many(house: House, codes: list[str]) -> None:
    """Let licenses be bought that nobody uses yet."""
    now = house.runtime.clock.now()
    with transaction(house.runtime.database, (audit.seal,)) as session:
        for code in codes:
            changes.add(session, Purchase(code, MANUAL, customer="Reseller"), cause=Cause("staff:test"), now=now)


def license_id(house: House, code: str) -> str:
    with reading(house.runtime.database) as session:
        found = licensing.license_by_code(session, code)
        assert found is not None
        return found.id


async def ask(http: httpx2.AsyncClient, code: str, device: str, name: str) -> httpx2.Response:
    body = {"code": code, "device_info": device, "nonce": "n", "client": {"name": name, "version": "3.2.1"}}
    return await http.post("/v1/licenses/string", json=body)
