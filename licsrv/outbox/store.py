"""The outbox's SQL: enqueue in the caller's transaction, claim under a lease, settle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, exists, func, insert, or_, select, true, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from licsrv.outbox.rules import LONGEST_WAIT, State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import after_commit, execute, table_of

_ENQUEUED = "licsrv.outbox.enqueued"
_ENQUEUE = insert(table_of(OutboxRow))


@dataclass(frozen=True)
class Claimed:
    """A row that this worker alone may deliver until its lease runs out. ``attempts`` counts this try."""

    id: int
    kind: str
    ordering_key: str
    payload: Mapping[str, Any]
    attempts: int


def enqueue(session: Session, kind: str, *, ordering_key: str, payload: Mapping[str, object], now: datetime) -> None:
    """Note something to deliver, in the transaction of the change that causes it."""
    enqueue_many(session, [(kind, ordering_key, payload)], now=now)


def enqueue_many(session: Session, items: Sequence[tuple[str, str, Mapping[str, object]]], *, now: datetime) -> None:
    """Note several things to deliver, as ``(kind, ordering_key, payload)``."""
    if not items:
        return
    rows = [
        {
            "kind": kind,
            "ordering_key": ordering_key,
            "payload": dict(payload),
            "state": str(State.WAITING),
            "attempts": 0,
            "due_at": now,
            "created_at": now,
        }
        for kind, ordering_key, payload in items
    ]
    execute(session, _ENQUEUE, rows)
    session.info[_ENQUEUED] = True


def wake_after_commit(session: Session, wake: Callable[[], None]) -> None:
    """Call ``wake`` after this transaction's commit if it enqueued anything; a hook for the writer."""
    if session.info.pop(_ENQUEUED, False):
        after_commit(session, wake)


def claim_due(
    session: Session, kind: str, *, together: bool, owner: str, lease: timedelta, limit: int, now: datetime
) -> list[Claimed]:
    """Take due rows of a kind, oldest first; nobody else gets them until ``now + lease``.

    A row that stands behind another of its ordering key has to wait until that one is settled. Where rows of the kind
    are delivered ``together`` in one call, those right behind each other may be taken at once.

    Rows whose worker died are due again when its lease has run out. On PostgreSQL rows that another replica is
    claiming at this moment are skipped, not waited for: there, two replicas may each deliver some rows of one key at
    the same time where the kind is delivered ``together``, so such a kind must not mind its order.

    A moment that lies further ahead than anybody here sets one was set while the clock was wrong, and counts as past.
    """
    query = _due(kind, together, lease, now).limit(limit).with_for_update(skip_locked=True, of=OutboxRow)
    ids = session.scalars(query).all()
    if not ids:
        return []
    session.execute(
        update(OutboxRow)
        .where(col(OutboxRow.id).in_(ids))
        .values(claimed_by=owner, claimed_until=now + lease, attempts=OutboxRow.attempts + 1)
        .execution_options(synchronize_session=False)
    )
    rows = session.execute(
        select(table_of(OutboxRow)).where(col(OutboxRow.id).in_(ids)).order_by(col(OutboxRow.id))
    ).all()
    return [Claimed(row.id, row.kind, row.ordering_key, row.payload, row.attempts) for row in rows]


def _due(kind: str, together: bool, lease: timedelta, now: datetime) -> Any:
    earlier = aliased(OutboxRow)
    is_behind = exists().where(
        col(earlier.ordering_key) == col(OutboxRow.ordering_key),
        col(earlier.settled_at).is_(None),
        col(earlier.id) < col(OutboxRow.id),
        or_(col(earlier.kind) != kind, ~_is_due(earlier, now), ~_is_free(earlier, lease, now)) if together else true(),
    )
    return (
        select(col(OutboxRow.id))
        .where(
            col(OutboxRow.settled_at).is_(None),
            col(OutboxRow.kind) == kind,
            _is_due(OutboxRow, now),
            _is_free(OutboxRow, lease, now),
            ~is_behind,
        )
        .order_by(col(OutboxRow.id))
    )


