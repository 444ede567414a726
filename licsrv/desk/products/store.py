"""The SQL of products: the list, and what uses a product's licenses, for previews of a policy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, distinct, func, or_, select
from sqlmodel import Session, col

from licsrv.heartbeats.tables import CheckIn, DeviceBranch
from licsrv.licensing import store as licensing
from licsrv.licensing.tables import Device, IssuedLicense, LearnedPart, License, Product
from licsrv.platform.db import table_of
from licsrv.platform.paging import Window

_NAMED: tuple[Any, ...] = (
    col(Device.id).label("device_id"), col(Device.name), col(Device.license_id), col(License.code)
)  # fmt: skip


def products(session: Session, window: Window) -> Sequence[Product]:
    """Return products by their ids."""
    query = select(Product).order_by(col(Product.product_id))
    if window.after is not None:
        query = query.where(col(Product.product_id) > window.after[0])
    return session.scalars(query.limit(window.fetched)).all()


def _licenses(product_id: str) -> tuple[Any, ...]:
    return col(License.product_id) == product_id, col(License.released_at).is_(None)


def _devices(product_id: str, *columns: Any) -> Select[Any]:
    """Select from the devices with a place on licenses of a product."""
    joined = select(*columns).select_from(Device).join(License, col(License.id) == col(Device.license_id))
    return joined.where(*_licenses(product_id), col(Device.released_at).is_(None))


def count_uses(session: Session, product_id: str) -> tuple[int, int]:
    """Count the licenses of a product that were not released, and their places taken."""
    query = select(func.count(), func.coalesce(func.sum(col(License.places_taken)), 0)).where(*_licenses(product_id))
    licenses, devices = session.execute(query).one()
    return int(licenses), int(devices)


def devices_beyond(session: Session, product_id: str, group: Any, *, places: int, most: int) -> Sequence[Any]:
    """Return the devices of a group of licenses that came after their places were taken."""
    rank = (
        func.row_number()
        .over(partition_by=col(Device.license_id), order_by=(col(Device.first_seen_at), col(Device.id)))
        .label("rank")
    )
    ranked = _devices(product_id, *_NAMED, rank).where(*licensing.uses_places_alike(group)).subquery()
    return session.execute(select(ranked).where(ranked.c.rank > places).order_by(ranked.c.device_id).limit(most)).all()


def with_place(session: Session, product_id: str, *, most: int) -> Sequence[Any]:
    """Return the first devices with a place."""
    return session.execute(_devices(product_id, *_NAMED).order_by(col(Device.id)).limit(most)).all()


def weakly_bound(session: Session, product_id: str, *, most: int) -> tuple[int, Sequence[Any]]:
    """Count the devices whose place is bound to an install identity, and return the first ones."""
    return _counted(session, _devices(product_id, *_NAMED).where(col(Device.is_weakly_bound)), most=most)


def silent(
    session: Session, product_id: str, *, before: datetime, now: datetime, most: int
) -> tuple[int, Sequence[Any]]:
    """Count the devices that have a lease and did not check in since a moment, and return the first ones.

    One seek for each device in the key of its days.
    """
    days = table_of(CheckIn).alias("days")
    last_day = select(func.max(days.c.day)).where(days.c.device_id == col(Device.id)).correlate(Device)
    last = (col(CheckIn.device_id) == col(Device.id)) & (col(CheckIn.day) == last_day.scalar_subquery())
    has_lease = (col(CheckIn.last_at) < before, col(CheckIn.lease_until) > now, col(CheckIn.status) == "ACTIVE")
    return _counted(session, _devices(product_id, *_NAMED).join(CheckIn, last).where(*has_lease), most=most)


def learned_since(session: Session, product_id: str, since: datetime) -> dict[str, list[datetime]]:
    """Return when devices learned parts since a moment."""
    columns = (col(LearnedPart.device_id), col(LearnedPart.learned_at))
    query = _devices(product_id, *columns).join(LearnedPart, col(LearnedPart.device_id) == col(Device.id))
    found: dict[str, list[datetime]] = {}
    for device_id, learned_at in session.execute(query.where(columns[1] > since).order_by(*columns)):
        found.setdefault(device_id, []).append(learned_at)
    return found


def copied(session: Session, product_id: str) -> Sequence[str]:
    """Return the devices of which copies were proven; there are few of them."""
    proven = _devices(product_id, col(Device.id)).join(DeviceBranch, col(DeviceBranch.device_id) == col(Device.id))
    return session.scalars(proven.where(col(DeviceBranch.proven_at).is_not(None)).distinct()).all()


def named(session: Session, device_ids: Sequence[str]) -> Sequence[Any]:
    """Return devices as previews name them."""
    joined = select(*_NAMED).join_from(Device, License, col(License.id) == col(Device.license_id))
    return session.execute(joined.where(col(Device.id).in_(device_ids)).order_by(col(Device.id))).all()


def _counted(session: Session, query: Select[Any], *, most: int) -> tuple[int, Sequence[Any]]:
    count = session.scalar(select(func.count()).select_from(query.subquery())) or 0
    return count, session.execute(query.order_by(col(Device.id)).limit(most)).all()


@dataclass(frozen=True)
class Seen:
    """How many licenses and devices a name of a product concerns."""

    licenses: int
    devices: int


def seen_under(session: Session, product_id: str, name: str) -> Seen:
    """Count the licenses of a product in use, and the devices that were handed one that says the name.

    Looks at every license that was handed out of the product: for commands that people call, not for every day.
    """
    live = select(func.count()).where(
        col(License.product_id) == product_id,
        col(License.activated_at).is_not(None),
        col(License.revoked_at).is_(None),
        col(License.released_at).is_(None),
    )
    claims = col(IssuedLicense.claims)
    said = [f'"{claim}":{json.dumps(name, ensure_ascii=False)}' for claim in ("product", "name")]
    devices = (
        select(func.count(distinct(col(IssuedLicense.device_id))))
        .join(License, col(License.id) == col(IssuedLicense.license_id))
        .where(col(License.product_id) == product_id)
        .where(or_(*(func.replace(claims, text, "") != claims for text in said)))
    )
    return Seen(session.scalar(live) or 0, session.scalar(devices) or 0)
