"""A vendor who publishes, and clients that ask."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from licsrv import audit
from licsrv.app import build_runtime
from licsrv.audit import Cause
from licsrv.licensing import changes as licensing
from licsrv.licensing import naming
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import License, Product
from licsrv.platform.config import Settings
from licsrv.platform.db import transaction
from licsrv.releases import changes
from licsrv.releases.changes import ProductRules
from licsrv.releases.publication import Publication
from licsrv.runtime import Runtime
from tests.cli.conftest import environment, licsrv  # noqa: F401
from tests.conftest import DEVICE, StandingClock

VENDOR = Cause("staff:ann", reason="It breaks files.")
PUBLICATION = Publication(
    "OFFI1", "2.0", "stable", "linux", "https://downloads.example.com/cad.bin", 123, "a" * 64,
    notes_zh="新版", notes_en="New",
)  # fmt: skip


class Vendor:
    """The vendor's people, each act a transaction of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def act(self, use_case: Any, *arguments: Any) -> Any:
        """Carry a use case out at the clock's moment; return what it returns, readable afterwards."""
        with transaction(self._runtime.database, (audit.seal,)) as session:
            session.expire_on_commit = False
            return use_case(session, *arguments, cause=VENDOR, now=self._runtime.clock.now())

    def publish(self, version: str = "2.0", **members: Any) -> str:
        """Publish a version and return its id."""
        return str(self.act(changes.publish, replace(PUBLICATION, version=version, **members)).id)

    def rules(self, product_id: str = "OFFI1", **wanted: Any) -> None:
        """Say how a product numbers and maintains its versions."""
        self.act(changes.set_rules, product_id, ProductRules(**wanted))

    def describe(self, product_id: str, name: str) -> None:
        """Give a product a name."""
        with transaction(self._runtime.database) as session:
            session.add(Product(product_id=product_id, name=name, features=[]))

    def rename(self, product_id: str, name: str) -> None:
        """Give a described product another name."""
        with transaction(self._runtime.database) as session:
            product = session.get_one(Product, product_id)
            product.former_names = naming.former_after(product.former_names, product.name, name)
            product.name = name

    def sell(self, code: str = "C-1", product_id: str = "OFFI1", **facts: Any) -> License:
        """Add a license."""
        license: License = self.act(licensing.add, Purchase(code, MANUAL, product_id=product_id, **facts))
        return license


class Buyer:
    """A client: it asks for its license, and for new versions."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client

    async def string(self, code: str = "C-1", device: str = DEVICE) -> str:
        """Return the license string of a code."""
        answer = await self._client.post(
            "/v1/licenses/string", json={"code": code, "device_info": device, "nonce": "n"}
        )
        return str(answer.json()["license_string"])

    async def ask(self, string: str | None = None, **members: Any) -> httpx2.Response:
        """Ask for a version newer than 1.0."""
        body = {"product": "OFFI1", "version": "1.0", "channel": "stable", "platform": "linux"} | members
        headers = {"Authorization": f"Bearer {string}"} if string is not None else {}
        return await self._client.post("/v1/versions/check", json=body, headers=headers)

    async def offered(self, string: str | None = None, **members: Any) -> str | None:
        """Return the version that is offered."""
        answer = await self.ask(string, **members)
        assert answer.status_code == 200, answer.text
        document = answer.json()
        assert document["available"] is (document["version"] is not None)
        version: str | None = document["version"]
        return version


@pytest.fixture
async def runtime(settings: Settings, clock: StandingClock) -> AsyncIterator[Runtime]:
    """A whole process without its listener and without a marketplace, which has no part in this."""
    runtime = build_runtime(settings, clock=clock)
    yield runtime
    await runtime.close()


@pytest.fixture
def vendor(runtime: Runtime) -> Vendor:
    return Vendor(runtime)


@pytest.fixture
def buyer(client: httpx2.AsyncClient) -> Buyer:
    return Buyer(client)
