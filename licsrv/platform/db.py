"""Engines and transactions: the only place that commits.

SQLite: one file in WAL mode with ``synchronous=FULL``; a write begins with ``BEGIN IMMEDIATE``, so that writers queue
instead of failing half-way (without it a limit of one place let several threads in). Reads use a second engine that
cannot write. PostgreSQL: psycopg 3 (:mod:`licsrv.platform.postgresql`), READ COMMITTED, row locks taken in each room's
``store.py``; a reading session sees one state of the database from its first look-up on (REPEATABLE READ), as it does
on SQLite.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Engine, Table, Text, and_, bindparam, delete, event, literal, select, tuple_, type_coerce
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import UserDefinedType
from sqlmodel import Session, SQLModel, create_engine

from licsrv.errors import StorageError
from licsrv.platform import database_address, logs
from licsrv.platform import seals as seals_module
from licsrv.platform.seals import Seals, SealsReader
from licsrv.platform.storage_errors import translate

Hook = Callable[[Session], None]
AFTER_COMMIT = "licsrv.after_commit"

_log = logs.logger(__name__)
# Rows here are small and scattered, so small pages make small commits; the page size counts for a new file only. A long
# journal copies a page that changes often into the file once, not each thousand pages (docs/performance.md).
_SQLITE_PRAGMAS = (
    "page_size=2048",
    "journal_mode=WAL",
    "wal_autocheckpoint=16000",
    "synchronous=FULL",
    "busy_timeout=4000",
    "foreign_keys=ON",
    "cache_size=-32768",
)
SLICE = 500
_LAST_CHARACTER = "\U0010ffff"


def table_of(model: type[SQLModel]) -> Table:
    """Return the table behind a model, for statements that want plain rows instead of objects."""
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


@dataclass(frozen=True)
class Database:
    """The two engines of one database: ``write`` for changes, ``read`` for look-ups that need no lock."""

    write: Engine
    read: Engine

    @property
    def is_sqlite(self) -> bool:
        """Whether there is one writer only."""
        return self.write.dialect.name == "sqlite"

    def seal_with(self, seals: SealsReader) -> None:
        """Let every session seal what it writes and check what it reads; ``seals`` is asked each time."""
        for engine in (self.write, self.read):
            engine.update_execution_options(**{seals_module.MEMBER: seals})

    def checkpoint(self) -> None:
        """Copy SQLite's journal into the file while others write: who writes when it is full would wait for all of it.

        On PostgreSQL nothing: it has a process for this.

        Raises:
            StorageError: The file cannot be read or written.
        """
        if not self.is_sqlite:
            return
        try:
            with self.read.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")
        except SQLAlchemyError as error:
            raise translate(error) from error

    def dispose(self) -> None:
        """Close every pooled connection; connections in use close when they are given back."""
        self.write.dispose()
        self.read.dispose()


def open_database(url: str, *, writers: int = 4) -> Database:
    """Make the engines for a database URL; nothing is connected yet, an SQLite file's folder is made.

    Their errors name statements without the values: errors are logged whole, and values are people's and secrets.

    Raises:
        StorageError: It is no address of a database that keeps what it was given.
    """
    parsed = database_address.parse(url)
    if parsed.get_backend_name() == "sqlite":
        return _open_sqlite(parsed)
    from licsrv.platform.postgresql import open_engines  # its driver is loaded where it is used

    return Database(*open_engines(parsed, writers=writers))


def _open_sqlite(url: URL) -> Database:
    path = url.database
    if not path or path == ":memory:" or "uri" in url.query:  # file:…?mode=memory&uri=true is no file either
        raise StorageError("An SQLite database must be a file: what is acknowledged has to be on disk.")
    _make_file(Path(path))
    write = create_engine(url, pool_size=4, hide_parameters=True)
    read = create_engine(url, pool_size=8, max_overflow=8, hide_parameters=True)
    event.listen(write, "connect", lambda connection, _: _prepare_sqlite(connection, _SQLITE_PRAGMAS))
    event.listen(
        read, "connect", lambda connection, _: _prepare_sqlite(connection, (*_SQLITE_PRAGMAS, "query_only=ON"))
    )
    event.listen(write, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    event.listen(read, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return Database(write, read)


def _make_file(path: Path) -> None:
    """Make a missing file readable for its owner only, whatever the umask; its journal gets the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(OSError):  # the engine reports what is wrong with it
        path.touch(0o600)


def _prepare_sqlite(connection: Any, pragmas: Sequence[str]) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: the listeners do
    cursor = connection.cursor()
    for pragma in pragmas:
        statement = f"PRAGMA {pragma}"
        try:
            cursor.execute(statement)
        except sqlite3.Error as error:  # the library wraps no error of its listeners: busy, or no database at all
            raise OperationalError(statement, None, error) from error
    cursor.close()


