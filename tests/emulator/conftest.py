"""An emulator in this process, a merchant that writes down what it is sent, and a client that signs."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from licsrv.emulator import Emulator, EmulatorSettings, create_app
from tests.emulator.online import OnlineMerchant, Shop
from tests.emulator.open_api_client import OpenApiClient

ACTIVATE = "/v1/license/activate"
ACTIVATE_BATCH = "/v2/license/activate"
HEARTBEAT = "/v1/license/heartbeat"
USAGE = "/v2/license/software-usage-info"
START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
SUCCESS = b'{"resultCode":"000000","resultMsg":"success."}'


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Callback:
    """One request the merchant received."""

    query: dict[str, str]
    body: bytes
    content_type: str

    @property
    def members(self) -> dict[str, Any]:
        members: dict[str, Any] = json.loads(self.body)
        return members


@dataclass
class Merchant:
    """An ASGI application that answers success, unless told otherwise."""

    answers: deque[tuple[int, bytes]] = field(default_factory=deque)
    received: list[Callback] = field(default_factory=list)
    delay: float = 0.0
    error: Exception | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        body = await request.body()
        self.received.append(Callback(dict(request.query_params), body, request.headers["content-type"]))
        if self.error:
            raise self.error
        await asyncio.sleep(self.delay)
        status, content = self.answers.popleft() if self.answers else (200, SUCCESS)
        await Response(content, status)(scope, receive, send)

    @property
    def activities(self) -> list[str]:
        return [callback.members["activity"] for callback in self.received]


@pytest.fixture
def merchant() -> Merchant:
    return Merchant()


@pytest.fixture
async def app(merchant: Merchant) -> AsyncIterator[Starlette]:
    settings = EmulatorSettings(
        callback_url="https://merchant.test/marketplace/callback",
        speed=1e6,
        callback_time_limit=timedelta(milliseconds=40),
    )
    app = create_app(settings, transport=httpx2.ASGITransport(merchant), now=lambda: START)
    yield app
    await app.state.emulator.aclose()


@pytest.fixture
def emulator(app: Starlette) -> Emulator:
    emulator: Emulator = app.state.emulator
    return emulator


@pytest.fixture
async def http(app: Starlette) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://mkt.test") as client:
        yield client


@pytest.fixture
def open_api(http: httpx2.AsyncClient, emulator: Emulator) -> OpenApiClient:
    return OpenApiClient(http, emulator)


@pytest.fixture
def online_merchant() -> OnlineMerchant:
    return OnlineMerchant()


@pytest.fixture
async def shop(online_merchant: OnlineMerchant) -> AsyncIterator[Shop]:
    """A shop that sells online licenses of that merchant."""
    settings = EmulatorSettings(callback_url="https://merchant.test/marketplace/callback", speed=1e6)
    app = create_app(settings, transport=httpx2.ASGITransport(online_merchant), now=lambda: START)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://mkt.test") as client:
        yield Shop(client, OpenApiClient(client, app.state.emulator))
    await app.state.emulator.aclose()
