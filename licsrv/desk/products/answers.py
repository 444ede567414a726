"""Products as API, console and command line show them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import Listing
from licsrv.desk.products import store
from licsrv.licensing import policy_changes
from licsrv.licensing import store as licensing
from licsrv.licensing.policies import Policies, Policy
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
    signed_as: str = Field(description="the claim `product`, by which programs know it for ever")
    former_names: list[str] = Field(description="programs that expect one of them go on working")


class Renamed(Body):
    """Whom a new name of a product reaches; programs that expect the old name go on working."""

    before: str
    after: str
    live_licenses: int = Field(description="licenses of the product that are in use")
    devices: int = Field(description="devices that were handed a license under the old name")
    signed_as: str = Field(description="the claim `product`, which stays")
    former_names: list[str]

    @property
    def sentence(self) -> str:
        """What to know before programs are built with the new name."""
        return (
            f"{self.live_licenses} live licenses change their name, and {self.devices} devices have seen the name"
            f" {self.before}. Programs go on working: the signed product stays {self.signed_as}, and licenses list the"
            " former names. Build new programs with the product's id."
        )


class Products(Listing[ProductShown]):
    """A page of products."""


def products(session: Session, window: Window, policies: Policies) -> Products:
    """Return products by their ids."""
    rows = store.products(session, window)
    stated = licensing.policy_texts(session, [row.product_id for row in rows])
    return Products.of(
        paging.page_of(
            rows,
            window,
            keys=lambda row: (row.product_id,),
            item=lambda row: shown(row, policies.shown(stated.get(row.product_id))),
        )
    )


def of_product(session: Session, product_id: str, policies: Policies) -> ProductShown | None:
    """Return a product; None where it is not described."""
    row = licensing.product(session, product_id)
    return shown(row, policies.shown(licensing.policy_text(session, product_id))) if row is not None else None


def shown(row: Product, policy: Policy) -> ProductShown:
    """Return a product and what holds for it."""
    places, recognition = policy.places, policy.recognition
    return ProductShown(
        product_id=row.product_id, name=row.name, features=row.features, second_signature=row.second_signature,
        deliver_as=row.deliver_as, one_off=row.one_off,
        device_limit=places.limit, amount_is_places=places.amount_counts,
        learned_parts=recognition.learned_parts, learned_days=recognition.learned_within.days,
        weak_binding=recognition.weak_binding,
        signed_as=row.signed_as or row.product_id, former_names=row.former_names or [],
    )  # fmt: skip


def renaming(session: Session, product_id: str, changes: Mapping[str, Any]) -> Renamed | None:
    """Return whom a changed name reaches; None where the name of a product that was described did not change."""
    name = changes.get("name")
    row = licensing.product(session, product_id)
    if name is None or name["before"] is None or row is None:
        return None
    counted = store.seen_under(session, product_id, name["before"])
    return Renamed(
        before=name["before"], after=name["after"], live_licenses=counted.licenses, devices=counted.devices,
        signed_as=row.signed_as or product_id, former_names=row.former_names or [],
    )  # fmt: skip


def described(session: Session, product_id: str, policies: Policies) -> ProductShown:
    """Return a product that is described.

    Raises:
        NotFoundError: It is not.
    """
    found = of_product(session, product_id, policies)
    if found is None:
        raise policy_changes.not_described()
    return found


def changes(before: ProductShown | None, after: ProductShown) -> dict[str, dict[str, Any]]:
    """Return what differs between two looks at a product; everything where there was none before."""
    old, new = before.model_dump() if before else {}, after.model_dump()
    differ = [name for name in new if name != "product_id" and old.get(name) != new[name]]
    return {name: {"before": old.get(name), "after": new[name]} for name in differ}
