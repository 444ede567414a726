"""The schema: reached from nothing, by one of many that start together, and the same as the code's tables."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from licsrv import migrations
from licsrv.errors import StorageBusyError, StorageError
from licsrv.migrations import online
from licsrv.platform.db import Database, open_database

_numbers = itertools.count()
UPGRADE = """
import sys
from licsrv import migrations
from licsrv.platform.db import open_database
print(migrations.upgrade(open_database(sys.argv[1])), "alembic" in sys.modules)
"""


@pytest.fixture
def empty(empty_url: str) -> Iterator[Database]:
    database = open_database(empty_url)
    yield database
    database.dispose()


def tables(database: Database) -> set[str]:
    with database.read.connect() as connection:
        return set(inspect(connection).get_table_names())


def test_every_table_is_made_from_nothing(empty: Database) -> None:
    assert migrations.revision(empty) is None

    assert migrations.upgrade(empty) is True

    assert tables(empty) == set(migrations.METADATA.tables) | {"alembic_version"}
    assert migrations.revision(empty) == migrations.HEAD
    with empty.read.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM audit_head")).scalar() == 1


def test_there_is_nothing_to_do_the_second_time(empty: Database) -> None:
    migrations.upgrade(empty)

    assert migrations.upgrade(empty) is False


def is_comparable(_: object, name: str | None, *__: object) -> bool:
    """Whether the library can read it back: not an index of an expression, which each engine spells in its own way."""
    return not (name or "").endswith("_folded")


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
@pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index")
def test_the_schema_is_that_of_the_code(empty: Database) -> None:
    migrations.upgrade(empty)

    options = {"compare_type": True, "compare_server_default": True, "include_object": is_comparable}
    with empty.write.connect() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, migrations.METADATA) == []


def start(url: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "error", "-c", UPGRADE, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def end(process: subprocess.Popen[str]) -> str:
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    return out.strip()


@pytest.mark.soak
def test_of_many_that_start_together_one_does_it(empty_url: str) -> None:
    processes = [start(empty_url) for _ in range(3)]

    assert sorted(end(process).split()[0] for process in processes) == ["False", "False", "True"]


def test_a_usual_start_does_not_load_the_migration_library(database_url: str) -> None:
    assert end(start(database_url)) == "False False"


def test_the_newest_step_is_the_one_the_code_needs() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    scripts = ScriptDirectory.from_config(config)

    assert scripts.get_heads() == [migrations.HEAD]
    steps = [script.revision for script in scripts.walk_revisions()]
    files = sorted(Path(migrations.__file__).parent.glob("versions/*.py"))
    assert sorted(steps) == [path.name.partition("_")[0] for path in files], "each file is a step of the one line"


def test_a_step_that_fails_leaves_nothing(empty: Database) -> None:
    with empty.write.begin() as connection:
        connection.execute(text("CREATE TABLE marketplace_calls (id integer)"))

    with pytest.raises(StorageError):
        migrations.upgrade(empty)

    assert tables(empty) == {"marketplace_calls"}
    assert migrations.revision(empty) is None


def test_a_database_out_of_reach_has_no_step(tmp_path: Path) -> None:
    (tmp_path / "licsrv.db").write_text("This is not what was expected here. " * 100)
    database = open_database(f"sqlite:///{tmp_path}/licsrv.db")

    assert migrations.revision(database) is None
    with pytest.raises(StorageError):
        migrations.upgrade(database)
    database.dispose()


# --- PostgreSQL: long steps, and starters that wait


def test_a_step_may_take_longer_than_a_use_case(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, object] = {}

    def run(connection: Connection) -> None:
        for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
            found[name] = connection.exec_driver_sql(f"SHOW {name}").scalar()

    monkeypatch.setattr(migrations, "HEAD", "9999")
    monkeypatch.setattr(migrations, "_run", run)
    database = open_database(postgres_url)
    migrations.upgrade(database)

    assert found == {"statement_timeout": "0", "lock_timeout": "4s", "idle_in_transaction_session_timeout": "0"}
    with database.write.connect() as connection:
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar() == "15s", "limits do not stay in the pool"
    database.dispose()


@pytest.mark.soak
def test_a_starter_waits_for_the_one_that_is_at_it(empty_url: str) -> None:
    """A lock as a long step holds it: on SQLite the write lock, on PostgreSQL the advisory one."""
    holder, starter = open_database(empty_url), open_database(empty_url)
    waited: list[int] = []
    with closing(holder.write.connect()) as connection:
        if not holder.is_sqlite:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({0x11C5})"))
        else:
            connection.execute(text("SELECT 1"))

        def after_two_tries() -> None:
            waited.append(1)
            if len(waited) == 2:
                connection.rollback()

        assert migrations.upgrade(starter, on_wait=after_two_tries) is True
    assert len(waited) == 2
    holder.dispose()
    starter.dispose()


@pytest.mark.soak
def test_patience_ends(empty_url: str) -> None:
    holder, starter = open_database(empty_url), open_database(empty_url)
    with closing(holder.write.connect()) as connection:
        connection.execute(text("SELECT 1" if holder.is_sqlite else f"SELECT pg_advisory_xact_lock({0x11C5})"))
        with pytest.raises(StorageBusyError):
            migrations.upgrade(starter, patience=timedelta())
        connection.rollback()
    holder.dispose()
    starter.dispose()


def test_an_index_is_made_while_others_write(postgres_url: str) -> None:
    """An open transaction that wrote to the table keeps a plain CREATE INDEX, and everyone after it, waiting."""
    database = open_database(postgres_url)
    with database.write.begin() as writer, database.write.connect() as connection:
        writer.execute(text("INSERT INTO license_days VALUES ('a', '2026-03-01')"))
        writer.commit()
        connection.execute(text("CREATE INDEX ix_tried ON license_days (day)"))  # what an interrupted try left
        connection.commit()
        context = MigrationContext.configure(
            connection, opts={"transaction_per_migration": True, "transactional_ddl": True}
        )
        with Operations.context(context), context.begin_transaction(_per_migration=True):
            online.replace_index("ix_tried", "license_days", ["day", "license_id"])
    with database.read.connect() as connection:
        [found] = [index for index in inspect(connection).get_indexes("license_days") if index["name"] == "ix_tried"]
        assert found["column_names"] == ["day", "license_id"]
    database.dispose()


def test_the_plan_names_the_steps_that_are_missing(empty: Database) -> None:
    assert [step.number for step in migrations.plan(empty)][-1] == migrations.HEAD
    assert all(step.does.endswith(".") and step.seconds >= 1 for step in migrations.plan(empty))
    sealing = next(step for step in migrations.plan(empty) if step.number == "0014")
    assert (sealing.reads, sealing.is_online) == (("audit_entries", "issued_licenses"), False)
    assert tables(empty) == set(), "nothing is changed"

    migrations.upgrade(empty)

    assert migrations.plan(empty) == []