def _is_due(row: type[OutboxRow], now: datetime) -> Any:
    return or_(col(row.due_at) <= now, col(row.due_at) > now + LONGEST_WAIT)


def _is_free(row: type[OutboxRow], lease: timedelta, now: datetime) -> Any:
    # Twice the lease: replicas' clocks differ a little.
    claimed_until = col(row.claimed_until)
    return or_(claimed_until.is_(None), claimed_until < now, claimed_until > now + 2 * lease)


def still_mine(session: Session, claimed: Claimed, owner: str) -> bool:
    """Whether this try still holds the row; locks it until the end of the transaction.

    The number of tries tells apart what one worker claimed twice, after its own lease ran out.
    """
    query = select(col(OutboxRow.id)).where(
        col(OutboxRow.id) == claimed.id,
        col(OutboxRow.claimed_by) == owner,
        col(OutboxRow.attempts) == claimed.attempts,
        col(OutboxRow.settled_at).is_(None),
    )
    return session.execute(query.with_for_update()).first() is not None


def settle(session: Session, row_id: int, *, state: State, error: str | None, now: datetime) -> None:
    """Close a row."""
    _update(session, row_id, state=str(state), settled_at=now, last_error=error, claimed_by=None, claimed_until=None)


def put_back(session: Session, row_id: int, *, due_at: datetime, error: str, counted: bool) -> None:
    """Give a row back to be tried again at ``due_at``; ``counted`` says whether this was a try."""
    attempts = OutboxRow.attempts if counted else OutboxRow.attempts - 1
    _update(session, row_id, due_at=due_at, last_error=error, claimed_by=None, claimed_until=None, attempts=attempts)


def reopen(session: Session, row_id: int, *, now: datetime) -> None:
    """Make a row due now, as if it were new."""
    values = {"state": str(State.WAITING), "settled_at": None, "attempts": 0, "due_at": now}
    _update(session, row_id, **values, claimed_by=None, claimed_until=None)


def _update(session: Session, row_id: int, **values: Any) -> None:
    statement = update(OutboxRow).where(col(OutboxRow.id) == row_id).values(**values)
    session.execute(statement.execution_options(synchronize_session=False))


def row_by_id(session: Session, row_id: int) -> OutboxRow | None:
    """Return one row, locked against others in a writing transaction."""
    return session.scalars(select(OutboxRow).where(col(OutboxRow.id) == row_id).with_for_update()).one_or_none()


def rows(session: Session, *, state: State | None, key: str | None = None, limit: int = 50) -> Sequence[OutboxRow]:
    """Return rows for people: waiting ones oldest first, others newest first."""
    order = col(OutboxRow.id) if state is State.WAITING else col(OutboxRow.id).desc()
    query = select(OutboxRow).order_by(order).limit(limit)
    if state is not None:
        query = query.where(col(OutboxRow.state) == str(state))
    if key is not None:
        query = query.where(col(OutboxRow.ordering_key) == key)
    return session.scalars(query).all()


@dataclass(frozen=True)
class Depth:
    """How full the outbox is."""

    waiting: int
    parked: int
    oldest_at: datetime | None


def depth(session: Session) -> Depth:
    """Count what waits and what is parked, and find the oldest that waits."""
    waiting, oldest = session.execute(
        select(func.count(), func.min(OutboxRow.created_at)).where(col(OutboxRow.settled_at).is_(None))
    ).one()
    parked = session.scalar(select(func.count()).where(col(OutboxRow.state) == str(State.PARKED))) or 0
    return Depth(waiting, parked, oldest)


def prune(session: Session, *, before: datetime) -> None:
    """Forget delivered and dropped rows settled before a moment; parked ones stay until a person decides."""
    done = (str(State.DELIVERED), str(State.DROPPED))
    session.execute(delete(OutboxRow).where(and_(col(OutboxRow.state).in_(done), col(OutboxRow.settled_at) < before)))
