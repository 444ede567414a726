"""Can the database be written to? The last commit says so; where there was none lately, a small write does.

The probe commits: only a commit finds a full disk, a standby or a right that was taken away. SQLite changes a number in
the file's header, PostgreSQL logs an empty message; neither leaves a row.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from sqlalchemy import Connection, text
from sqlmodel import SQLModel

from licsrv.errors import StorageError, StorageUnwritableError
from licsrv.platform.clock import stopwatch
from licsrv.platform.db import Database, translated_errors
from licsrv.platform.health import Finding
from licsrv.platform.writer import Writer

_FRESH_SECONDS = 10.0
_IS_READ_ONLY = text("SELECT pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on'")
_MISSING_RIGHTS = text("""
SELECT relname FROM pg_class
WHERE relkind = 'r' AND relname = ANY(:names) AND pg_table_is_visible(oid) AND NOT (
    has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
    AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE'))
ORDER BY relname
""")
_EMPTY_MESSAGE = text("SELECT pg_logical_emit_message(true, 'licsrv', '')")


class Writability:
    """Answers readiness; remembers a probe for a few seconds, so that many who ask cost one commit."""

    def __init__(self, database: Database, writer: Writer) -> None:
        self._database = database
        self._writer = writer
        self._probed_at = float("-inf")
        self._found = Finding(True, "not tried yet")

    async def check(self) -> Finding:
        """Return whether changes are saved, and the database's reason where they are not."""
        now = stopwatch()
        last = self._writer.last_commit
        if last is not None and now - last.at < _FRESH_SECONDS:
            return Finding(last.failure is None, "the last commit succeeded" if last.failure is None else last.detail)
        if now - self._probed_at >= _FRESH_SECONDS:
            self._found = await asyncio.to_thread(self._probe)
            self._probed_at = stopwatch()
        return self._found

    def _probe(self) -> Finding:
        try:
            probe(self._database)
        except StorageError as error:
            return Finding(False, described(error))
        return Finding(True, "a test write succeeded")


def described(error: StorageError) -> str:
    """Return our sentence and the database's own."""
    return f"{error} {error.reason}".strip()


def probe(database: Database) -> None:
    """Commit a change that leaves no trace.

    Raises:
        StorageUnwritableError: The database is read-only or full, or a right is missing.
        StorageError: It failed otherwise.
    """
    with translated_errors(), database.write.begin() as connection:
        if database.is_sqlite:
            version = connection.execute(text("PRAGMA user_version")).scalar_one()
            connection.exec_driver_sql(f"PRAGMA user_version = {1 - int(version % 2)}")
            return
        require_rights(connection)
        connection.execute(_EMPTY_MESSAGE)


def require_rights(connection: Connection) -> None:
    """Look whether PostgreSQL would let us write; changes nothing.

    Raises:
        StorageUnwritableError: It would not.
    """
    if connection.execute(_IS_READ_ONLY).scalar():
        raise StorageUnwritableError("The database is read-only: a standby, or set so.")
    missing = connection.execute(_MISSING_RIGHTS, {"names": list(SQLModel.metadata.tables)}).scalars().all()
    if missing:
        raise StorageUnwritableError(f"The database's user may not read and change {', '.join(missing[:5])}.")


def free_bytes(database: Database) -> int | None:
    """Return how much room an SQLite database has; None for PostgreSQL, which knows that itself."""
    path = database.write.url.database
    return shutil.disk_usage(Path(path).parent).free if database.is_sqlite and path else None
