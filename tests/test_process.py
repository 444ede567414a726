"""The service as processes: it starts, ends gracefully, survives being killed, and may run twice."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlmodel import Session, select

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.audit.tables import AuditEntry
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import changes
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.tables import Device, License
from licsrv.marketplace.callbacks import signature as callback_signature
from licsrv.marketplace.tables import CallUnderWay
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import Database, open_database, reading, transaction
from tests.conftest import ACCESS_KEY
from tests.processes import Server, connected_to, emulating, install, licsrv, serving
from tests.soak import amount

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def folder(tmp_path: Path, sqlite_pattern: Path, keys_dir: Path) -> Path:
    """An initialised installation."""
    install(tmp_path, database=sqlite_pattern, keys=keys_dir)
    return tmp_path


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[Server]:
    with emulating(tmp_path) as emulator:
        yield emulator


def database_of(folder: Path) -> Database:
    return open_database(f"sqlite:///{folder}/licsrv.db")


def device(number: int) -> str:
    return f"02:00:00:00:{number // 256:02X}:{number % 256:02X}|DISK-{number}|BOARD-{number}|CPU"


def control(emulator: Server, method: str, path: str, body: object = None) -> Any:
    answer = httpx2.request(method, f"{emulator.address}/control{path}", json=body, trust_env=False)
    answer.raise_for_status()
    return answer.json()


def client_of(*servers: Server) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=64)
    return httpx2.AsyncClient(base_url=servers[0].address, trust_env=False, timeout=20, limits=limits)


async def ask(http: httpx2.AsyncClient, code: str, number: int, address: str = "") -> httpx2.Response:
    body = {"code": code, "device_info": device(number), "nonce": "n"}
    return await http.post(f"{address}/v1/licenses/string", json=body)


async def check_in(http: httpx2.AsyncClient, string: str, number: int) -> httpx2.Response:
    body = {"device_info": device(number), "nonce": "n"}
    return await http.post("/v1/heartbeats", json=body, headers={"Authorization": f"Bearer {string}"})


def test_a_served_folder_is_ready_and_says_so(tmp_path: Path) -> None:
    licsrv(tmp_path, "init")
    with serving(tmp_path, LOG_LEVEL="INFO") as server:
        answer = httpx2.get(f"{server.address}/readyz", trust_env=False)
        assert answer.json()["status"] == "ready"
        assert "server" not in answer.headers
        keys = httpx2.get(f"{server.address}/.well-known/jwks.json", trust_env=False).json()["keys"]
        assert {key["purpose"] for key in keys} >= {"license", "lease"}
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    assert [line["address"] for line in lines if line["event"] == "serving"] == [server.address]
    assert "token=" not in server.log.read_text(), "a log holds no link for the first account"


@pytest.mark.soak
def test_a_hang_up_reads_keys_and_log_level_again(folder: Path) -> None:
    level = folder / "level"
    level.write_text("WARNING")
    with serving(folder, LOG_LEVEL="", LOG_LEVEL_FILE=str(level)) as server:
        before = httpx2.get(f"{server.address}/v1/revocations", trust_env=False).status_code
        level.write_text("INFO")
        server.process.send_signal(signal.SIGHUP)
        server.wait_until("/healthz")
        httpx2.get(f"{server.address}/v1/revocations", trust_env=False)
        assert server.process.poll() is None
    events = [json.loads(line)["event"] for line in server.log.read_text().splitlines()]

    assert before == 200
    assert [event for event in events if event in ("reload: keys are read again", "request")][:1] == [
        "reload: keys are read again"
    ]
    assert "request" in events


async def test_what_is_under_way_at_the_end_is_answered_and_on_disk(folder: Path, emulator: Server) -> None:
    codes = [control(emulator, "POST", "/codes", {"days": 30})["code"] for _ in range(5)]
    slow = {"side": "open_api", "kind": "delay_seconds", "value": 1, "path": "activate"}
    control(emulator, "POST", "/faults", slow)
    with serving(folder, **connected_to(emulator.address), ACTIVATION_TIMEOUT_SECONDS="10") as server:
        async with client_of(server) as http:
            asking = [asyncio.create_task(ask(http, code, number)) for number, code in enumerate(codes)]
            await until(lambda: under_way(folder) == len(codes))

            server.process.send_signal(signal.SIGTERM)
            signalled = time.monotonic()
            answers = await asyncio.gather(*asking)
            await asyncio.to_thread(server.process.wait, 15)

    assert [answer.status_code for answer in answers] == [200] * 5
    assert time.monotonic() - signalled < 10
    found = rows(folder, License)
    assert sorted(license.code for license in found) == sorted(codes)
    assert {license.places_taken for license in found} == {1}


# uvicorn ends gracefully and then raises the signal that it caught once more, so the process dies of it.
@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_ending_when_asked_to_is_a_success(folder: Path, number: signal.Signals) -> None:
    with serving(folder) as server:
        server.process.send_signal(number)

        assert server.process.wait(15) == 0, server.log.read_text()


def under_way(folder: Path) -> int:
    return len(rows(folder, CallUnderWay))


def rows(folder: Path, model: Any) -> list[Any]:
    database = database_of(folder)
    try:
        with reading(database) as session:
            return list(session.exec(select(model)).all())
    finally:
        database.dispose()


async def until(is_so: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.03)


async def wave(http: httpx2.AsyncClient, strings: list[str], numbers: list[int], acknowledged: set[int]) -> None:
    """Let devices check in, four at a time; note who was told that it is done."""
    free = asyncio.Semaphore(4)

    async def one(number: int) -> None:
        async with free:
            try:
                answer = await check_in(http, strings[number], number)
            except httpx2.TransportError:
                return  # killed meanwhile: nobody was told anything
        assert answer.status_code == 200, answer.text
        acknowledged.add(number)

    await asyncio.gather(*(one(number) for number in numbers))


@pytest.mark.soak
async def test_being_killed_again_and_again_loses_nothing_and_counts_nothing_twice(
    folder: Path, emulator: Server
) -> None:
    count, chance = 9 * amount(short=3, whole=40), random.Random(7)
    settings = {**connected_to(emulator.address), "ALLOW_TEST_CLOCK": "1"}
    codes = [control(emulator, "POST", "/codes", {"days": 30})["code"] for _ in range(count)]
    with serving(folder, **settings) as server:
        async with client_of(server) as http:
            strings = [(await ask(http, code, number)).json()["license_string"] for number, code in enumerate(codes)]
    for kind, value in (("delay_seconds", 0.02), ("lose_answer", "close")):
        times = 12 if kind == "lose_answer" else None
        control(emulator, "POST", "/faults", {"side": "open_api", "kind": kind, "value": value, "times": times})

    acknowledged: set[int] = set()
    for start in range(0, count, 9):
        with serving(folder, **settings) as server:
            async with client_of(server) as http:
                enough = len(acknowledged) + chance.randint(3, 9)
                numbers = [*range(start, start + 9), *range(start)]
                going = asyncio.create_task(wave(http, strings, numbers, acknowledged))
                await until(lambda enough=enough, going=going: len(acknowledged) >= enough or going.done())  # type: ignore[misc]
                await asyncio.sleep(chance.uniform(0, 0.3))  # a delivery is under way, or just over
                server.kill()
                await going

    control(emulator, "DELETE", "/faults")
    with serving(folder, **settings) as server:
        async with client_of(server) as http:
            await wave(http, strings, sorted(set(range(count)) - acknowledged), acknowledged)
            later = datetime.now(UTC) + timedelta(minutes=5)  # leases of the dead are over
            (await http.post("/v1/test/clock", json={"now": later.isoformat()})).raise_for_status()
            await until(lambda: all(row.settled_at for row in rows(folder, OutboxRow)), 40)

    assert acknowledged == set(range(count))
    assert {row.state for row in rows(folder, OutboxRow)} == {"DELIVERED"}
    assert len(rows(folder, CheckIn)) == count
    ids = {license.code: device.id for license, device in owners(folder)}
    for seen in control(emulator, "GET", "/codes")["codes"]:
        assert [day["ids"] for day in seen["usage"].values()] == [[ids[seen["code"]]]]
        assert seen["queries"] >= 1
    assert chain_verdict(folder) is None


def owners(folder: Path) -> list[tuple[License, Device]]:
    devices = {device.license_id: device for device in rows(folder, Device)}
    return [(license, devices[license.id]) for license in rows(folder, License)]


def chain_verdict(folder: Path) -> str | None:
    database = database_of(folder)
    try:
        with reading(database) as session:
            return audit.verify(session)
    finally:
        database.dispose()


# --- two replicas on one database


def signed(body: bytes, nonce: str) -> str:
    timestamp = int(time.time() * 1000)
    signature = callback_signature.sign(body, access_key=ACCESS_KEY, nonce=nonce, timestamp_ms=timestamp)
    return f"/marketplace/callback?signature={signature}&timestamp={timestamp}&nonce={nonce}"


async def test_two_replicas_on_one_database_are_one_service(folder: Path, postgres_url: str) -> None:
    database = open_database(postgres_url)
    with transaction(database, [audit.seal]) as session:
        for code in ("PL1", "PL2"):
            changes.add(session, Purchase(code, MANUAL, device_limit=5), cause=Cause("test"), now=datetime.now(UTC))

    with serving(folder, DATABASE_URL=postgres_url) as one, serving(folder, DATABASE_URL=postgres_url) as two:
        async with client_of(one) as http:
            await the_limit_holds(http, (one, two))
            await a_replay_is_refused(http, (one, two))
            await duplicates_are_one_change(http, (one, two))

    with reading(database) as session:
        assert audit.verify(session) is None
        assert places_taken(session) == {"PL1": 5, "PL2": 0}
        actions = Counter(entry.action for entry in session.exec(select(AuditEntry)))
    assert actions[Action.LICENSE_CHANGED] == 1
    assert actions[Action.LICENSE_FROZEN] == 1
    database.dispose()


def places_taken(session: Session) -> dict[str, int]:
    return {license.code: license.places_taken for license in session.exec(select(License))}


async def the_limit_holds(http: httpx2.AsyncClient, replicas: tuple[Server, Server]) -> None:
    asking = [ask(http, "PL1", number // 2, replicas[number % 2].address) for number in range(40)]
    answers = await asyncio.gather(*asking)

    served = {number // 2 for number, answer in enumerate(answers) if answer.status_code == 200}
    assert len(served) == 5
    assert {answer.status_code for answer in answers} == {200, 409}


async def a_replay_is_refused(http: httpx2.AsyncClient, replicas: tuple[Server, Server]) -> None:
    body = json.dumps({"activity": "updateLicenseCodeStatus", "license": "PL2", "status": "FREEZE"}).encode()
    for number in range(5):
        path = signed(body, f"replayed-{number}")
        answers = await asyncio.gather(*(http.post(each.address + path, content=body) for each in replicas))
        assert sorted(answer.json()["resultCode"] for answer in answers) == ["000000", "000001"]


async def duplicates_are_one_change(http: httpx2.AsyncClient, replicas: tuple[Server, Server]) -> None:
    message = {"activity": "refreshLicenseCode", "license": "PL1", "orderId": "O1", "orderLineId": "O1-1",
               "expireTime": "20300101000000", "productId": "", "scene": "RENEWAL"}  # fmt: skip
    body = json.dumps(message).encode()
    sending = [
        http.post(replicas[number % 2].address + signed(body, f"duplicate-{number}"), content=body)
        for number in range(20)
    ]
    answers = await asyncio.gather(*sending)

    assert {answer.text for answer in answers} == {answers[0].text}
    assert answers[0].json()["resultCode"] == "000000"
