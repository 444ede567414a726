"""The SQL of the list of products."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import Session, col

from licsrv.licensing.tables import Product
from licsrv.platform.paging import Window


def products(session: Session, window: Window) -> Sequence[Product]:
    """Return products by their ids."""
    query = select(Product).order_by(col(Product.product_id))
    if window.after is not None:
        query = query.where(col(Product.product_id) > window.after[0])
    return session.scalars(query.limit(window.fetched)).all()
