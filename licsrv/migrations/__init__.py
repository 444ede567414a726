"""The schema: every table of the house, and the steps by which a database reaches it.

``upgrade`` runs at start and by ``licsrv init``, under a lock, so that replicas starting together do it once. Old code
works on the new schema for one step: columns are added with a default first and dropped a release later.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel

from licsrv.audit import tables as audit_tables
from licsrv.desk.bulk import tables as bulk_tables
from licsrv.desk.licenses import tables as support_tables
from licsrv.heartbeats import tables as heartbeat_tables
from licsrv.licensing import tables as licensing_tables
from licsrv.marketplace import tables as marketplace_tables
from licsrv.marketplace.reconciliation import tables
from licsrv.outbox import tables as outbox_tables
from licsrv.people import tables as admin_tables
from licsrv.platform.db import Database, translated_errors
from licsrv.releases import tables as release_tables

ROOMS = (
    audit_tables,
    outbox_tables,
    licensing_tables,
    heartbeat_tables,
    release_tables,
    marketplace_tables,
    tables,
    admin_tables,
    bulk_tables,
    support_tables,
)
METADATA = SQLModel.metadata
HEAD = "0009"
_LOCK = 0x11C5
_FOLDER = Path(__file__).parent


def revision(database: Database) -> str | None:
    """Return the step that the database stands at; None when it is empty or cannot be reached."""
    try:
        with database.read.connect() as connection:
            return _revision(connection)
    except SQLAlchemyError:
        return None


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(database: Database) -> bool:
    """Bring the database to the newest step; return whether there was anything to do.

    The usual start finds nothing to do and does not load the migration library.

    Raises:
        StorageError: The database cannot be reached or changed.
    """
    with translated_errors(), database.write.connect() as connection:
        if _revision(connection) == HEAD:
            return False
        if not database.is_sqlite:  # SQLite's BEGIN IMMEDIATE is the lock already
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if _revision(connection) == HEAD:
            return False
        _run(connection)
        connection.commit()
        return True


def _run(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
