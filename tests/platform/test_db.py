"""Engines and transactions: what is promised to be on disk is, and failures are told in our words."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import Delete, Select, Update, bindparam, text, update
from sqlalchemy.exc import OperationalError
from sqlmodel import Session, select

from licsrv import migrations
from licsrv.errors import StorageBusyError, StorageError
from licsrv.heartbeats import store as heartbeats
from licsrv.heartbeats.tables import CheckIn, LicenseDay
from licsrv.licensing import store as licensing
from licsrv.platform.db import (
    Database,
    after_commit,
    is_member,
    open_database,
    reading,
    run_after_commit,
    savepoint,
    table_of,
    transaction,
)
from tests.platform.conftest import DAY, write_row, written
from tests.postgres_server import PostgresServer


def test_a_transaction_is_on_disk_when_it_ends(database: Database) -> None:
    with transaction(database) as session:
        write_row(session, "a")
        write_row(session, "b")

    assert written(database) == ["a", "b"]


def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with transaction(database) as session:
            write_row(session, "a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert written(database) == []


def test_hooks_run_after_the_changes_and_before_the_commit(database: Database) -> None:
    seen: list[list[str]] = []

    def hook(session: Session) -> None:
        seen.append([row.license_id for row in session.exec(select(LicenseDay))])
        seen.append(written(database))

    with transaction(database, [hook]) as session:
        session.add(LicenseDay(license_id="a", day=DAY))

    assert seen == [["a"], []]


def test_a_hook_that_fails_leaves_nothing(database: Database) -> None:
    def hook(_: Session) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), transaction(database, [hook]) as session:
        write_row(session, "a")

    assert written(database) == []


def test_what_follows_a_commit_follows_only_a_commit(database: Database) -> None:
    heard: list[object] = []

    def fail() -> None:
        with transaction(database) as session:
            after_commit(session, lambda: heard.append("rolled back"))
            raise ZeroDivisionError

    with transaction(database) as session:
        after_commit(session, lambda: heard.append(written(database)))
        write_row(session, "a")
        assert heard == []
    with pytest.raises(ZeroDivisionError):
        fail()

    assert heard == [["a"]]


def test_what_follows_a_commit_cannot_make_it_look_failed(database: Database) -> None:
    heard: list[str] = []

    with transaction(database) as session:
        after_commit(session, lambda: heard.append("first"))
        after_commit(session, lambda: 1 / 0)  # type: ignore[arg-type]
        after_commit(session, lambda: heard.append("last"))
        write_row(session, "a")

    assert heard == ["first", "last"]
    assert written(database) == ["a"]


def test_what_follows_a_commit_is_called_once(database: Database) -> None:
    heard: list[str] = []
    with Session(database.write) as session:
        after_commit(session, lambda: heard.append("once"))
        run_after_commit(session)
        run_after_commit(session)

    assert heard == ["once"]


def test_a_savepoint_undoes_what_was_written_and_noted_in_it_and_nothing_else(database: Database) -> None:
    heard: list[str] = []

    with transaction(database) as session:
        write_row(session, "a")
        after_commit(session, lambda: heard.append("a"))
        with suppress(ZeroDivisionError), savepoint(session):
            write_row(session, "b")
            after_commit(session, lambda: heard.append("b"))
            raise ZeroDivisionError

    assert (written(database), heard) == (["a"], ["a"])


def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(StorageError), reading(database) as session:
        write_row(session, "a")

    assert written(database) == []


def test_reading_sees_one_state_of_the_database(database: Database) -> None:
    with transaction(database) as session:
        write_row(session, "a")

    with reading(database) as session:
        before = len(session.exec(select(LicenseDay)).all())
        with transaction(database) as other:
            write_row(other, "b")
        session.expunge_all()
        after = len(session.exec(select(LicenseDay)).all())

    assert (before, after) == (1, 1)
    assert written(database) == ["a", "b"]


def test_a_broken_rule_is_told_without_statement_and_values(database: Database) -> None:
    with transaction(database) as session:
        write_row(session, "secret-name")

    with pytest.raises(StorageError) as raised, transaction(database) as session:
        write_row(session, "secret-name")

    assert str(raised.value) == "The database failed (IntegrityError); nothing was changed."
    assert not isinstance(raised.value, StorageBusyError)
    assert "[parameters" not in str(raised.value.__cause__), "whoever logs it with its cause logs no values"


def test_a_missing_table_is_told_in_our_words(database: Database) -> None:
    with pytest.raises(StorageError, match="The database failed"), reading(database) as session:
        session.execute(text("SELECT * FROM nothing_of_that_name"))


# --- SQLite


def pragma(connection: Any, name: str) -> object:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()


def test_sqlite_keeps_what_it_acknowledged(sqlite_database: Database) -> None:
    with sqlite_database.write.connect() as connection:
        assert pragma(connection, "journal_mode") == "wal"
        assert pragma(connection, "synchronous") == 2, "FULL: the log is flushed before a commit ends"
        assert pragma(connection, "foreign_keys") == 1
        assert pragma(connection, "busy_timeout") == 4000
        assert pragma(connection, "query_only") == 0
    with sqlite_database.read.connect() as connection:
        assert pragma(connection, "query_only") == 1


def test_the_journal_is_copied_while_another_writes(sqlite_database: Database, database_folder: Path) -> None:
    with transaction(sqlite_database) as session:
        write_row(session, "a")
    with transaction(sqlite_database) as session:
        write_row(session, "b")

        sqlite_database.checkpoint()

        alone = database_folder / "alone.db"
        alone.write_bytes((database_folder / "licsrv.db").read_bytes())
    with closing(sqlite3.connect(alone)) as connection:
        assert connection.execute("SELECT license_id FROM license_days").fetchall() == [("a",)]
    assert written(sqlite_database) == ["a", "b"]


def test_postgresql_copies_its_journal_itself(postgres_database: Database) -> None:
    postgres_database.checkpoint()


def test_every_connection_of_the_pool_is_prepared(sqlite_database: Database) -> None:
    connections = [sqlite_database.read.connect() for _ in range(10)]

    assert {pragma(connection, "query_only") for connection in connections} == {1}

    for connection in connections:
        connection.close()


def test_a_transaction_takes_the_lock_before_it_reads(sqlite_database: Database, database_folder: Path) -> None:
    other = sqlite3.connect(database_folder / "licsrv.db", timeout=0, isolation_level=None)

    with transaction(sqlite_database) as session:
        session.execute(text("SELECT 1"))
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")

    other.execute("BEGIN IMMEDIATE")
    other.close()


def impatient(database: Database) -> None:
    """Let the connections in the pool give up at once instead of after 4 s."""
    for engine in (database.write, database.read):
        connection = engine.raw_connection()
        connection.cursor().execute("PRAGMA busy_timeout=0")
        connection.close()


def test_a_busy_sqlite_is_told_as_busy(sqlite_database: Database, database_folder: Path) -> None:
    impatient(sqlite_database)
    other = sqlite3.connect(database_folder / "licsrv.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    with pytest.raises(StorageBusyError, match="nothing was changed"), transaction(sqlite_database) as session:
        write_row(session, "a")
    assert written(sqlite_database) == [], "readers are not kept waiting by a writer"

    other.close()
    with transaction(sqlite_database) as session:
        write_row(session, "a")
    assert written(sqlite_database) == ["a"]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file:licsrv?mode=memory&cache=shared&uri=true",
        "sqlite:///file::memory:?uri=true",
    ],
)
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(StorageError, match="must be a file"):
        open_database(url)


@pytest.mark.parametrize("url", ["", "licsrv.db", "postgresql://db:port/licsrv", "mysql://db/licsrv",
                                 "sqlite+aiosqlite:///licsrv.db", "postgresql+asyncpg://db/licsrv"])  # fmt: skip
def test_an_address_of_no_database_is_one_sentence(url: str) -> None:
    with pytest.raises(StorageError, match="database address"):
        open_database(url)


def test_a_password_does_not_get_into_the_refusal_of_an_address() -> None:
    with pytest.raises(StorageError) as raised:
        open_database("postgresql://licsrv:password@db:port/licsrv")

    assert "password" not in str(raised.value)


def test_the_folder_of_the_file_is_made(tmp_path: Path) -> None:
    database = open_database(f"sqlite:///{tmp_path}/a/b/licsrv.db")

    with transaction(database) as session:
        session.execute(text("CREATE TABLE t (x)"))

    assert (tmp_path / "a/b/licsrv.db").exists()
    database.dispose()


def test_a_file_that_is_no_database_is_told_in_our_words(tmp_path: Path) -> None:
    (tmp_path / "licsrv.db").write_text("This is not what was expected here. " * 100)
    database = open_database(f"sqlite:///{tmp_path}/licsrv.db")

    with pytest.raises(StorageError, match="The database failed"), transaction(database) as session:
        write_row(session, "a")
    with pytest.raises(StorageError, match="The database failed"), reading(database) as session:
        session.execute(text("SELECT 1"))
    with pytest.raises(OperationalError):  # for whoever uses an engine itself: the library's error, not the driver's
        database.read.connect()

    database.dispose()


# --- PostgreSQL


def test_postgresql_waits_for_no_lock_longer_than_a_callback_may_take(postgres_database: Database) -> None:
    with postgres_database.write.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "4s"
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "15s"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "read committed"
    with postgres_database.read.connect() as connection:
        assert connection.exec_driver_sql("SHOW transaction_read_only").scalar() == "on"
        assert connection.exec_driver_sql("SHOW transaction_isolation").scalar() == "repeatable read"


def test_a_busy_postgresql_is_told_as_busy(postgres_database: Database) -> None:
    with transaction(postgres_database) as session:
        write_row(session, "a")

    with transaction(postgres_database) as holder:
        holder.execute(text("UPDATE license_days SET day = day"))
        with pytest.raises(StorageBusyError, match="nothing was changed"), transaction(postgres_database) as session:
            session.execute(text("SET LOCAL lock_timeout = 20; UPDATE license_days SET day = day"))


def test_a_postgresql_that_is_not_there_is_told_in_our_words(tmp_path: Path) -> None:
    database = open_database(f"postgresql://licsrv:password@/licsrv?host={tmp_path}")

    with pytest.raises(StorageError) as raised, transaction(database) as session:
        write_row(session, "a")

    assert str(raised.value).startswith("The database failed (connection")
    assert "password" not in str(raised.value)


# --- the database's own reason


def test_the_database_s_own_reason_is_kept(postgres_url: str) -> None:
    base, _, host = postgres_url.partition("?")
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute("DROP ROLE IF EXISTS beggar; CREATE ROLE beggar LOGIN")
    addresses = {
        "a schema that is not there": (f"{postgres_url}&options=-csearch_path%3Dnowhere", "does not exist"),
        "a database that is not there": (f"{base}_gone?{host}", "does not exist"),
        "a right that is missing": (postgres_url.replace("postgres@", "beggar@"), "permission denied"),
        "a user that is not there": (postgres_url.replace("postgres@", "ghost@"), 'role "ghost" does not exist'),
    }

    said: dict[str, str] = {}
    for name, (address, _) in addresses.items():
        database = open_database(address)
        with pytest.raises(StorageError) as raised, transaction(database) as session:
            write_row(session, "a")
        said[name] = f"{raised.value} {raised.value.reason}"
        database.dispose()

    assert {name: said[name] for name, (_, words) in addresses.items() if words not in said[name]} == {}


def test_the_options_of_the_address_win_over_ours(postgres_url: str) -> None:
    database = open_database(f"{postgres_url}&options=-cstatement_timeout%3D61000%20-capplication_name%3Dmine")

    with database.write.connect() as connection:
        found = [connection.exec_driver_sql(f"SHOW {name}").scalar()
                 for name in ("statement_timeout", "lock_timeout", "application_name")]  # fmt: skip
    database.dispose()

    assert found == ["61s", "4s", "mine"]


def test_limits_of_the_role_or_the_database_are_left_as_they_are(postgres_url: str) -> None:
    name = postgres_url.partition("@/")[2].partition("?")[0]
    with closing(psycopg.connect(postgres_url, autocommit=True)) as connection:
        connection.execute(f"ALTER DATABASE {name} SET lock_timeout = '7s'")
    database = open_database(postgres_url)

    with database.write.connect() as connection:
        assert connection.exec_driver_sql("SHOW lock_timeout").scalar() == "7s"
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "15s"
    database.dispose()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_is_not_utf8_is_refused(postgres: PostgresServer, encoding: str) -> None:
    with closing(psycopg.connect(postgres.dsn(), autocommit=True)) as connection:
        connection.execute(
            f"CREATE DATABASE other_text TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    database = open_database(postgres.url("other_text"))

    with pytest.raises(StorageError, match=f"encoding is {encoding}, and licsrv needs UTF8"):
        migrations.upgrade(database)
    with pytest.raises(StorageError, match="UTF8"), reading(database) as session:
        session.execute(text("SELECT 1"))

    database.dispose()
    with closing(psycopg.connect(postgres.dsn(), autocommit=True)) as connection:
        connection.execute("DROP DATABASE other_text WITH (FORCE)")


# --- plans

NAMES = json.dumps([f"d{number:022}" for number in range(40)])


@pytest.mark.parametrize("is_analyzed", [False, True])
def test_a_list_of_keys_is_looked_up_in_the_index_at_every_size(
    postgres_database: Database, *, is_analyzed: bool
) -> None:
    statement = """INSERT INTO check_ins (device_id, day, license_id, first_at, last_at, count, status, lease_until,
                    client_version) SELECT 'd' || lpad(i::text, 22, '0'), '2026-03-01', 'l', now(), now(), 1, 'ACTIVE',
                    now(), '' FROM generate_series(CAST(:first AS int), CAST(:last AS int)) AS i"""
    table = table_of(CheckIn)
    wanted = (
        update(table).where(table.c.day == bindparam("of_day"), is_member(table.c.device_id, "names")).values(count=2)
    )
    plans, first = {}, 0
    for size in (0, 10, 100, 1_000, 10_000, 100_000):
        with transaction(postgres_database) as session:
            session.execute(text(statement), {"first": first, "last": size - 1})
            first = size
        with postgres_database.write.connect() as connection:
            if is_analyzed:
                connection.execute(text("ANALYZE check_ins"))
            explained = wanted.compile(connection, compile_kwargs={"render_postcompile": True})
            rows = connection.exec_driver_sql(
                f"EXPLAIN {explained}", {**explained.params, "of_day": DAY, "names": NAMES, "count": 2}
            )
            plans[size] = "\n".join(row[0] for row in rows)

    assert {size: plan for size, plan in plans.items() if "Seq Scan on check_ins" in plan} == {}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_files_of_a_database_are_their_owner_s_only(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        database = open_database(f"sqlite:///{tmp_path}/new/licsrv.db")
        with transaction(database) as session:
            session.execute(text("CREATE TABLE t (x)"))
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
        database.dispose()
    finally:
        os.umask(before)

    assert modes == dict.fromkeys(("licsrv.db", "licsrv.db-wal", "licsrv.db-shm"), 0o600)
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("module", [heartbeats, licensing])
def test_no_prepared_statement_reads_a_whole_table_on_sqlite(sqlite_url: str, module: ModuleType) -> None:
    """A list of names is looked up in an index: a comparison around it would read every row."""
    database = open_database(sqlite_url)
    listed = [found for found in vars(module).values() if isinstance(found, Select | Update | Delete)]
    statements = {str(statement.compile(database.read)) for statement in listed}
    plans = {}
    with database.read.connect() as connection:
        for statement in (text for text in statements if "json_each" in text):
            rows = connection.exec_driver_sql(
                f"EXPLAIN QUERY PLAN {statement}", ("[]",) * statement.count("?")
            ).fetchall()
            plans[statement] = [row[3] for row in rows]
    database.dispose()

    assert plans
    scanned = {text: plan for text, plan in plans.items() if any(f"SCAN {_table(text)}" in step for step in plan)}
    assert scanned == {}


def _table(statement: str) -> str:
    words = statement.replace("\n", " ").split()
    return words[1] if words[0] == "UPDATE" else words[words.index("FROM") + 1]