def seals_of(session: Session) -> Seals | None:
    """Return what seals the rows of a session's database; None where nothing does, as in a tool or a test."""
    seals: SealsReader | None = session.get_bind().get_execution_options().get(seals_module.MEMBER)
    return seals() if seals is not None else None


def execute(session: Session, statement: Any, parameters: Any = None) -> Any:
    """Run a statement past the object layer, in the session's transaction.

    For statements that are built once, at import, and run with parameters: building one for every call costs more than
    the database does (measured, see docs/performance.md). Objects that wait to be written are written first.
    """
    if session.new or session.dirty or session.deleted:
        session.flush()
    return session.connection().execute(statement, parameters)


class Members(FunctionElement[Any]):
    """The members of a JSON list given as one parameter, for ``column = ANY`` or ``column IN``: see :func:`is_member`.

    An ``IN`` with a parameter for each member has to be written again for every call; this is one text for all.
    """

    name = "members"
    inherit_cache = True
    # No Boolean: SQLAlchemy would compare it with 1 on SQLite, which then reads the whole table instead of an index.


@compiles(Members, "sqlite")
def _members_on_sqlite(element: Members, compiler: Any, **options: Any) -> str:
    column, names = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN (SELECT value FROM json_each({names}))"  # noqa: S608 - both are compiled expressions


@compiles(Members, "postgresql")
def _members_on_postgresql(element: Members, compiler: Any, **options: Any) -> str:
    """An array is looked up in the column's index; the rows of a sub-select are joined, and may be by a full scan."""
    column, names = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY (ARRAY (SELECT jsonb_array_elements_text(CAST({names} AS jsonb))))"


class Folded(FunctionElement[Any]):
    """A text in small letters and in the order of its bytes: what an index of beginnings is made of.

    PostgreSQL sorts by language otherwise, and such an index finds no beginnings. SQLite folds ASCII alone.
    """

    name = "folded"
    inherit_cache = True
    type = Text()


@compiles(Folded, "sqlite")
def _folded_on_sqlite(element: Folded, compiler: Any, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(Folded, "postgresql")
def _folded_on_postgresql(element: Folded, compiler: Any, **options: Any) -> str:
    return f'(lower({compiler.process(element.clauses, **options)}) COLLATE "C")'


class LookAlike(FunctionElement[Any]):
    """A text as the eye takes it: small letters, no blanks, no dashes, letters that look like digits as digits."""

    name = "look_alike"
    inherit_cache = True
    type = Text()


@compiles(LookAlike, "sqlite")
def _look_alike_on_sqlite(element: LookAlike, compiler: Any, **options: Any) -> str:
    text = f"lower({compiler.process(element.clauses, **options)})"
    for seen, taken in ((" ", ""), ("-", ""), ("o", "0"), ("i", "1"), ("l", "1")):
        text = f"replace({text}, '{seen}', '{taken}')"
    return text


@compiles(LookAlike, "postgresql")
def _look_alike_on_postgresql(element: LookAlike, compiler: Any, **options: Any) -> str:
    return f"translate(lower({compiler.process(element.clauses, **options)}), 'oil -', '011')"


class Listed(FunctionElement[Any]):
    """The members of a JSON list given as one parameter, as rows with a column ``value``: see :func:`listed`."""

    name = "listed"
    inherit_cache = True


@compiles(Listed, "sqlite")
def _listed_on_sqlite(element: Listed, compiler: Any, **options: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **options)})"


@compiles(Listed, "postgresql")
def _listed_on_postgresql(element: Listed, compiler: Any, **options: Any) -> str:
    names = compiler.process(element.clauses, **options)
    return f"(SELECT value FROM jsonb_array_elements_text(CAST({names} AS jsonb)) AS value)"  # noqa: S608 - compiled


def listed(parameter: str) -> Any:
    """Return the members of a JSON list, given as a JSON text under ``parameter``, as a table with one column."""
    return Listed(bindparam(parameter, type_=Text)).table_valued(Column("value", Text))


def begins_with(column: Any, text: str) -> Any:
    """Return the condition that a column begins with a text, whatever their case; an index of :class:`Folded` helps."""
    return and_(Folded(column) >= Folded(literal(text)), Folded(column) < Folded(literal(text + _LAST_CHARACTER)))


def is_member(column: Any, parameter: str) -> Any:
    """Return the condition that a column's text is one of a list, given as a JSON text under ``parameter``."""
    return Members(column, bindparam(parameter, type_=Text))


