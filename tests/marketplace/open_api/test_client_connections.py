"""The open API client on real connections: answers that come byte by byte, and certificates."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
import trustme

from licsrv.errors import MarketplaceUnansweredError
from licsrv.marketplace.open_api.client import KeyPair, OpenApi, ReportedStatus

PLENTY = timedelta(seconds=30)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Answers(asyncio.Protocol):
    """Answers the first bytes with a success and hangs up."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        body = json.dumps({"error_code": "92020000", "error_msg": "success", "data": {"status": "ALIVE"}}).encode()
        head = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
        self.transport.write(head + body)
        self.transport.close()


class Dribbles(Answers):
    """Sends a byte every few milliseconds, so that no single read ever times out."""

    def data_received(self, data: bytes) -> None:
        self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        self.dribble()

    def dribble(self) -> None:
        if not self.transport.is_closing():
            self.transport.write(b" ")
            asyncio.get_running_loop().call_later(0.005, self.dribble)


@asynccontextmanager
async def listening(protocol: Callable[[], Answers], tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield f"{'https' if tls else 'http'}://localhost:{server.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def api_at(url: str, *, verify: ssl.SSLContext | bool = True) -> AsyncIterator[OpenApi]:
    async with httpx2.AsyncClient(verify=verify, trust_env=False) as http:
        pair = KeyPair("TESTAK", "testsecret")
        yield OpenApi(http, base_urls=[url], key_pair=pair, clock=lambda: datetime(2026, 1, 1, tzinfo=UTC))


async def test_an_answer_that_comes_byte_by_byte_does_not_stretch_the_time_limit() -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()

    async with listening(Dribbles) as url, api_at(url) as api:
        with pytest.raises(MarketplaceUnansweredError, match="no answer within"):
            await api.query("PL1", time_limit=timedelta(milliseconds=150))

    assert loop.time() - started < 2


async def test_a_server_that_is_not_there_is_no_answer() -> None:
    async with listening(Answers) as url:
        pass

    async with api_at(url) as api:
        with pytest.raises(MarketplaceUnansweredError, match="ConnectError"):
            await api.query("PL1", time_limit=PLENTY)


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.fixture
def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_a_certificate_of_an_unknown_authority_is_refused(tls: ssl.SSLContext) -> None:
    async with listening(Answers, tls) as url, api_at(url) as api:
        with pytest.raises(MarketplaceUnansweredError, match=r"(?i)certificate verify failed"):
            await api.query("PL1", time_limit=PLENTY)


async def test_a_certificate_for_another_name_is_refused(tls: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with listening(Answers, tls) as url, api_at(url.replace("localhost", "127.0.0.1"), verify=trusting) as api:
        with pytest.raises(MarketplaceUnansweredError, match=r"(?i)certificate verify failed"):
            await api.query("PL1", time_limit=PLENTY)


async def test_a_certificate_of_a_known_authority_is_accepted(tls: ssl.SSLContext, trusting: ssl.SSLContext) -> None:
    async with listening(Answers, tls) as url, api_at(url, verify=trusting) as api:
        assert (await api.query("PL1", time_limit=PLENTY)).status is ReportedStatus.ALIVE
