"""The data: what is written past the use cases is what they would have written."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from benchmarks import heartbeat, seeding
from benchmarks.installation import ISSUER, Installation
from licsrv import migrations
from licsrv.app import build_runtime, create_app
from licsrv.audit import Cause
from licsrv.licensing import fingerprints, store
from licsrv.licensing.devices import Activation, Terms, activate
from licsrv.licensing.key_folder import KeyFolder
from licsrv.platform.config import load
from licsrv.platform.db import Database, open_database, reading, transaction
from tests.conftest import NOW


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    installation = Installation(tmp_path)
    KeyFolder(installation.keys).ensure(now=NOW)
    database = opened(installation)
    migrations.upgrade(database)
    database.dispose()
    seeding.add_product(installation)
    return installation


def opened(installation: Installation) -> Database:
    return open_database(f"sqlite:///{installation.database}")


def test_codes_differ_and_do_not_follow_each_other() -> None:
    codes = [seeding.code_of(number) for number in range(10_000)]

    assert len(set(codes)) == len(codes)
    assert codes != sorted(codes)


def test_devices_differ_in_all_that_is_selective() -> None:
    facts = [fingerprints.parse(seeding.device_info_of(number)) for number in (0, 1, 255, 1_000_000)]
    parts = [fingerprints.hash_parts(one, key=b"k" * 32) for one in facts]

    assert not any(
        fingerprints.match(one, other).is_same_device for one in parts for other in parts if one is not other
    )


@pytest.mark.parametrize("number", [7, 8, 9])
def test_a_license_is_found_by_the_code_of_its_number(installation: Installation, number: int) -> None:
    seeding.add_licenses(installation, 7, 3, at=NOW)

    database = opened(installation)
    with reading(database) as session:
        license = store.license_by_code(session, seeding.code_of(number))
    database.dispose()

    assert license is not None
    assert license.order_id == f"CS{number:015d}"
    assert license.expires_at == NOW + timedelta(days=365)
    assert len(license.id) in {20, 23}


@pytest.mark.parametrize("count", [1, 2, 500])
def test_as_many_licenses_are_added_as_asked_for(installation: Installation, count: int) -> None:
    seeding.add_licenses(installation, 0, count, at=NOW)

    assert installation.query("SELECT count(*), count(DISTINCT code) FROM licenses") == (count, count)


async def test_every_client_is_let_in_by_the_heartbeat(installation: Installation) -> None:
    clients = seeding.add_clients(installation, 3, at=seeding.now())
    runtime = build_runtime(load(installation.settings()))
    transport = httpx2.ASGITransport(app=create_app(runtime))

    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as http:
        answers = [
            await http.post(
                heartbeat.PATH,
                json={"nonce": "n-1", "device_info": client.device_info},
                headers={"Authorization": f"Bearer {client.license_string}"},
            )
            for client in clients
        ]
    await runtime.close()

    assert [answer.json()["status"] for answer in answers] == ["ACTIVE"] * 3
    assert installation.query("SELECT count(*) FROM outbox") == (6,)


def test_a_client_that_asks_again_gets_the_very_string_that_was_written(installation: Installation) -> None:
    (client,) = seeding.add_clients(installation, 1, at=NOW)
    request = Activation(seeding.code_of(0), client.device_info)

    database = opened(installation)
    with transaction(database) as session:
        terms = Terms(ISSUER)
        keyring = KeyFolder(installation.keys).read()
        given = activate(session, request, keyring=keyring, terms=terms, cause=Cause("client"), now=NOW)
    database.dispose()

    assert given.license_string == client.license_string


def test_the_write_ahead_log_is_empty_afterwards(installation: Installation) -> None:
    seeding.add_licenses(installation, 0, 100, at=NOW)

    logs = [path for path in installation.folder.glob("licsrv.db-wal") if path.stat().st_size]
    assert logs == []
