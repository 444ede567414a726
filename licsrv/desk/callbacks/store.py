"""The SQL of the callback log."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import Session, col

from licsrv.marketplace.tables import CallbackRecord
from licsrv.platform.paging import Window

_SUCCESS = "000000"


def callbacks(session: Session, window: Window, *, code: str | None, only_failed: bool) -> Sequence[CallbackRecord]:
    """Return callbacks, newest first: all, of one code, or those that were refused."""
    query = select(CallbackRecord).order_by(col(CallbackRecord.id).desc())
    if window.after is not None:
        query = query.where(col(CallbackRecord.id) < window.after[0])
    if code is not None:
        query = query.where(col(CallbackRecord.code) == code)
    if only_failed:
        query = query.where(col(CallbackRecord.result_code) != _SUCCESS)
    return session.scalars(query.limit(window.fetched)).all()


def callback(session: Session, callback_id: str) -> CallbackRecord | None:
    """Return one callback."""
    return session.get(CallbackRecord, callback_id)
