"""What people decide about deliveries: try one again, or give it up."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, NotFoundError
from licsrv.outbox import store
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow


def retry(session: Session, row_id: int, *, cause: Cause, now: datetime) -> bool:
    """Make a delivery due now; False for one that a worker holds at this moment: it is being tried already.

    Raises:
        NotFoundError: There is none.
        ConflictError: It has arrived.
    """
    row = _row(session, row_id)
    if row.state == State.DELIVERED:
        raise ConflictError(f"Delivery {row_id} has arrived; there is nothing to retry. Nothing was changed.")
    if _is_held(row, now):
        return False
    store.reopen(session, row_id, now=now)
    _record(session, Action.DELIVERY_RETRIED, row, cause=cause, now=now)
    return True


def drop(session: Session, row_id: int, *, cause: Cause, now: datetime) -> bool:
    """Give a delivery up: it is never sent to the marketplace. False when it was given up before.

    Raises:
        NotFoundError: There is none.
        ConflictError: It has arrived, or is under way at this moment.
    """
    row = _row(session, row_id)
    if row.state == State.DROPPED:
        return False
    if row.state == State.DELIVERED:
        raise ConflictError(f"Delivery {row_id} has arrived; it cannot be taken back.")
    if _is_held(row, now):
        raise ConflictError(f"Delivery {row_id} is under way at this moment.", action="Try again in two minutes.")
    store.settle(session, row_id, state=State.DROPPED, error=row.last_error, now=now)
    _record(session, Action.DELIVERY_DROPPED, row, cause=cause, now=now)
    return True


def _row(session: Session, row_id: int) -> OutboxRow:
    row = store.row_by_id(session, row_id)
    if row is None:
        raise unknown(row_id)
    return row


def unknown(row_id: int) -> NotFoundError:
    """Return the refusal of a delivery that there is not."""
    return NotFoundError(f"There is no delivery {row_id}; nothing was changed.", action="See `licsrv outbox list`.")


def _is_held(row: OutboxRow, now: datetime) -> bool:
    """Whether a worker is delivering it: taking it away now could deliver it twice."""
    return row.settled_at is None and row.claimed_until is not None and row.claimed_until >= now


def _record(session: Session, action: Action, row: OutboxRow, cause: Cause, now: datetime) -> None:
    detail = {"row": row.id, "kind": row.kind, "was": row.state, "error": row.last_error}
    audit.record(session, action, subject=row.ordering_key, cause=cause, detail=detail, now=now)
