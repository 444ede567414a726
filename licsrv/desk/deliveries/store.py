"""The SQL of deliveries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlmodel import Session, col

from licsrv.desk.parameters import number_after
from licsrv.licensing.tables import License
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.paging import Window

_AT_ONCE = 500


def deliveries(
    session: Session, window: Window, *, states: Sequence[State], license_id: str | None
) -> Sequence[OutboxRow]:
    """Return what the outbox holds in any of the states, newest first."""
    query = _in_states(states, license_id).where(col(OutboxRow.id) < number_after(window))
    return session.scalars(query.order_by(col(OutboxRow.id).desc()).limit(window.fetched)).all()


def oldest(session: Session, *, states: Sequence[State], license_id: str | None, limit: int) -> Sequence[OutboxRow]:
    """Return what the outbox holds in any of the states, oldest first."""
    return session.scalars(_in_states(states, license_id).order_by(col(OutboxRow.id)).limit(limit)).all()


def _in_states(states: Sequence[State], license_id: str | None) -> Any:
    query = select(OutboxRow).where(col(OutboxRow.state).in_([str(state) for state in states]))
    return query if license_id is None else query.where(col(OutboxRow.ordering_key) == license_id)


def delivery(session: Session, row_id: int) -> OutboxRow | None:
    """Return one delivery, without a lock."""
    return session.get(OutboxRow, row_id)


def parked_ids(session: Session, *, after: int, limit: int) -> Sequence[int]:
    """Return the ids of the next deliveries that are parked, locked."""
    is_next = (col(OutboxRow.state) == str(State.PARKED)) & (col(OutboxRow.id) > after)
    query = select(col(OutboxRow.id)).where(is_next).order_by(col(OutboxRow.id)).limit(limit).with_for_update()
    return [row_id for row_id in session.scalars(query) if row_id is not None]


def codes_of(session: Session, license_ids: Sequence[str]) -> dict[str, str]:
    """Return the codes of licenses by their ids."""
    wanted = list(dict.fromkeys(license_ids))
    codes: dict[str, str] = {}
    for start in range(0, len(wanted), _AT_ONCE):
        portion = col(License.id).in_(wanted[start : start + _AT_ONCE])
        codes.update(
            (row[0], row[1]) for row in session.execute(select(col(License.id), col(License.code)).where(portion))
        )
    return codes
