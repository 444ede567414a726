"""A database, a writer, messages of three kinds, and deliverers that answer as a test says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session, select

from licsrv.outbox import store
from licsrv.outbox.messages import Message
from licsrv.outbox.rules import Delivered, Verdict
from licsrv.outbox.store import Claimed
from licsrv.outbox.tables import OutboxRow
from licsrv.outbox.worker import Deliverer, Parked, Worker
from licsrv.platform.db import Database, open_database, reading, transaction
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer
from tests.conftest import NOW, StandingClock

LEASE = timedelta(seconds=90)


@dataclass(frozen=True)
class Numbered(Message):
    number: int = field(kw_only=True, default=0)


@dataclass(frozen=True)
class Query(Numbered):
    KIND = "query"


@dataclass(frozen=True)
class Usage(Numbered):
    KIND = "usage"


@dataclass(frozen=True)
class Trace(Numbered):
    """What an effect leaves behind, or a kind that has no deliverer."""

    KIND = "trace"


KINDS: Mapping[str, type[Numbered]] = {kind.KIND: kind for kind in (Query, Usage, Trace)}


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = open_database(database_url)
    yield database
    database.dispose()


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


def put(database: Database, *items: tuple[str, str], now: datetime = NOW) -> None:
    """Enqueue ``(kind, ordering_key)`` in this order; the messages are numbered."""
    numbered = [KINDS[kind](key, number=number) for number, (kind, key) in enumerate(items)]
    with transaction(database) as session:
        store.enqueue_many(session, numbered, now=now)


def damage(database: Database, key: str, payload: str) -> None:
    """Store a payload as text; SQLite takes any, PostgreSQL only JSON."""
    value = ":payload" if database.is_sqlite else "CAST(:payload AS JSON)"
    statement = text(f"UPDATE outbox SET payload = {value} WHERE ordering_key = :key")
    with transaction(database) as session:
        session.execute(statement, {"payload": payload, "key": key})


def rows(database: Database) -> list[OutboxRow]:
    with reading(database) as session:
        return list(session.exec(select(OutboxRow).order_by("id")).all())


def row(database: Database) -> OutboxRow:
    [found] = rows(database)
    return found


def claim(
    database: Database, kind: str, *, owner: str = "me", together: bool = False, limit: int = 100,
    now: datetime = NOW, lease: timedelta = LEASE,
) -> list[Claimed]:  # fmt: skip
    with transaction(database) as session:
        return store.claim_due(session, kind, together=together, owner=owner, lease=lease, limit=limit, now=now)


def keys(claimed: Sequence[Claimed]) -> list[str]:
    return [each.ordering_key for each in claimed]


def numbers(claimed: Sequence[Claimed]) -> list[int]:
    return [json.loads(each.payload)["number"] for each in claimed]


Answer = Verdict | Exception | Callable[[Numbered], Verdict]


class Receiver:
    """The other side: notes what arrives and answers as told, the last answer again and again."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers or [Delivered()])
        self.calls: list[list[int]] = []
        self.gate: asyncio.Event | None = None

    async def __call__(self, group: Sequence[Numbered]) -> Sequence[Verdict]:
        self.calls.append([each.number for each in group])
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [answer(each) if callable(answer) else answer for each in group]


def worker_of(
    writer: Writer, receivers: Mapping[str, Receiver], clock: StandingClock, *, batch: int = 1, **options: Any
) -> Worker:
    deliverers = [Deliverer(KINDS[kind], receiver, batch) for kind, receiver in receivers.items()]
    return Worker(writer, deliverers, clock=clock, **(DEFAULTS | {"metrics": Metrics()} | options))


def ignore(_: Session, __: Parked) -> None:
    """Note nothing of what is parked."""


DEFAULTS: Mapping[str, Any] = {"owner": "me", "on_parked": ignore}


def mark(name: str) -> Callable[[Session], None]:
    """Return an effect that leaves a trace in the database."""
    return lambda session: store.enqueue(session, Trace(name), now=NOW)
