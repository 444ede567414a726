"""A process with its desk, and a marketplace to buy from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from licsrv.emulator.emulator import Emulator
from licsrv.people.roles import GRANTABLE
from tests.conftest import DEVICE, StandingClock
from tests.staff import House, Visitor


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
