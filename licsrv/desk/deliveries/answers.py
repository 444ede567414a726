"""Deliveries as API, console and command line show them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.deliveries import actions, store
from licsrv.desk.fields import Listing
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window

OPEN = (State.WAITING, State.PARKED)
"""What is not done yet."""
_SEALED = "sealed"


class Delivery(Body):
    """A message to the marketplace."""

    id: int
    kind: str
    state: str
    code: str | None
    license_id: str
    ordering_key: str = Field(description="deliveries with the same key arrive in the order of their ids")
    payload: dict[str, Any] = Field(description="without what is sealed for the marketplace")
    attempts: int
    created_at: datetime
    due_at: datetime
    claimed_until: datetime | None = Field(description="until when a worker holds it")
    settled_at: datetime | None
    last_error: str | None


class Deliveries(Listing[Delivery]):
    """A page of deliveries, the newest first."""


class DecidedAnswer(Body):
    """The result of a decision. ``changed`` is false if it had no effect, or if a worker holds the delivery."""

    id: int
    changed: bool


def deliveries(session: Session, window: Window, *, states: Sequence[State], license_id: str | None) -> Deliveries:
    """Return what the outbox holds in any of the states, of one license or of all."""
    rows = store.deliveries(session, window, states=states, license_id=license_id)
    items = iter(shown(session, rows))
    return Deliveries.of(paging.page_of(rows, window, keys=lambda row: (str(row.id),), item=lambda _: next(items)))


def oldest(session: Session, *, states: Sequence[State], license_id: str | None, limit: int) -> list[Delivery]:
    """Return what the outbox holds in any of the states, the oldest first."""
    return shown(session, store.oldest(session, states=states, license_id=license_id, limit=limit))


def delivery(session: Session, row_id: int) -> Delivery:
    """Return one delivery.

    Raises:
        NotFoundError: There is no such delivery.
    """
    row = store.delivery(session, row_id)
    if row is None:
        raise actions.unknown(row_id)
    return shown(session, [row])[0]


def shown(session: Session, rows: Sequence[OutboxRow]) -> list[Delivery]:
    """Return deliveries with the codes of their licenses."""
    codes = store.codes_of(session, [row.ordering_key for row in rows])
    return [_shown(row, codes.get(row.ordering_key)) for row in rows]


def _shown(row: OutboxRow, code: str | None) -> Delivery:
    payload = {name: value for name, value in row.payload.items() if name != _SEALED}
    return Delivery.model_validate(
        row.model_dump() | {"license_id": row.ordering_key, "code": code, "payload": payload}
    )
