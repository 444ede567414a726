"""The SQL of signing keys: how much depends on one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlmodel import Session, col

from licsrv.licensing.tables import Device, IssuedLicense


@dataclass(frozen=True)
class Issued:
    """How much depends on a signing key."""

    licenses: int
    devices: int


def issued_with(session: Session, key_id: str) -> Issued:
    """Count the license strings signed by a key that devices with a place got last, and these devices' licenses."""
    latest = (
        select(func.max(col(IssuedLicense.id)))
        .join(Device, col(Device.id) == col(IssuedLicense.device_id))
        .where(col(Device.released_at).is_(None))
        .group_by(col(IssuedLicense.device_id))
    )
    query = select(func.count(), func.count(col(IssuedLicense.license_id).distinct())).where(
        col(IssuedLicense.key_id) == key_id, col(IssuedLicense.id).in_(latest)
    )
    devices, licenses = session.execute(query).one()
    return Issued(licenses, devices)
