"""A process with its desk, and a marketplace to buy from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from licsrv import audit
from licsrv.audit import Cause
from licsrv.emulator.emulator import Emulator
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.people.roles import GRANTABLE
from licsrv.platform.db import transaction
from tests.conftest import DEVICE, StandingClock
from tests.staff import House, Visitor

_NUMBERS = count(1)


@dataclass
class Desk:
    """Somebody at the desk, and customers who buy and use licenses."""

    house: House
    emulator: Emulator
    clock: StandingClock
    visitor: Visitor

    def buy(self, *, amount: int = 2, days: int = 30, product_id: str = "OFFI1") -> str:
        code: str = self.emulator.codes.buy(product_id=product_id, amount=amount, days=days, received=True).code
        return code

    def sell(self, *, days: int | None = 30, places: int | None = 2, product_id: str = "", customer: str = "") -> str:
        """Sell a license without the marketplace; return its code."""
        now = self.clock.now()
        end = now + timedelta(days=days) if days is not None else None
        code = f"OWN{next(_NUMBERS):07}"
        purchase = Purchase(code, MANUAL, product_id, customer=customer, device_limit=places, expires_at=end)
        with transaction(self.house.runtime.database, (audit.seal,)) as session:
            changes.add(session, purchase, cause=Cause("test"), now=now)
        return code

    async def string(self, code: str, device: str = DEVICE, name: str = "CAD-WS-07") -> str:
        body = {"code": code, "device_info": device, "nonce": "n", "client": {"name": name, "version": "3.2.1"}}
        answer = await self.visitor.http.post("/v1/licenses/string", json=body)
        assert answer.status_code == 200, answer.text
        text: str = answer.json()["license_string"]
        return text

    async def ask(self, code: str, device: str) -> Any:
        body = {"code": code, "device_info": device, "nonce": "n", "client": {"name": "other"}}
        return await self.visitor.http.post("/v1/licenses/string", json=body)

    async def beat(self, text: str, device: str = DEVICE) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {text}"}
        body = {"nonce": "n", "device_info": device}
        answer = await self.visitor.http.post("/v1/heartbeats", json=body, headers=headers)
        document: dict[str, Any] = answer.json()
        return document

    async def get(self, path: str) -> dict[str, Any]:
        answer = await self.visitor.call("GET", f"/admin/api{path}")
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def post(self, path: str, body: object, *, status: int = 200, **headers: str) -> dict[str, Any]:
        answer = await self.visitor.call("POST", f"/admin/api{path}", body, **headers)
        assert answer.status_code == status, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def search(self, text: str) -> dict[str, Any]:
        return await self.post("/search", {"text": text})

    async def act(self, code: str, action: str, *, status: int = 200, **arguments: Any) -> dict[str, Any]:
        body = {"reason": "because", **arguments}
        return await self.post(f"/licenses/{code}/actions/{action}/do", body, status=status)


@pytest.fixture
async def desk(house: House, emulator: Emulator, clock: StandingClock) -> Desk:
    visitor = house.program(GRANTABLE)
    return Desk(house, emulator, clock, visitor)
