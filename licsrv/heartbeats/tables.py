"""Columns of heartbeats: one row for each device and day, one for each license and day."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

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
