"""The server is killed while programs take, renew, borrow and return seats: none is lost, none is doubled."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import update
from sqlmodel import col, select

from licsrv import audit
from licsrv.audit import Cause
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.origins import MANUAL
from licsrv.platform.clock import Clock
from licsrv.platform.db import Database, open_database, reading, transaction
from licsrv.seats.tables import Presence, Seat
from tests.processes import install, serving
from tests.products import describe
from tests.seats.conftest import CODE, device
from tests.soak import amount

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]
SEATS, PROGRAMS = 6, 6
POLICY = {"places.floating": True, "floating.borrow_days": 3, "floating.borrow_percent": 100}


@dataclass
class Worker:
    """A program that takes, renews, borrows and returns its seat as fast as it can, and notes what was acknowledged."""

    number: int
    string: str = ""
    seat_id: str = ""
    borrowed_until: str = ""
    returned: list[str] = field(default_factory=list)
    in_doubt: str = ""

    def ask(self, address: str, path: str, **body: Any) -> dict[str, Any]:
        known = {"session": f"session-of-worker-{self.number}", "device_info": device(self.number), "nonce": "n"}
        headers = {"Authorization": f"Bearer {self.string}"}
        answer = httpx2.post(
            f"{address}/v1/seats/{path}", json=known | body, headers=headers, trust_env=False, timeout=10
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def fetch_string(self, address: str) -> None:
        body = {"code": CODE, "device_info": device(self.number), "nonce": "n"}
        answer = httpx2.post(f"{address}/v1/licenses/string", json=body, trust_env=False, timeout=10)
        self.string = answer.json()["license_string"]

    def work(self, address: str, chance: random.Random) -> None:
        """Go on until the server is gone; what was asked last is in doubt then."""
        try:
            while True:
                self.in_doubt = chance.choice(["renew", "renew", "borrow", "return"]) if self.seat_id else "checkout"
                self.do(address, chance)
        except httpx2.HTTPError:
            return

    def do(self, address: str, chance: random.Random) -> None:
        if self.in_doubt == "checkout":
            self.seat_id, self.borrowed_until = self.ask(address, "checkout")["seat_id"], ""
        elif self.in_doubt == "renew":
            self.ask(address, "renew", seat_id=self.seat_id)
        elif self.in_doubt == "borrow":
            until = Clock().now() + timedelta(hours=chance.randint(1, 70))
            self.borrowed_until = self.ask(address, "borrow", seat_id=self.seat_id, until=until.isoformat())["until"]
        else:
            self.ask(address, "return", seat_id=self.seat_id)
            self.returned.append(self.seat_id)
            self.seat_id = self.borrowed_until = ""


@pytest.fixture
def folder(tmp_path: Path, sqlite_pattern: Path, keys_dir: Path) -> Path:
    install(tmp_path, database=sqlite_pattern, keys=keys_dir)
    database = opened(tmp_path)
    with transaction(database, (audit.seal,)) as session:
        describe(session, CODE, POLICY)
        changes.add(session, Purchase(CODE, MANUAL, CODE, device_limit=SEATS), cause=Cause("test"), now=Clock().now())
    database.dispose()
    return tmp_path


def opened(folder: Path) -> Database:
    database = open_database(f"sqlite:///{folder}/licsrv.db")
    database.seal_with(KeyFolder(folder / "keys").seals)
    return database


def rows(folder: Path) -> dict[str, Seat]:
    database = opened(folder)
    with reading(database) as session:
        assert audit.verify(session) is None
        found = {row.id: row for row in session.scalars(select(Seat))}
    database.dispose()
    return found


def test_a_server_that_is_killed_at_any_moment_loses_and_doubles_no_seat(folder: Path) -> None:
    chance = random.Random(7)
    workers = [Worker(number) for number in range(PROGRAMS)]
    for _ in range(amount(short=4, whole=40)):
        with serving(folder) as server:
            for worker in workers:
                if not worker.string:
                    worker.fetch_string(server.address)
            threads = [
                threading.Thread(target=worker.work, args=(server.address, random.Random(worker.number)))
                for worker in workers
            ]
            for thread in threads:
                thread.start()
            time.sleep(chance.uniform(0.05, 0.6))
            server.kill()
            for thread in threads:
                thread.join()
        require_nothing_lost(workers, rows(folder))


def require_nothing_lost(workers: list[Worker], found: dict[str, Seat]) -> None:
    held = [row for row in found.values() if row.ended_at is None]
    assert len(held) <= SEATS
    assert len({row.device_id for row in held}) == len(held), "each worker is alone on its device"
    for worker in workers:
        assert all(found[seat_id].ended_at is not None for seat_id in worker.returned)
        if worker.seat_id and worker.in_doubt != "return":
            row = found[worker.seat_id]
            assert row.ended_at is None
            if worker.borrowed_until and worker.in_doubt != "borrow":
                assert row.borrowed_until == datetime.fromisoformat(worker.borrowed_until)
        elif worker.seat_id and found[worker.seat_id].ended_at is not None:  # the return whose answer was lost
            worker.seat_id = ""


def test_a_seat_outlasts_the_death_of_its_server_and_an_hour_without_one(folder: Path) -> None:
    holder, newcomer = Worker(0), Worker(1)
    with serving(folder) as server:
        for worker in (holder, newcomer):
            worker.fetch_string(server.address)
        seat_id = holder.ask(server.address, "checkout")["seat_id"]
        for number in range(2, SEATS + 1):
            other = Worker(number)
            other.fetch_string(server.address)
            other.ask(server.address, "checkout")
        server.kill()
    database = opened(folder)
    with transaction(database) as session:  # as if an hour had passed
        moments = session.execute(select(Seat.id, Seat.until)).all()
        for found, until in moments:
            session.execute(update(Seat).where(col(Seat.id) == found).values(until=until - timedelta(hours=1)))
        noted = Clock().now() - timedelta(hours=1)
        session.execute(update(Presence).values(noted_at=noted))
    database.dispose()

    with serving(folder) as server:
        with pytest.raises(AssertionError, match="NO_SEAT_FREE"):
            newcomer.ask(server.address, "checkout")
        assert holder.ask(server.address, "renew", seat_id=seat_id)["seat_id"] == seat_id
