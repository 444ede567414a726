"""A database, and changes to be audited."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

import pytest
from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.platform.db import Database, open_database, reading, transaction
from licsrv.platform.seals import Sealed, SealKey, Seals
from tests.conftest import NOW


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.dispose()


def note(session: Session, number: int) -> None:
    """Record one entry that differs from its neighbours in every field."""
    audit.record(
        session,
        Action.LICENSE_CHANGED if number % 2 else Action.LICENSE_ADDED,
        subject=f"license-{number}",
        cause=Cause(f"staff:{number}", f"request-{number}", f"reason {number} \u6388\u6743"),
        detail={"number": number, "before": None},
        now=NOW + timedelta(microseconds=number),
    )


def write(database: Database, *numbers: int) -> None:
    """Record entries in one sealed transaction."""
    with transaction(database, [audit.seal]) as session:
        for number in numbers:
            note(session, number)


def verdict(database: Database, noted: audit.Mark | None = None) -> str | None:
    with reading(database) as session:
        return audit.verify(session, noted)


KEYS = [SealKey("newest", b"n" * 32), SealKey("before", b"b" * 32)]


def sealed(database: Database, state: Sealed = Sealed.EVERYTHING, keys: Sequence[SealKey] = KEYS) -> None:
    """Let a database seal its rows under keys of its own."""
    database.seal_with(lambda: Seals(keys, state))
