"""The SQL of licensing. Rows that a decision is about to change are locked; nothing is decided here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, or_, select, update
from sqlmodel import Session, col

from licsrv.licensing.fingerprints import HashedParts, lookup_parts, selective_parts
from licsrv.licensing.lifecycle import KnownDevice
from licsrv.licensing.tables import Device, DevicePart, IssuedLicense, License, Product
from licsrv.platform.db import table_of


def license_by_code(session: Session, code: str) -> License | None:
    """Return the license of a code, without a lock."""
    return session.scalars(select(License).where(col(License.code) == code)).one_or_none()


def license_for_update(session: Session, code: str) -> License | None:
    """Return the license of a code, locked until the end of the transaction."""
    return session.scalars(select(License).where(col(License.code) == code).with_for_update()).one_or_none()


def license_by_id_for_update(session: Session, license_id: str) -> License | None:
    """Return a license, locked until the end of the transaction."""
    return session.scalars(select(License).where(col(License.id) == license_id).with_for_update()).one_or_none()


def find_licenses(session: Session, *, text: str | None = None, limit: int = 50) -> Sequence[License]:
    """Return licenses, newest first: all, or those whose code, order, id or customer is or begins with ``text``."""
    query = select(License).order_by(col(License.id).desc()).limit(limit)
    if text:
        columns = (col(License.code), col(License.order_id), col(License.id), col(License.customer))
        query = query.where(or_(*(column.startswith(text, autoescape=True) for column in columns)))
    return session.scalars(query).all()


def product(session: Session, product_id: str) -> Product | None:
    """Return what the vendor says of a product."""
    return session.get(Product, product_id) if product_id else None


def products(session: Session) -> Sequence[Product]:
    """Return all products."""
    return session.scalars(select(Product).order_by(col(Product.product_id))).all()


def devices(session: Session, license_id: str) -> Sequence[Device]:
    """Return the devices of a license, first come first."""
    return session.scalars(select(Device).where(col(Device.license_id) == license_id).order_by(col(Device.id))).all()


def devices_like(session: Session, license_id: str, parts: HashedParts) -> list[KnownDevice]:
    """Return the devices of a license that share a selective part with a given one."""
    like = select(col(DevicePart.device_id)).where(
        col(DevicePart.license_id) == license_id, col(DevicePart.part_hash).in_(lookup_parts(parts))
    )
    rows = session.execute(select(table_of(Device)).where(col(Device.id).in_(like)).order_by(col(Device.id))).all()
    return [KnownDevice(row.id, row.parts, row.released_at is None) for row in rows]


def devices_with_place(session: Session, license_id: str, *, limit: int) -> list[KnownDevice]:
    """Return the first devices that hold a place."""
    holds = (col(Device.license_id) == license_id, col(Device.released_at).is_(None))
    rows = session.execute(select(table_of(Device)).where(*holds).order_by(col(Device.id)).limit(limit)).all()
    return [KnownDevice(row.id, row.parts, True) for row in rows]


def add_device(session: Session, device: Mapping[str, Any]) -> None:
    """Write a new device and the parts by which it is found."""
    session.execute(insert(Device), device)
    hashes = dict.fromkeys(selective_parts(device["parts"]))
    rows = [
        {"device_id": device["id"], "license_id": device["license_id"], "part_hash": part_hash} for part_hash in hashes
    ]
    session.execute(insert(DevicePart), rows)


def device_for_update(session: Session, device_id: str) -> Device | None:
    """Return a device, locked until the end of the transaction."""
    return session.scalars(select(Device).where(col(Device.id) == device_id).with_for_update()).one_or_none()


def update_device(session: Session, device_id: str, **values: Any) -> None:
    """Change columns of a device."""
    _execute(session, update(Device).where(col(Device.id) == device_id).values(**values))


def move_places(session: Session, license_id: str, by: int) -> None:
    """Count a place as taken (1) or given back (-1)."""
    _execute(
        session,
        update(License).where(col(License.id) == license_id).values(places_taken=License.places_taken + by),
    )


def _execute(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))


def add_issued(session: Session, row: Mapping[str, Any]) -> None:
    """Write down a license before it is handed out."""
    session.execute(insert(IssuedLicense), row)


def latest_issued(session: Session, device_id: str, form: str) -> IssuedLicense | None:
    """Return what was last handed out to a device."""
    query = (
        select(IssuedLicense)
        .where(col(IssuedLicense.device_id) == device_id, col(IssuedLicense.form) == form)
        .order_by(col(IssuedLicense.id).desc())
        .limit(1)
    )
    return session.scalars(query).one_or_none()


def issued_by_digest(session: Session, digest: str) -> IssuedLicense | None:
    """Return the license handed out that has this digest."""
    return session.scalars(select(IssuedLicense).where(col(IssuedLicense.digest) == digest)).one_or_none()


def has_other_provisional(session: Session, fingerprint: str, code: str, now: datetime) -> bool:
    """Whether this machine already runs another license that nobody has confirmed yet."""
    query = (
        select(col(License.id))
        .join(Device, col(Device.license_id) == col(License.id))
        .where(
            col(Device.fingerprint) == fingerprint,
            col(License.code) != code,
            col(License.activated_at).is_(None),
            col(License.provisional_until) > now,
        )
        .limit(1)
    )
    return session.execute(query).first() is not None
