"""The console of a whole process: as pages over HTTP, and behind a loopback port for a real browser."""

from __future__ import annotations

import html
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
import uvicorn
from starlette.types import ASGIApp

from tests.staff import BASE, House, house

__all__ = ["house"]

CSRF = re.compile(r'name="csrf" value="([^"]*)"')
KEY = re.compile(r'name="key" value="([^"]*)"')


@dataclass
class Reader:
    """A browser without a screen: keeps cookies, and sends forms as a page would."""

    http: httpx2.AsyncClient

    async def see(self, path: str, **headers: str) -> httpx2.Response:
        return await self.http.get(path, headers=headers)

    async def send(self, path: str, *, on: str | None = None, **fields: Any) -> httpx2.Response:
        """Send a form with the hidden fields of the page ``on`` which it stands."""
        page = (await self.see(on or path)).text
        csrf, key = CSRF.search(page), KEY.search(page)
        hidden = {"csrf": html.unescape(csrf[1]) if csrf else "", "key": key[1] if key else ""}
        return await self.post(path, **hidden | fields)

    async def post(self, path: str, **fields: Any) -> httpx2.Response:
        return await self.http.post(path, data=fields, headers={"Origin": BASE})


def reader(house: House, name: str | None = None, *, language: str = "en") -> Reader:
    """Return somebody's browser; nobody's where no name is given."""
    http = (house.signed_in(name) if name else house.visitor()).http
    http.headers["Accept-Language"] = language
    return Reader(http)


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
    """Serve an application on a loopback port, without its work in the background."""
    # Without a log_config uvicorn would give its loggers handlers of their own, for every test that comes after.
    config = uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def anyone(house: House) -> Reader:
    return reader(house)
