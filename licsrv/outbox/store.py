"""The SQL of the outbox: enqueue in the caller's transaction, claim under a lease, settle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Text, and_, cast, exists, func, insert, or_, select, true, update
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from licsrv.outbox.messages import Message
from licsrv.outbox.rules import LONGEST_WAIT, State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import after_commit, delete_slice, execute, noted, table_of

_ENQUEUED = "licsrv.outbox.enqueued"
# Short: on PostgreSQL a row that is put aside while another replica settles the row before it is not brought back.
_ASIDE = timedelta(minutes=1)
_ENQUEUE = insert(table_of(OutboxRow))
_LOOKS = (200,) * 5


_outbox = table_of(OutboxRow).c
# As text: one row whose JSON is damaged must not fail the claim of all others.
_CLAIMED = select(
    _outbox.id, _outbox.kind, _outbox.ordering_key, cast(_outbox.payload, Text).label("payload"), _outbox.attempts
).order_by(_outbox.id)


@dataclass(frozen=True)
class Claimed:
    """A row that only this worker may deliver until its lease ends. ``attempts`` counts this try.

    ``payload`` is the JSON text as stored.
    """

    id: int
    kind: str
    ordering_key: str
    payload: str
    attempts: int


def enqueue(session: Session, message: Message, *, now: datetime) -> None:
    """Write a message to deliver, in the transaction of the change that causes it."""
    enqueue_many(session, [message], now=now)


def enqueue_many(session: Session, messages: Sequence[Message], *, now: datetime) -> None:
    """Write several messages to deliver, in this order."""
    if not messages:
        return
    rows = [
        {
            "kind": message.KIND,
            "ordering_key": message.ordering_key,
            "payload": message.payload(),
            "state": str(State.WAITING),
            "attempts": 0,
            "due_at": now,
            "created_at": now,
        }
        for message in messages
    ]
    execute(session, _ENQUEUE, rows)
    noted(session, _ENQUEUED).extend({message.KIND for message in messages})


def was_enqueued(session: Session, message: Message, *, since: datetime) -> bool:
    """Whether the same message was enqueued since a moment, delivered or not."""
    query = select(_outbox.payload).where(
        _outbox.ordering_key == message.ordering_key, _outbox.kind == message.KIND, _outbox.created_at >= since
    )
    return message.payload() in session.scalars(query).all()


def wake_after_commit(session: Session, wake: Callable[[Collection[str]], None]) -> None:
    """Call ``wake`` with the kinds that this transaction enqueued, after its commit; a hook for the writer."""
    if kinds := frozenset(session.info.pop(_ENQUEUED, ())):
        after_commit(session, partial(wake, kinds))


def claim_due(
    session: Session, kind: str, *, together: bool, owner: str, lease: timedelta, limit: int, now: datetime
) -> list[Claimed]:
    """Take due rows of a kind, the longest due first; no other worker gets them until ``now + lease``.

    A row behind another row of its ordering key waits until that one is settled. Where rows of the kind are delivered
    ``together`` in one call, rows directly behind each other may be taken at once.

    Rows of a dead worker are due again when its lease has ended. On PostgreSQL rows that another replica is claiming
    now are skipped, not waited for: two replicas may then deliver rows of one key at the same time where the kind is
    delivered ``together``, so the order must not matter for such a kind.

    A moment further ahead than any row is postponed comes from a wrong clock and counts as past.

    The price is that of the rows taken, however many wait: rows that are behind others are put aside when they are
    found, and come back when the row before them is settled.
    """
    ids: list[int] = []
    for is_due in (_outbox.due_at <= now, _outbox.due_at > now + LONGEST_WAIT):
        query = _due(kind, is_due, together=together, lease=lease, now=now)
        ids += _take(session, query, limit - len(ids), aside=now + _ASIDE)
    if not ids:
        return []
    _update_many(session, ids, claimed_by=owner, claimed_until=now + lease, attempts=OutboxRow.attempts + 1)
    return [Claimed(**row) for row in session.execute(_CLAIMED.where(_outbox.id.in_(ids))).mappings()]


def _take(session: Session, query: Any, limit: int, *, aside: datetime) -> list[int]:
    """Return up to ``limit`` rows that are not behind others; put those that are aside until then."""
    for look in (limit, *_LOOKS):
        if not limit:
            break
        found = session.execute(query.limit(look)).all()
        free = [row.id for row in found if not row.is_behind]
        behind = [row.id for row in found if row.is_behind]
        if not behind or len(free) >= limit:
            return free[:limit]
        _update_many(session, behind, due_at=aside)
        if len(found) < look:
            return free
    return []


def _due(kind: str, is_due: Any, *, together: bool, lease: timedelta, now: datetime) -> Any:
    earlier = aliased(OutboxRow)
    is_behind = exists().where(
        col(earlier.ordering_key) == col(OutboxRow.ordering_key),
        col(earlier.settled_at).is_(None),
        col(earlier.id) < col(OutboxRow.id),
        or_(col(earlier.kind) != kind, ~_is_due(earlier, now), ~_is_free(earlier, lease, now)) if together else true(),
    )
    return (
        select(col(OutboxRow.id), is_behind.label("is_behind"))
        .where(
            col(OutboxRow.settled_at).is_(None),
            col(OutboxRow.kind) == kind,
            is_due,
            _is_free(OutboxRow, lease, now),
        )
        .order_by(col(OutboxRow.due_at), col(OutboxRow.id))
        .with_for_update(skip_locked=True, of=OutboxRow)
    )


def _is_due(row: type[OutboxRow], now: datetime) -> Any:
    return or_(col(row.due_at) <= now, col(row.due_at) > now + LONGEST_WAIT)


def _is_free(row: type[OutboxRow], lease: timedelta, now: datetime) -> Any:
    # Twice the lease: replicas' clocks differ a little.
    claimed_until = col(row.claimed_until)
    return or_(claimed_until.is_(None), claimed_until < now, claimed_until > now + 2 * lease)


def still_mine(session: Session, claimed: Claimed, owner: str) -> bool:
    """Whether this try still holds the row; locks it until the end of the transaction.

    The number of tries distinguishes two claims of one worker, the second made after its own lease ended.
    """
    query = select(col(OutboxRow.id)).where(
        col(OutboxRow.id) == claimed.id,
        col(OutboxRow.claimed_by) == owner,
        col(OutboxRow.attempts) == claimed.attempts,
        col(OutboxRow.settled_at).is_(None),
    )
    return session.execute(query.with_for_update()).first() is not None


def settle(session: Session, row_id: int, *, state: State, error: str | None, now: datetime) -> bool:
    """Close a row, and let the rows behind it come back; return whether there were any."""
    woken = _bring_back(session, row_id, at=now)
    _update(session, row_id, state=str(state), settled_at=now, last_error=error, claimed_by=None, claimed_until=None)
    return woken


def _bring_back(session: Session, row_id: int, *, at: datetime, kind: Any = None) -> bool:
    """Make the rows behind one due at a moment: those put aside, not those that were tried and wait for their own."""
    of_row = select(_outbox.ordering_key).where(_outbox.id == row_id).scalar_subquery()
    behind = update(OutboxRow).where(
        col(OutboxRow.ordering_key) == of_row,
        col(OutboxRow.settled_at).is_(None),
        col(OutboxRow.id) > row_id,
        col(OutboxRow.attempts) == 0,
        col(OutboxRow.due_at) > at,
        true() if kind is None else col(OutboxRow.kind) == kind,
    )
    found = session.execute(behind.values(due_at=at).execution_options(synchronize_session=False))
    return bool(found.rowcount)  # type: ignore[attr-defined]


def put_back(session: Session, row_id: int, *, due_at: datetime, error: str, counted: bool) -> None:
    """Give a row back to be tried again at ``due_at``; ``counted`` says whether this was a try.

    Rows of its kind behind it are due with it, as some kinds are delivered together.
    """
    same_kind = select(_outbox.kind).where(_outbox.id == row_id).scalar_subquery()
    _bring_back(session, row_id, at=due_at, kind=same_kind)
    attempts = OutboxRow.attempts if counted else OutboxRow.attempts - 1
    _update(session, row_id, due_at=due_at, last_error=error, claimed_by=None, claimed_until=None, attempts=attempts)


def reopen(session: Session, row_id: int, *, now: datetime) -> None:
    """Make a row due now, as if it were new."""
    values = {"state": str(State.WAITING), "settled_at": None, "attempts": 0, "due_at": now}
    _update(session, row_id, **values, claimed_by=None, claimed_until=None)


def _update(session: Session, row_id: int, **values: Any) -> None:
    _update_many(session, [row_id], **values)


def _update_many(session: Session, row_ids: Sequence[int], **values: Any) -> None:
    statement = update(OutboxRow).where(col(OutboxRow.id).in_(row_ids)).values(**values)
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


def prune(session: Session, *, before: datetime) -> int:
    """Delete some delivered and dropped rows settled before a moment; parked ones stay until a person decides.

    Returns:
        How many were deleted; :data:`licsrv.platform.db.SLICE` when there may be more.
    """
    done = (str(State.DELIVERED), str(State.DROPPED))
    return sum(
        delete_slice(session, OutboxRow, and_(_outbox.state == state, _outbox.settled_at < before)) for state in done
    )
