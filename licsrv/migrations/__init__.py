"""The schema: every table, and the steps by which a database reaches it.

``upgrade`` runs at start, by ``licsrv init`` and by ``licsrv migrate``, under a lock: of replicas that start together
one does it, and the others wait. Old code works on the new schema for one step: columns are added with a default first
and dropped a release later.

On PostgreSQL each step is a transaction of its own, without a limit for its statements, but it waits for a busy table
only for seconds at a time: a change that waits for a table blocks everything that wants that table after it. Indexes on
tables that were there before are made by :mod:`licsrv.migrations.online`, while the service writes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from licsrv.audit import tables as audit_tables
from licsrv.desk.bulk import tables as bulk_tables
from licsrv.desk.licenses import tables as support_tables
from licsrv.errors import StorageBusyError
from licsrv.heartbeats import tables as heartbeat_tables
from licsrv.licensing import tables as licensing_tables
from licsrv.marketplace import tables as marketplace_tables
from licsrv.marketplace.reconciliation import tables
from licsrv.outbox import tables as outbox_tables
from licsrv.people import tables as admin_tables
from licsrv.platform.clock import stopwatch
from licsrv.platform.db import Database, translated_errors
from licsrv.releases import tables as release_tables
from licsrv.seats import tables as seat_tables

if TYPE_CHECKING:
    from alembic.config import Config

ROOMS = (
    audit_tables,
    outbox_tables,
    licensing_tables,
    heartbeat_tables,
    seat_tables,
    release_tables,
    marketplace_tables,
    tables,
    admin_tables,
    bulk_tables,
    support_tables,
)
METADATA = SQLModel.metadata
HEAD = "0024"
_LOCK = 0x11C5
_WAIT_SECONDS = 1.0
_SLOW_BYTES_PER_SECOND = 20_000_000
_FOLDER = Path(__file__).parent


def revision(database: Database) -> str | None:
    """Return the database's step; None when it is empty or cannot be reached."""
    try:
        return known_revision(database)
    except SQLAlchemyError:
        return None


def known_revision(database: Database) -> str | None:
    """Return the database's step; None when it is empty.

    Raises:
        SQLAlchemyError: It cannot be reached.
    """
    with database.read.connect() as connection:
        return _revision(connection)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(
    database: Database, *, patience: timedelta = timedelta(hours=2), on_wait: Callable[[], None] = lambda: None
) -> bool:
    """Bring the database to the newest step; return whether there was anything to do.

    The usual start finds nothing to do and does not load the migration library. Where another process is at it, or a
    table is busy, this calls ``on_wait`` and tries again until ``patience`` ends.

    Raises:
        StorageError: The database cannot be reached or changed.
    """
    end = stopwatch() + patience.total_seconds()
    while True:
        try:
            return _upgrade(database)
        except StorageBusyError:
            if stopwatch() > end:
                raise
            on_wait()
            time.sleep(_WAIT_SECONDS)


def _upgrade(database: Database) -> bool:
    with translated_errors():
        with database.write.connect() as connection:
            if _revision(connection) == HEAD:
                return False
            if database.is_sqlite:  # its BEGIN IMMEDIATE is the lock
                _run(connection)
                connection.commit()
                return True
        with database.write.connect() as lock, database.write.connect() as connection:
            try:
                return _upgrade_postgresql(lock, connection)
            finally:  # with their other limits they must not go back to the pool
                connection.invalidate()
                lock.invalidate()


def _upgrade_postgresql(lock: Connection, connection: Connection) -> bool:
    """Hold the lock in a transaction that does nothing else, which also works behind a pooler.

    Waiting inside PostgreSQL for it would keep a snapshot open, for which an index made CONCURRENTLY waits in turn.
    """
    from licsrv.platform.postgresql import set_limits

    set_limits(lock, idle_in_transaction_session_timeout=0)
    set_limits(connection, statement_timeout=0, idle_in_transaction_session_timeout=0, enable_seqscan="on")
    # As plain text: what has parameters keeps its snapshot until the transaction ends.
    if not lock.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({_LOCK})").scalar():
        raise StorageBusyError("Another process is changing the database.")
    is_behind = _revision(connection) != HEAD
    connection.rollback()
    if is_behind:
        _run(connection)
    return is_behind


def _run(connection: Connection) -> None:
    from alembic import command

    config = _configuration()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _configuration() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    return config


@dataclass(frozen=True)
class Step:
    """A step that a database lacks.

    Args:
        does: What it changes, in one sentence.
        reads: Tables that it reads from end to end.
        size: Their size in bytes.
        is_online: Whether the service can write to them meanwhile.
    """

    number: str
    does: str
    reads: tuple[str, ...]
    size: int
    is_online: bool

    @property
    def seconds(self) -> int:
        """How long it may take on a slow disk."""
        return 1 + self.size // _SLOW_BYTES_PER_SECOND


def plan(database: Database) -> Sequence[Step]:
    """Return the steps that the database lacks, oldest first; changes nothing.

    Raises:
        StorageError: The database cannot be read.
    """
    from alembic.script import ScriptDirectory

    with translated_errors(), database.read.connect() as connection:
        found = _revision(connection)
        scripts = ScriptDirectory.from_config(_configuration()).iterate_revisions("head", found or "base")
        return [_step(connection, script) for script in reversed(list(scripts))]


def _step(connection: Connection, script: Any) -> Step:
    reads = tuple(getattr(script.module, "READS", ()))
    is_online = (getattr(script.module, "IS_ONLINE", True) and connection.dialect.name == "postgresql") or not reads
    return Step(
        script.revision, script.doc, reads, size=sum(_size(connection, table) for table in reads), is_online=is_online
    )


def _size(connection: Connection, table: str) -> int:
    """Return how much has to be read of a table; SQLite knows only the size of everything together."""
    if connection.dialect.name == "postgresql":
        size = text("SELECT coalesce(pg_table_size(to_regclass(:name)), 0)")
        return int(connection.execute(size, {"name": table}).scalar_one())
    pages, size = (connection.exec_driver_sql(f"PRAGMA {name}").scalar_one() for name in ("page_count", "page_size"))
    return int(pages * size)
