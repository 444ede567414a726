"""The SQL of the outbox: enqueue in the caller's transaction, claim under a lease, settle."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import Integer, Text, and_, bindparam, case, cast, exists, func, insert, or_, select, true, update
from sqlmodel import Session, col

from licsrv.outbox.messages import Message
from licsrv.outbox.rules import LONGEST_WAIT, State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import after_commit, delete_slice, execute, noted, table_of

_ENQUEUED = "licsrv.outbox.enqueued"
_ASIDE = LONGEST_WAIT / 2
_LOOKS = (200,) * 5
_rows = table_of(OutboxRow)
_outbox = _rows.c
_ENQUEUE = insert(_rows)
# As text: one row whose JSON is damaged must not fail the claim of all others.
_CLAIMED = (
    select(
        _outbox.id, _outbox.kind, _outbox.ordering_key, cast(_outbox.payload, Text).label("payload"), _outbox.attempts
    )
    .where(_outbox.id.in_(bindparam("ids", expanding=True)))
    .order_by(_outbox.id)
)
_CLAIM = (
    update(_rows)
    .where(_outbox.id.in_(bindparam("ids", expanding=True)))
    .values(claimed_by=bindparam("owner"), claimed_until=bindparam("until"), attempts=_outbox.attempts + 1)
)
_STILL_MINE = (
    select(_outbox.id)
    .where(
        _outbox.id == bindparam("of_row"),
        _outbox.claimed_by == bindparam("owner"),
        _outbox.attempts == bindparam("tries"),
        _outbox.settled_at.is_(None),
    )
    .with_for_update()
)
_GIVEN_BACK: dict[str, Any] = {"claimed_by": None, "claimed_until": None, "last_error": bindparam("error")}
_SETTLE = (
    update(_rows)
    .where(_outbox.id == bindparam("of_row"))
    .values(state=bindparam("into"), settled_at=bindparam("at"), **_GIVEN_BACK)
)
_PUT_BACK = (
    update(_rows)
    .where(_outbox.id == bindparam("of_row"))
    .values(due_at=bindparam("at"), attempts=_outbox.attempts - bindparam("uncounted"), **_GIVEN_BACK)
)
_of_row = select(_outbox.ordering_key, _outbox.kind).where(_outbox.id == bindparam("of_row")).subquery()
# Each row behind is written, due or not: a replica that is putting one aside is waited for, and its word is undone.
_BRING_BACK = (
    update(_rows)
    .where(
        _outbox.ordering_key == select(_of_row.c.ordering_key).scalar_subquery(),
        _outbox.settled_at.is_(None),
        _outbox.id > bindparam("of_row"),
        _outbox.attempts == 0,
    )
    .values(due_at=case((_outbox.due_at > bindparam("at"), bindparam("at")), else_=_outbox.due_at))
    .returning(_outbox.kind)
)
_BRING_BACK_OF_KIND = _BRING_BACK.where(_outbox.kind == select(_of_row.c.kind).scalar_subquery())


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
    moments = {"now": now, "far": now + LONGEST_WAIT, "far_lease": now + 2 * lease}  # replicas' clocks differ a little
    parameters = {"of_kind": kind, "until": now + _ASIDE, **moments}
    for due in _DUE[together]:
        ids += _take(session, due, limit - len(ids), put_aside=_PUT_ASIDE[together], parameters=parameters)
    if not ids:
        return []
    execute(session, _CLAIM, {"ids": ids, "owner": owner, "until": now + lease})
    return [Claimed(**row) for row in execute(session, _CLAIMED, {"ids": ids}).mappings()]


def _take(session: Session, due: Any, limit: int, *, put_aside: Any, parameters: Mapping[str, object]) -> list[int]:
    """Return up to ``limit`` rows that are not behind others; put those that are aside until then."""
    for look in (limit, *_LOOKS):
        if not limit:
            break
        found = execute(session, due, {**parameters, "most": look}).all()
        free = [row.id for row in found if not row.is_behind]
        behind = [row.id for row in found if row.is_behind]
        if not behind or len(free) >= limit:
            return free[:limit]
        execute(session, put_aside, {**parameters, "ids": behind})
        if len(found) < look:
            return free
    return []


def _due(is_due: Any, *, together: bool) -> Any:
    return (
        select(_outbox.id, _is_behind(together=together).label("is_behind"))
        .where(_outbox.settled_at.is_(None), _outbox.kind == bindparam("of_kind"), is_due, _is_free(_outbox))
        .order_by(_outbox.due_at, _outbox.id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True, of=_rows)
    )


def _is_behind(*, together: bool) -> Any:
    earlier = _rows.alias()
    return exists().where(
        earlier.c.ordering_key == _outbox.ordering_key,
        earlier.c.settled_at.is_(None),
        earlier.c.id < _outbox.id,
        or_(earlier.c.kind != bindparam("of_kind"), ~_is_due(earlier.c), ~_is_free(earlier.c)) if together else true(),
    )


def _is_due(row: Any) -> Any:
    return or_(row.due_at <= bindparam("now"), row.due_at > bindparam("far"))


def _is_free(row: Any) -> Any:
    until = row.claimed_until
    return or_(until.is_(None), until < bindparam("now"), until > bindparam("far_lease"))


_DUE = {
    together: [
        _due(is_due, together=together)
        for is_due in (_outbox.due_at <= bindparam("now"), _outbox.due_at > bindparam("far"))
    ]
    for together in (False, True)
}
# Looked at once more, with the row locked: what it was behind may have been settled since the look.
_PUT_ASIDE = {
    together: update(_rows)
    .where(_outbox.id.in_(bindparam("ids", expanding=True)), _is_behind(together=together))
    .values(due_at=bindparam("until"))
    for together in (False, True)
}


def still_mine(session: Session, claimed: Claimed, owner: str) -> bool:
    """Whether this try still holds the row; locks it until the end of the transaction.

    The number of tries distinguishes two claims of one worker, the second made after its own lease ended.
    """
    held = {"of_row": claimed.id, "owner": owner, "tries": claimed.attempts}
    return execute(session, _STILL_MINE, held).first() is not None


def settle(session: Session, row_id: int, *, state: State, error: str | None, now: datetime) -> frozenset[str]:
    """Close a row, and let the rows behind it come back; return the kinds of those."""
    behind = execute(session, _BRING_BACK, {"of_row": row_id, "at": now}).scalars().all()
    execute(session, _SETTLE, {"of_row": row_id, "into": str(state), "at": now, "error": error})
    return frozenset(behind)


def put_back(session: Session, row_id: int, *, due_at: datetime, error: str, counted: bool) -> None:
    """Give a row back to be tried again at ``due_at``; ``counted`` says whether this was a try.

    Rows of its kind behind it are due with it, as some kinds are delivered together.
    """
    execute(session, _BRING_BACK_OF_KIND, {"of_row": row_id, "at": due_at}).all()
    execute(session, _PUT_BACK, {"of_row": row_id, "at": due_at, "error": error, "uncounted": 0 if counted else 1})


def reopen(session: Session, row_id: int, *, now: datetime) -> None:
    """Make a row due now, as if it were new."""
    again = {"state": str(State.WAITING), "settled_at": None, "attempts": 0, "due_at": now}
    execute(session, update(_rows).where(_outbox.id == row_id).values(**again, claimed_by=None, claimed_until=None))


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
