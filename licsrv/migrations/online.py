"""Schema changes that do not keep the service from writing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alembic import op


def replace_index(name: str, table: str, columns: Sequence[Any], *, where: Any = None) -> None:
    """Make an index on a table that was there before, in place of one of that name.

    PostgreSQL makes it CONCURRENTLY, outside a transaction. A try that was interrupted leaves an index that is not
    valid; it goes first. The wait for older transactions has no limit: it blocks none of them.
    """
    conditions = {"sqlite_where": where, "postgresql_where": where} if where is not None else {}
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index(name, table, if_exists=True)
        op.create_index(name, table, columns, **conditions)
        return
    with op.get_context().autocommit_block():
        _wait_without_limit()
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)
        op.create_index(name, table, columns, postgresql_concurrently=True, **conditions)


def drop_index(name: str, table: str) -> None:
    """Drop an index; PostgreSQL does it CONCURRENTLY."""
    if op.get_bind().dialect.name != "postgresql":
        op.drop_index(name, table, if_exists=True)
        return
    with op.get_context().autocommit_block():
        _wait_without_limit()
        op.drop_index(name, table, if_exists=True, postgresql_concurrently=True)


def _wait_without_limit() -> None:
    """Lift the limit for locks; behind a pooler there is none outside a transaction."""
    from licsrv.platform.postgresql import is_pooled

    if not is_pooled(op.get_bind()):
        op.execute("SET lock_timeout = 0")
