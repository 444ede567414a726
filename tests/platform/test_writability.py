"""Readiness includes writing: a database that only answers look-ups is not ready, and callers read why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx2
import psycopg
import pytest
from sqlalchemy import event, text
from sqlmodel import Session

from licsrv.errors import StorageBusyError, StorageError, StorageUnwritableError
from licsrv.platform.db import Database, transaction
from licsrv.platform.metrics import Metrics
from licsrv.platform.storage_errors import Failure
from licsrv.platform.web import as_refusal
from licsrv.platform.writability import Writability, probe
from licsrv.platform.writer import Writer
from licsrv.runtime import Runtime
from tests.conftest import DEVICE
from tests.platform.conftest import write_row


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def writer(database: Database, metrics: Metrics) -> Iterator[Writer]:
    writer = Writer(database, metrics=metrics)
    yield writer
    writer.close()


def failed(metrics: Metrics) -> dict[str, float]:
    found = {reason: metrics.failed_commits.labels(reason)._value.get() for reason in Failure}
    return {str(reason): count for reason, count in found.items() if count}


async def test_a_probe_leaves_nothing_and_succeeds_each_time(database: Database, writer: Writer) -> None:
    with transaction(database) as session:
        before = session.execute(text("SELECT count(*) FROM audit_entries")).scalar()
    for _ in range(3):
        probe(database)

    finding = await Writability(database, writer).check()

    assert (finding.is_good, finding.detail) == (True, "a test write succeeded")
    with transaction(database) as session:
        assert session.execute(text("SELECT count(*) FROM audit_entries")).scalar() == before


async def test_a_fresh_commit_saves_the_probe(database: Database, writer: Writer) -> None:
    await writer.run(lambda session: write_row(session, "a"))

    finding = await Writability(database, writer).check()

    assert (finding.is_good, finding.detail) == (True, "the last commit succeeded")


def read_only(url: str) -> None:
    name = url.partition("@/")[2].partition("?")[0]
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")


async def test_a_read_only_database_is_not_ready(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    if runtime.database.is_sqlite:
        event.listen(runtime.database.write, "connect", lambda c, _: c.execute("PRAGMA query_only = ON"))
    else:
        read_only(runtime.settings.database_url)
    runtime.database.dispose()

    answer = await client.get("/readyz")
    refused = await client.post("/v1/licenses/string", json={"code": "PLX", "device_info": DEVICE, "nonce": "n"})

    assert answer.status_code == 503
    assert answer.json()["checks"]["writing"]["ok"] is False
    assert "read-only" in answer.json()["checks"]["writing"]["detail"]
    assert answer.json()["checks"]["database"]["ok"] is True
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "20")
    assert "cannot save anything" in refused.json()["detail"]
    assert 'licsrv_failed_commits_total{reason="read_only"}' in (await client.get("/metrics")).text


async def test_a_right_that_was_taken_away_is_named(postgres_url: str, postgres_database: Database) -> None:
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("DROP ROLE IF EXISTS clerk; CREATE ROLE clerk LOGIN")
        connection.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO clerk; REVOKE INSERT ON check_ins FROM clerk")
    from licsrv.platform.db import open_database

    clerk = open_database(postgres_url.replace("postgres@", "clerk@"))

    with pytest.raises(StorageUnwritableError, match="check_ins"):
        probe(clerk)
    clerk.dispose()
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("DROP OWNED BY clerk; DROP ROLE clerk")


async def test_a_full_disk_is_not_ready_and_counted(sqlite_database: Database, metrics: Metrics) -> None:
    def full(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 1")  # what SQLite then says is what it says of a full disk

    event.listen(sqlite_database.write, "connect", full)
    writer = Writer(sqlite_database, metrics=metrics)

    def much(session: Session) -> None:
        for number in range(2_000):
            session.execute(text("INSERT INTO license_days VALUES (:name, '2026-03-01')"), {"name": f"row-{number}"})

    with pytest.raises(StorageUnwritableError, match="no space left"):
        await writer.run(much)
    finding = await Writability(sqlite_database, writer).check()
    writer.close()

    assert (finding.is_good, "no space left" in finding.detail) == (False, True)
    assert failed(metrics) == {"full": 1}


async def test_a_use_case_s_own_fault_says_nothing_of_the_database(
    database: Database, writer: Writer, metrics: Metrics
) -> None:
    await writer.run(lambda session: write_row(session, "a"))

    with pytest.raises(StorageError):
        await writer.run(lambda session: write_row(session, "a"))

    assert (await Writability(database, writer).check()).is_good
    assert failed(metrics) == {"other": 1}


SENTENCES = {
    StorageBusyError: ("too busy", 2),
    StorageUnwritableError: ("cannot save anything", 20),
    StorageError: ("cannot use its database", 20),
}


@pytest.mark.parametrize("kind", SENTENCES)
def test_callers_read_a_true_sentence_without_the_reason(kind: type[StorageError]) -> None:
    refusal = as_refusal(kind("SELECT secret", reason="at db.example.com"))

    words, seconds = SENTENCES[kind]
    assert refusal is not None
    assert (words in refusal.detail, refusal.retry_after) == (True, seconds)
    assert "db.example.com" not in refusal.detail
