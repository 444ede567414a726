"""A floating license of three seats, and programs that use it."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

import httpx2
import pytest

from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests.conftest import DEVICE, NOW, StandingClock
from tests.products import describe

CODE = "FLOAT-1"
FLOATING = {"places.floating": True}
_numbers = count(1)


def device(number: int) -> str:
    """Return the text of one of many machines that share no part."""
    return f"04:7C:16:00:{number >> 8:02X}:{number & 255:02X}|DISK-{number}|BOARD-{number}|CPU"


@dataclass
class Program:
    """A running program: a device, its license string, and a session."""

    http: httpx2.AsyncClient
    string: str
    device: str = DEVICE
    session: str = ""
    seat_id: str = ""

    def __post_init__(self) -> None:
        self.session = self.session or f"session-{next(_numbers):012}"

    async def call(self, path: str, **body: Any) -> httpx2.Response:
        known = {"session": self.session, "device_info": self.device, "nonce": "nonce-1"}
        if self.seat_id and path != "checkout":
            known["seat_id"] = self.seat_id
        headers = {"Authorization": f"Bearer {self.string}"}
        answer = await self.http.post(f"/v1/seats/{path}", json=known | body, headers=headers)
        if answer.status_code == 200:
            self.seat_id = answer.json()["seat_id"]
        return answer

    async def done(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.call(path, **body)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    async def refused(self, path: str, **body: Any) -> dict[str, Any]:
        answer = await self.call(path, **body)
        assert answer.status_code >= 400, answer.text
        document: dict[str, Any] = answer.json()
        assert document["action"]
        return document

    def again(self) -> Program:
        """Return another program on the same device."""
        return Program(self.http, self.string, self.device)


@dataclass
class Office:
    """A customer with a floating license."""

    runtime: Runtime
    http: httpx2.AsyncClient
    clock: StandingClock

    def sell(self, code: str = CODE, *, seats: int = 3, policy: dict[str, Any] | None = None, **facts: Any) -> str:
        """Sell a license of a product of its own; return the license's id."""
        with transaction(self.runtime.database, (audit.seal,)) as session:
            describe(session, code, FLOATING | (policy or {}))
            purchase = Purchase(code, MANUAL, code, device_limit=seats, **facts)
            return changes.add(session, purchase, cause=Cause("test"), now=NOW).id

    def pass_time(self, **span: float) -> None:
        """Let time pass in which the service is alive."""
        self.clock.advance(**span)
        self.runtime.replica.noted_at = self.clock.now()

    async def program(self, number: int = 0, code: str = CODE) -> Program:
        """Start a program on a machine of its own."""
        text = device(number)
        body = {"code": code, "device_info": text, "nonce": "n", "client": {"name": f"CAD-{number}"}}
        answer = await self.http.post("/v1/licenses/string", json=body)
        assert answer.status_code == 200, answer.text
        return Program(self.http, answer.json()["license_string"], text)

    async def programs(self, number: int, code: str = CODE) -> list[Program]:
        return [await self.program(one, code) for one in range(number)]


@pytest.fixture
def office(runtime: Runtime, client: httpx2.AsyncClient, clock: StandingClock) -> Office:
    return Office(runtime, client, clock)


def claims_of(token: str) -> dict[str, Any]:
    """Read the claims of a signed text without verifying it."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    return claims


def header_of(token: str) -> dict[str, Any]:
    return claims_of(f".{token.split('.', maxsplit=1)[0]}")


Step = Callable[[], Any]
