"""A database that has grown is brought to this version's schema: nothing is lost, and other writers hardly wait."""

from __future__ import annotations

import ast
import itertools
import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Boolean, Column, Date, DateTime, Integer, MetaData, Table, text
from sqlalchemy.dialects.postgresql import JSON

from licsrv import migrations
from licsrv.licensing.key_folder import SEAL_KEY_NAME
from licsrv.platform.db import Database, open_database
from tests.former_steps import at_step
from tests.postgres_server import PostgresServer
from tests.processes import licsrv
from tests.soak import rounds
from tests.tables import each

_numbers = itertools.count()
BEFORE = "0009"
GROWN = (
    "licenses", "license_orders", "devices", "device_parts", "issued_licenses", "check_ins",
    "license_days", "outbox", "audit_entries", "callback_log", "callback_receipts",
)  # fmt: skip
LONGEST_WAIT = 3.0
"""In seconds; to read a table of a million rows under a lock takes longer."""


@pytest.fixture
def old_url(postgres: PostgresServer) -> Iterator[str]:
    """A database whose schema is that of a version before."""
    name = f"grown_{next(_numbers)}"
    postgres.execute(f"CREATE DATABASE {name}")
    at_step(postgres.url(name), BEFORE).dispose()
    yield postgres.url(name)
    postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


def value_of(table: Table, column: Column[Any]) -> str | None:
    """Return what row ``n`` of a filled table holds, as SQL; a reference leads to the row of the same number."""
    if column.foreign_keys or column.primary_key or column.unique or column.name in UNIQUE:
        return "n" if isinstance(column.type, Integer) else as_date(column) or "'r' || n"
    if column.nullable or column.server_default is not None:
        return "now()" if column.name in {"activated_at", "settled_at"} else None
    kinds = {Boolean: "false", Integer: "0", DateTime: "now()", Date: "current_date", JSON: "'{}'"}
    known = next((sql for kind, sql in kinds.items() if isinstance(column.type, kind)), None)
    return known or f"left('x' || n, {getattr(column.type, 'length', None) or 20})"


UNIQUE = frozenset({"code", "digest", "fingerprint", "order_line_id"})


def as_date(column: Column[Any]) -> str | None:
    return "current_date" if isinstance(column.type, Date) else "now()" if isinstance(column.type, DateTime) else None


def fill(database: Database, rows: int) -> Mapping[str, Mapping[str, Any]]:
    """Put so many rows into each of the tables that grow; return the marks of what they hold."""
    known = MetaData()
    with database.write.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        connection.exec_driver_sql(
            "SET LOCAL session_replication_role = replica"
        )  # looks no reference up: they all fit
        known.reflect(connection)
        for table in known.sorted_tables:
            if table.name in GROWN:
                values = {column.name: sql for column in table.columns if (sql := value_of(table, column)) is not None}
                names = ", ".join(f'"{name}"' for name in values)
                connection.exec_driver_sql(
                    f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values.values())} "
                    f"FROM generate_series(1, {rows}) AS n"
                )
        connection.commit()
    return {table.name: marks(database, table) for table in known.sorted_tables if table.name in GROWN}


def marks(database: Database, table: Table) -> Mapping[str, Any]:
    """Return the number of rows of a table, and for each of its columns a sum over what it holds."""
    sums = ", ".join(f'sum(hashtext("{column.name}"::text)::bigint) AS {column.name}' for column in table.columns)
    with database.write.connect() as connection:
        connection.exec_driver_sql("SET statement_timeout = 0")
        found = connection.exec_driver_sql(f"SELECT count(*) AS rows_in_all, {sums} FROM {table.name}").one()
        connection.rollback()
    return dict(found._mapping)


@contextmanager
def writing_meanwhile(url: str) -> Iterator[list[float]]:
    """Write a little, as the service does, until the block ends; yields how long each statement had to wait."""
    waits: list[float] = []
    is_over = threading.Event()
    statements = (
        "UPDATE licenses SET places_taken = places_taken WHERE id = 'r1'",
        "UPDATE devices SET name = name WHERE id = 'r1'",
        "UPDATE outbox SET due_at = due_at WHERE id = 1",
        "UPDATE check_ins SET last_at = last_at WHERE device_id = 'r1'",
    )

    def write() -> None:
        with psycopg.connect(url, autocommit=True) as connection:
            while not is_over.wait(0.02):
                for statement in statements:
                    began = time.monotonic()
                    connection.execute(statement)
                    waits.append(time.monotonic() - began)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            yield waits
        finally:
            is_over.set()
            writer.result(30)


def test_each_step_names_the_tables_that_it_reads_and_locks_none_of_them_for_long() -> None:
    """What makes an index of a table that was there before does it online, and the plan counts that table."""
    for path in each(sorted((Path(migrations.__file__).parent / "versions").glob("00[1-9]*.py"))):
        with path as step:
            source = step.read_text("utf-8")
            made = set(re.findall(r'op\.create_table\(\s*"(\w+)"', source))
            read = set(re.findall(r'online\.replace_index\(\s*"\w+",\s*"(\w+)"', source))
            locked = set(re.findall(r'op\.create_index\(\s*"\w+",\s*"(\w+)"', source))
            declared = re.search(r"^READS = (\(.*?\))", source, re.MULTILINE)
            assert locked <= made
            assert read <= set(ast.literal_eval(declared[1]) if declared else ())


@rounds(everyday=None, short=30_000, whole=1_000_000)
@pytest.mark.timeout(1800)
def test_a_grown_database_is_upgraded_whole_while_others_write(
    old_url: str, postgres: PostgresServer, tmp_path: Path, rounds: int
) -> None:
    database = open_database(old_url)
    before = fill(database, rounds)
    licsrv(tmp_path, "init")
    (tmp_path / "keys" / SEAL_KEY_NAME).unlink()  # as the version before left it

    plan = json.loads(licsrv(tmp_path, "migrate", "--plan", "--json", DATABASE_URL=old_url))
    assert migrations.revision(database) == BEFORE
    began = time.monotonic()
    with writing_meanwhile(
        database.write.url.set(drivername="postgresql").render_as_string(hide_password=False)
    ) as waits:
        done = json.loads(licsrv(tmp_path, "migrate", "--json", seconds=1200, DATABASE_URL=old_url))
    lasted = time.monotonic() - began

    print(f"\n{rounds:,} rows in each of {len(before)} tables: {lasted:.1f} s, longest wait {max(waits):.2f} s")
    steps = {step["step"]: step for step in plan["steps"]}
    assert min(steps) == "0010"
    assert {name for name, step in steps.items() if step["bytes"]} == {"0010", "0011", "0012", "0014"}
    assert [name for name, step in steps.items() if not step["is_online"]] == ["0014"]
    assert [name for name in before if before[name]["rows_in_all"] != rounds] == []
    assert (done["is_upgraded"], migrations.revision(database)) == (True, migrations.HEAD)
    known = MetaData()
    known.reflect(database.write, only=list(before))
    after = {name: marks(database, known.tables[name]) for name in before}
    changed = {
        f"{name}.{column}"
        for name, held in before.items()
        for column, mark in held.items()
        if after[name].get(column) != mark
    }
    assert changed == set()
    assert max(waits) < LONGEST_WAIT
    assert sum(step["seconds"] for step in plan["steps"]) >= lasted / 10
    with database.read.connect() as connection:
        broken = connection.execute(text("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid")).all()
    assert broken == []
    database.dispose()
