"""Devices that sent many texts are counted along the key of the texts, so that very many others cost little."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from licsrv.desk.today import store
from licsrv.platform.db import Database, open_database, reading
from tests.conftest import NOW


def plan_of_many_texts(database: Database) -> str:
    """Return how SQLite carries the query out."""
    sent: list[tuple[str, Any]] = []

    def note(_: object, __: object, statement: str, parameters: Any, *___: object) -> None:
        sent.append((statement, parameters))

    with reading(database) as session:
        event.listen(database.read, "before_cursor_execute", note)
        store.many_texts(session, NOW.date(), least=3, limit=20)
        event.remove(database.read, "before_cursor_execute", note)
        statement, parameters = sent[-1]
        steps = session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
    return "\n".join(step[-1] for step in steps)


def test_texts_are_not_sorted_to_be_counted(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    plan = plan_of_many_texts(database)
    database.dispose()

    assert "SEARCH device_texts USING PRIMARY KEY (day>?)" in plan
    assert "FOR GROUP BY" not in plan
