"""The story over real sockets: the server is killed at the two worst moments, and nothing is lost or done twice."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv import audit
from licsrv.licensing.tables import Device, IssuedLicense, License
from licsrv.marketplace.tables import Application, CallUnderWay, Instance
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import open_database, reading
from tests.conftest import DEVICE
from tests.processes import Server, connected_to, emulating, install, serving

pytestmark = pytest.mark.timeout(90)
ORDER, END = "CS2603010930CRASH", "2099-03-01T00:00:00Z"
HANGS = {"side": "open_api", "kind": "delay_seconds", "value": 60}
# Retries come every 1.2 s, so the marketplace does not give an order up while the server is away.
PATIENCE = {"speed": 100, "upload_time_limit_seconds": 600}
LEASES_ARE_OVER = timedelta(minutes=5)


class Town:
    """One installation and its marketplace, both processes."""

    def __init__(self, folder: Path, shop: Server) -> None:
        self.folder = folder
        self.shop = shop

    @contextmanager
    def serving(self) -> Iterator[Server]:
        """Run the server; the marketplace finds it where it is now."""
        settings = {**connected_to(self.shop.address), "ALLOW_TEST_CLOCK": "1", "MARKETPLACE_TIMEOUT_SECONDS": "30"}
        with serving(self.folder, **settings) as server:
            self.control("POST", "/settings", PATIENCE | {"callback_url": f"{server.address}/marketplace/callback"})
            yield server

    def control(self, method: str, path: str, body: object = None) -> Any:
        answer = httpx2.request(method, f"{self.shop.address}/control{path}", json=body, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    def instance(self) -> Any:
        return self.control("GET", f"/online/instances/{ORDER}")

    def rows(self, table: Any) -> list[Any]:
        database = open_database(f"sqlite:///{self.folder}/licsrv.db")
        try:
            with reading(database) as session:
                return list(session.exec(select(table)).all())
        finally:
            database.dispose()

    def let_leases_run_out(self, server: Server) -> None:
        """Move both clocks, so that what the dead process had claimed is free."""
        later = datetime.now(UTC) + LEASES_ARE_OVER
        body = {"now": later.isoformat()}
        httpx2.post(f"{server.address}/v1/test/clock", json=body, trust_env=False).raise_for_status()
        self.control("POST", "/clock", body)

    def require_peace(self) -> None:
        """Check that nothing waits, nothing was refused, and the audit is whole."""
        until(lambda: {row.state for row in self.rows(OutboxRow)} == {"DELIVERED"})
        database = open_database(f"sqlite:///{self.folder}/licsrv.db")
        with reading(database) as session:
            assert audit.verify(session) is None
        database.dispose()


def until(is_so: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def town(tmp_path: Path, sqlite_pattern: Path, keys_dir: Path) -> Iterator[Town]:
    install(tmp_path, database=sqlite_pattern, keys=keys_dir)
    with emulating(tmp_path) as shop:
        yield Town(tmp_path, shop)


@pytest.mark.soak
def test_killed_between_newinstance_and_the_orders_answer(town: Town) -> None:
    town.control("POST", "/faults", HANGS | {"path": "order_query"})
    with town.serving() as server:
        town.control("POST", "/online/orders", {"order_id": ORDER, "expire_time": END, "linear_value": 2})
        until(lambda: town.instance()["instance_id"] is not None and bool(town.rows(CallUnderWay)))
        server.kill()
    assert [license.activated_at for license in town.rows(License)] == [None]
    town.control("DELETE", "/faults")

    with town.serving() as server:
        town.let_leases_run_out(server)
        until(lambda: bool(town.instance()["state"] == "OPEN"))
        town.require_peace()

    ((instance,), (license,)) = town.rows(Instance), town.rows(License)
    assert instance.code == license.code == town.instance()["instance_id"]
    assert (license.amount, license.expires_at) == (2, datetime.fromisoformat(END))
    assert town.instance()["problems"] == []


@pytest.mark.soak
def test_killed_between_issuing_and_the_upload(town: Town) -> None:
    with town.serving() as server:
        town.control("POST", "/online/orders", {"order_id": ORDER, "expire_time": END})
        until(lambda: bool(town.instance()["state"] == "OPEN"))
        town.control("POST", "/faults", HANGS | {"path": "upload"})
        event = town.control("POST", f"/online/instances/{ORDER}/applications", {"device_info": DEVICE})["event_id"]
        until(lambda: bool(town.rows(IssuedLicense)) and bool(town.rows(CallUnderWay)))
        server.kill()
    assert town.control("GET", f"/online/applications/{event}")["state"] == "open"
    town.control("DELETE", "/faults")

    with town.serving() as server:
        town.let_leases_run_out(server)
        until(lambda: town.control("GET", f"/online/applications/{event}")["state"] == "uploaded")
        town.require_peace()

    (issued,), (application,), (_,) = (town.rows(table) for table in (IssuedLicense, Application, Device))
    uploaded = town.control("GET", f"/online/applications/{event}")["upload"]["characters"]
    assert (application.event_id, application.issued_id) == (event, issued.id)
    assert hashlib.sha256(uploaded.encode()).hexdigest() == issued.digest
