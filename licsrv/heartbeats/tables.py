"""Columns of heartbeats: a row for each device and day, for each license and day, and for what forks of a device."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

_IS_PROVEN = text("proven_at IS NOT NULL")
_IS_REFUSED = text("status <> 'ACTIVE'")


class CheckIn(SQLModel, table=True):
    """A device's day: first and last contact, and the status in its last lease."""

    __tablename__ = "check_ins"
    __table_args__ = (
        Index("ix_check_ins_license_day", "license_id", "day"),
        # Refused check-ins only: a device that may work adds no entry.
        Index("ix_check_ins_refused", "day", sqlite_where=_IS_REFUSED, postgresql_where=_IS_REFUSED),
        {"sqlite_with_rowid": False},
    )

    device_id: str = Field(primary_key=True, max_length=23)
    day: date = Field(primary_key=True)
    license_id: str = Field(max_length=23)
    first_at: datetime
    last_at: datetime
    count: int
    status: str = Field(max_length=16)
    lease_until: datetime
    client_version: str = Field(default="", max_length=64)


class LicenseDay(SQLModel, table=True):
    """A day on which a license was used: the marketplace counts it once, so its row can be written once."""

    __tablename__ = "license_days"
    __table_args__ = ({"sqlite_with_rowid": False},)

    license_id: str = Field(primary_key=True, max_length=23)
    day: date = Field(primary_key=True)


class DeviceBranch(SQLModel, table=True):
    """One line of check-ins of a device whose check-ins forked: :class:`licsrv.licensing.clones.Branch` as a row.

    There are none for a device that goes on from its last lease. ``network`` is a shortened address.
    """

    __tablename__ = "device_branches"
    __table_args__ = (
        Index("ix_device_branches_head", "head"),
        Index("ix_device_branches_proven", "proven_at", sqlite_where=_IS_PROVEN, postgresql_where=_IS_PROVEN),
        {"sqlite_with_rowid": False},
    )

    device_id: str = Field(primary_key=True, max_length=23)
    branch: str = Field(primary_key=True, max_length=8)
    license_id: str = Field(max_length=23)
    family: str = Field(max_length=8)
    head: datetime
    since: datetime
    origin: datetime
    left_at: datetime | None = None
    turns: int = 0
    proven_at: datetime | None = None
    blessed_from: datetime | None = None
    name: str = Field(default="", max_length=100)
    client_version: str = Field(default="", max_length=64)
    network: str = Field(default="", max_length=64)
