"""Products as API, console and command line show them."""

from __future__ import annotations

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.products import store
from licsrv.licensing.tables import Product
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window


class ProductShown(Body):
    """A product."""

    product_id: str
    name: str
    device_limit: int | None
    amount_is_places: bool
    features: list[str]
    second_signature: bool
    deliver_as: str
    one_off: bool = Field(description="sold once: its licenses may be without an end")
    learned_parts: int = Field(description="how many new parts a device may be bound to after repairs")
    learned_days: int = Field(description="within so many days")
    weak_binding: bool = Field(description="a machine without facts of its own may be bound to an installation")


class Products(Body):
    """A page of products."""

    items: list[ProductShown]
    next: str | None


def products(session: Session, window: Window) -> Products:
    """Return products by their ids."""
    rows = store.products(session, window)
    made = paging.page_of(rows, window, keys=lambda row: (row.product_id,), item=shown)
    return Products(items=made.items, next=made.next)


def shown(row: Product) -> ProductShown:
    """Return a product."""
    return ProductShown.model_validate(row, from_attributes=True)
