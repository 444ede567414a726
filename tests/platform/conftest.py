"""A database with one plain table to write to, on both engines, and the log as it would be written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
import structlog
from sqlmodel import Session, select

from licsrv.heartbeats.tables import LicenseDay
from licsrv.platform import logs
from licsrv.platform.db import Database, open_database, reading

DAY = date(2026, 3, 1)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    database = open_database(sqlite_url)
    yield database
    database.dispose()


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    database = open_database(postgres_url)
    yield database
    database.dispose()


def write_row(session: Session, name: str) -> str:
    """Write a row of that name; a name can be written once."""
    session.add(LicenseDay(license_id=name, day=DAY))
    session.flush()
    return name


def written(database: Database) -> list[str]:
    """Return the names on disk."""
    with reading(database) as session:
        return sorted(row.license_id for row in session.exec(select(LicenseDay)))


class Log:
    """What was logged, line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [found for found in self.events() if found["event"] == event]


def configure_into(log: Log, level: str, style: str) -> None:
    """Configure as the service does, and write into the test's memory instead of standard error."""
    logs.configure(level, style)
    [handler] = logging.getLogger().handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(log.stream)


@pytest.fixture
def log() -> Iterator[Log]:
    """The log of this test, one JSON object a line."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    log = Log()
    configure_into(log, "INFO", "json")
    yield log
    root.handlers[:], root.level = before
    structlog.reset_defaults()