class Unread(UserDefinedType[Any]):
    """A column's value as the driver gives it, for callers that convert whole rows more cheaply."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        """Return nothing useful: this type is never stored."""
        return "UNREAD"


def unread(column: Any) -> Any:
    """Return a column whose values come as :class:`Unread`."""
    return type_coerce(column, Unread)


def moment(value: Any) -> datetime | None:
    """Read a moment that came as :class:`Unread`."""
    if value is None:
        return None
    if isinstance(value, str):
        return datetime.fromisoformat(value + "Z")  # SQLite: text in UTC, as SQLModel writes it
    return value.astimezone(UTC)  # type: ignore[no-any-return]  # PostgreSQL


def document(value: Any) -> Any:
    """Read a JSON document that came as :class:`Unread`: a text on SQLite."""
    return json.loads(value) if isinstance(value, str) else value


@cache
def insert_missing(model: type[SQLModel], column: str, dialect: str) -> Any:
    """Return ``INSERT … ON CONFLICT DO NOTHING RETURNING column`` of a model: what makes once-only things once-only."""
    insert: Any = postgresql.insert if dialect == "postgresql" else sqlite.insert
    return insert(table_of(model)).on_conflict_do_nothing().returning(table_of(model).c[column])


def add_missing(session: Session, model: type[SQLModel], column: str, rows: Sequence[Mapping[str, Any]]) -> set[Any]:
    """Write each row unless one with its keys is there; return the ``column`` of those that were written.

    The drivers do not agree on how many rows a conflict leaves, so the rows themselves are asked for.
    """
    if not rows:
        return set()
    statement = insert_missing(model, column, session.get_bind().dialect.name)
    return set(execute(session, statement, [dict(row) for row in rows]).scalars())


def delete_slice(session: Session, model: type[SQLModel], condition: Any) -> int:
    """Delete at most :data:`SLICE` rows and return how many; an index should answer the condition.

    Who deletes more does it slice by slice, each in a transaction of its own, so that other writers wait for one slice.
    """
    key = list(table_of(model).primary_key.columns)
    found = select(*key).where(condition).limit(SLICE)
    deleted = delete(table_of(model)).where((tuple_(*key) if len(key) > 1 else key[0]).in_(found))
    return int(execute(session, deleted).rowcount)


def noted(session: Session, name: str) -> list[Any]:
    """Return the list in which a transaction notes things under a name; what a savepoint undoes leaves it again."""
    found: list[Any] = session.info.setdefault(name, [])
    return found


def notes_of(session: Session) -> dict[str, int]:
    """Return how much is noted now, for :func:`forget_notes_after`."""
    return {name: len(value) for name, value in session.info.items() if isinstance(value, list)}


def forget_notes_after(session: Session, before: Mapping[str, int]) -> None:
    """Forget what was noted since ``before``: the savepoint that it belongs to was undone."""
    for name, value in session.info.items():
        if isinstance(value, list):
            del value[before.get(name, 0) :]


@contextmanager
def savepoint(session: Session) -> Iterator[None]:
    """Open a part of a transaction whose failure undoes that part alone, with what was noted in it."""
    before = notes_of(session)
    try:
        with session.begin_nested():
            yield
    except BaseException:
        forget_notes_after(session, before)
        raise


def after_commit(session: Session, callback: Callable[[], None]) -> None:
    """Call ``callback`` once the transaction is on disk; if it is rolled back, never."""
    noted(session, AFTER_COMMIT).append(callback)


def run_after_commit(session: Session) -> None:
    """Run what :func:`after_commit` noted, in order, and forget it.

    A callback that fails is logged: the transaction is on disk, so the caller must not get an error.
    """
    for callback in session.info.pop(AFTER_COMMIT, []):
        try:
            callback()
        except Exception:
            _log.exception("something to do after a commit failed")


@contextmanager
def transaction(database: Database, hooks: Sequence[Hook] = ()) -> Iterator[Session]:
    """Open one writing transaction of its own; commit at the end, roll back on any error.

    For commands and jobs; requests share commits through :mod:`licsrv.platform.writer`.

    Raises:
        StorageError: The database failed; nothing was changed.
    """
    with translated_errors(), Session(database.write) as session:
        yield session
        session.flush()
        for hook in hooks:
            hook(session)
        session.commit()
        run_after_commit(session)


@contextmanager
def reading(database: Database) -> Iterator[Session]:
    """Open a session that can only read and sees one state of the database."""
    with translated_errors(), Session(database.read) as session:
        yield session


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the database library's errors into ours, at this seam and nowhere else."""
    try:
        yield
    except SQLAlchemyError as error:
        raise translate(error) from error
