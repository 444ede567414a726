"""A real PgBouncer in front of PostgreSQL: server connections change between transactions, and nothing may mind."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx2
import psycopg
import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from licsrv import app as application
from licsrv import migrations
from licsrv.heartbeats.tables import LicenseDay
from licsrv.platform.db import Database, open_database, reading, transaction
from licsrv.platform.postgresql import LIMITS, Pooling, pooling
from licsrv.platform.writer import Writer
from tests.conftest import DEVICE, StandingClock, make_settings
from tests.pgbouncer import PgBouncer, program
from tests.platform.conftest import write_row, written
from tests.postgres_server import PostgresServer

needs_pgbouncer = pytest.mark.skipif(
    program() is None, reason="NO PGBOUNCER ON THIS MACHINE (apt-get install pgbouncer): POOLERS ARE NOT TESTED"
)
pytestmark = needs_pgbouncer


def name_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


@pytest.fixture
def pooled_url(postgres: PostgresServer, postgres_url: str) -> Iterator[str]:
    with closing(PgBouncer(postgres, mode="transaction")) as pooler:
        yield pooler.url(name_of(postgres_url))


@pytest.fixture
def pooled(pooled_url: str) -> Iterator[Database]:
    database = open_database(pooled_url)
    yield database
    database.dispose()


def repeated(session: Session) -> list[str]:
    """Run a statement that a driver would prepare after a few times."""
    return list(session.scalars(select(LicenseDay.license_id).where(LicenseDay.license_id == "a")))


async def test_what_the_driver_would_prepare_survives_other_server_connections(pooled: Database) -> None:
    writer = Writer(pooled, threads=6)

    def use_case(number: int) -> None:
        def run(session: Session) -> str:
            repeated(session)
            return write_row(session, f"row-{number}")

        return run  # type: ignore[return-value]

    names = await asyncio.gather(*(writer.run(use_case(number)) for number in range(120)))  # type: ignore[arg-type]
    for _ in range(12):
        with reading(pooled) as one, reading(pooled) as other:
            repeated(one)
            repeated(other)
            one.commit()
            repeated(one)
    writer.close()

    assert sorted(written(pooled)) == sorted(map(str, names))


@pytest.mark.parametrize("engine", ["write", "read"])
def test_each_transaction_has_its_limits_and_leaves_none_behind(pooled: Database, engine: str, pooled_url: str) -> None:
    with getattr(pooled, engine).connect() as connection:
        for _ in range(3):
            found = [connection.exec_driver_sql(f"SHOW {name}").scalar() for name in LIMITS]
            assert found == ["4s", "15s", "30s"]
            connection.rollback()

    with closing(psycopg.connect(host=pooled_url.partition("host=")[2].partition("&")[0], port=6432, user="postgres",
                                 dbname=name_of(pooled_url), autocommit=True)) as other:  # fmt: skip
        assert other.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_a_reader_behind_a_pooler_cannot_write(pooled: Database) -> None:
    with pooled.read.connect() as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"


@pytest.mark.parametrize("mode", ["transaction", "session"])
def test_the_mode_is_found(postgres: PostgresServer, postgres_url: str, mode: str) -> None:
    with closing(PgBouncer(postgres, mode=mode, size=4)) as pooler:
        database = open_database(pooler.url(name_of(postgres_url)))
        assert pooling(database.read) is Pooling(mode)
        database.dispose()


def test_a_direct_connection_is_not_pooled(postgres_url: str) -> None:
    database = open_database(postgres_url)

    assert pooling(database.read) is Pooling.NONE
    database.dispose()


def test_a_schema_is_made_through_a_pooler(postgres: PostgresServer) -> None:
    with closing(psycopg.connect(postgres.dsn(), autocommit=True)) as connection:
        connection.execute("CREATE DATABASE through_a_pooler")
    with closing(PgBouncer(postgres, mode="transaction")) as pooler:
        database = open_database(pooler.url("through_a_pooler"))

        assert migrations.upgrade(database) is True
        assert migrations.revision(database) == migrations.HEAD
        database.dispose()
    with closing(psycopg.connect(postgres.dsn(), autocommit=True)) as connection:
        connection.execute("DROP DATABASE through_a_pooler WITH (FORCE)")


async def test_a_whole_service_behind_a_pooler(pooled_url: str, keys_dir: Path, clock: StandingClock) -> None:
    runtime = application.build_runtime(make_settings(pooled_url, keys_dir), clock=clock)
    with transaction(runtime.database) as session:
        session.execute(text("SELECT 1"))
    transport = httpx2.ASGITransport(app=application.create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        body = {"code": "PL-NOT-KNOWN", "device_info": DEVICE, "nonce": "n"}
        answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
        checks = await asyncio.gather(*(client.post("/v1/heartbeats", json=body) for _ in range(20)))
    await runtime.close()

    assert {answer.status_code for answer in answers} == {200}
    assert {answer.status_code for answer in checks} == {401}
