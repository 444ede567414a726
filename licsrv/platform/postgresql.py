"""PostgreSQL connections: their time limits, poolers in front of the server, and what a database must be.

Limits are set after connecting, never as start-up options: PgBouncer refuses those, and they would replace the
``?options=`` of the address. A limit that the address, the role or the database sets is left as it is.

A pooler is recognised by the process id: it answers with one of its own, not with the server's. Behind a pooler in
transaction mode every transaction may run on another server connection. So nothing is prepared there, and limits are
set in each transaction; elsewhere once for each connection, which costs the transactions nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from functools import partial
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError
from sqlmodel import create_engine

from licsrv.errors import StorageError

# A callback has 5 s in all, so no statement may wait longer than that for a lock. In milliseconds.
LIMITS: Mapping[str, object] = {
    "lock_timeout": 4000,
    "statement_timeout": 15000,
    "idle_in_transaction_session_timeout": 30000,
}
# Use cases look rows up by key. The statistics of a table that grows within minutes are old, and a plan made for a
# hundred rows would walk through a hundred thousand.
_WRITING: Mapping[str, object] = {**LIMITS, "enable_seqscan": "off"}
_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
_IS_POOLED, _OURS, _IN_EACH = "licsrv.is_pooled", "licsrv.our_settings", "licsrv.in_each_transaction"
_LOOK = """
SELECT pg_backend_pid(), current_setting('server_encoding'), ARRAY(
    SELECT name FROM pg_settings
    WHERE name = ANY(%s) AND source NOT IN ('client', 'user', 'database', 'database user'))
"""
_TRIES = 5


class Pooling(StrEnum):
    """What is between us and the server."""

    NONE = "none"
    SESSION = "session"
    TRANSACTION = "transaction"


def open_engines(url: URL, *, writers: int) -> tuple[Engine, Engine]:
    """Make the writing and the reading engine; nothing is connected yet."""
    options: dict[str, Any] = {
        "connect_args": {"client_encoding": "utf8"},
        "pool_pre_ping": True,
        "hide_parameters": True,
    }
    write = create_engine(url, pool_size=writers, max_overflow=4, **options)
    read = create_engine(url, pool_size=8, max_overflow=8, **options)
    for engine, first, wanted in ((write, "", _WRITING), (read, _READ_ONLY, LIMITS)):
        event.listen(engine, "connect", partial(_prepare, wanted), insert=True)  # before the library asks anything
        event.listen(engine, "begin", _begin(first))
    return write, read


def _prepare(wanted: Mapping[str, object], connection: psycopg.Connection[Any], record: Any) -> None:
    connection.autocommit = True
    try:
        pid, encoding, ours = connection.execute(_LOOK, (list(wanted),)).fetchone() or (0, "", [])
        if encoding != "UTF8":
            raise StorageError(
                f"The database's encoding is {encoding}, and licsrv needs UTF8: create one with "
                "`createdb --encoding=UTF8 --template=template0`."
            )
        settings = {name: wanted[name] for name in ours}
        record.info[_OURS] = settings
        record.info[_IS_POOLED] = is_pooled = pid != connection.info.backend_pid
        if is_pooled:
            connection.prepare_threshold = None
            record.info[_IN_EACH] = _statement("SET LOCAL", settings)
        elif settings:
            connection.execute(_statement("SET", settings).encode())
    except psycopg.Error as error:  # the library wraps no error of its listeners
        raise OperationalError("SHOW", None, error) from error
    connection.autocommit = False


def _statement(word: str, settings: Mapping[str, object]) -> str:
    return "; ".join(f"{word} {name} = {value}" for name, value in settings.items())


def _begin(first: str) -> Callable[[Connection], None]:
    """Return what begins a transaction: at most one statement, so that limits cost a reader no round trip."""

    def begin(connection: Connection) -> None:
        if statement := "; ".join(filter(None, (first, connection.info.get(_IN_EACH, "")))):
            connection.exec_driver_sql(statement)

    return begin


def is_pooled(connection: Connection) -> bool:
    """Whether there is a pooler between us and the server."""
    return bool(connection.info[_IS_POOLED])


def set_limits(connection: Connection, **limits: object) -> None:
    """Give a connection other limits (in milliseconds, 0 is none).

    Call it outside a transaction, and invalidate the connection at the end: it must not go back to the pool.
    """
    settings = {**connection.info[_OURS], **{name: limits[name] for name in limits if name in connection.info[_OURS]}}
    if connection.info[_IS_POOLED]:
        connection.info[_IN_EACH] = _statement("SET LOCAL", settings)
    elif settings:
        with connection.begin():
            connection.exec_driver_sql(_statement("SET", settings))


def pooling(engine: Engine) -> Pooling:
    """Find out how connections are pooled: two that share a server process can only do that between transactions."""
    with engine.connect() as one, engine.connect() as other:
        if not one.info[_IS_POOLED]:
            return Pooling.NONE
        shared = any(_process(one) == _process(other) for _ in range(_TRIES))
    return Pooling.TRANSACTION if shared else Pooling.SESSION


def _process(connection: Connection) -> Any:
    pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    connection.rollback()
    return pid
