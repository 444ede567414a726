"""The SQL of the list of published versions."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import Session, col

from licsrv.platform.paging import Window
from licsrv.releases.tables import Release


def releases(session: Session, window: Window, *, product_id: str | None) -> Sequence[Release]:
    """Return published versions, those withdrawn included, the latest made first."""
    query = select(Release).order_by(col(Release.id).desc())
    if window.after is not None:
        query = query.where(col(Release.id) < window.after[0])
    if product_id is not None:
        query = query.where(col(Release.product_id) == product_id)
    return session.scalars(query.limit(window.fetched)).all()
