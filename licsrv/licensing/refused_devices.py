"""Devices that were refused, counted by day: what support looks at when somebody calls.

A refusal is counted afterwards, in a transaction of its own: that of the refused use case has been undone by then. Of
a license there are at most :data:`MOST` rows a day; what comes after them is counted in rows without a device.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from sqlalchemy import delete, func, select, update
from sqlmodel import Session, col

from licsrv.licensing.tables import RefusedDevice
from licsrv.platform.db import add_missing, execute, table_of

MOST = 50
_rows = table_of(RefusedDevice)


@dataclass(frozen=True)
class Refused:
    """A device of a known license was refused.

    Args:
        device: Its id where it is known here, else its fingerprint; never a raw fact.
        code: The refusal's stable code.
    """

    license_id: str
    device: str
    code: str
    name: str = ""


def note(session: Session, refused: Refused, *, now: datetime) -> None:
    """Count a refusal."""
    day = now.astimezone(UTC).date()
    if _count_again(session, refused, refused.device, day, now):
        return
    device = refused.device if _rows_of(session, refused.license_id, day) < MOST else ""
    row = {
        "license_id": refused.license_id,
        "day": day,
        "device": device,
        "code": refused.code,
        "name": refused.name if device else "",
        "count": 1,
        "last_at": now,
    }
    if not add_missing(session, RefusedDevice, "device", [row]):
        _count_again(session, refused, device, day, now)


def _count_again(session: Session, refused: Refused, device: str, day: date, now: datetime) -> bool:
    same = (
        _rows.c.license_id == refused.license_id,
        _rows.c.day == day,
        _rows.c.device == device,
        _rows.c.code == refused.code,
    )
    statement = update(_rows).where(*same).values(count=_rows.c.count + 1, last_at=now).returning(_rows.c.device)
    return execute(session, statement).first() is not None


def _rows_of(session: Session, license_id: str, day: date) -> int:
    query = select(func.count()).where(col(RefusedDevice.license_id) == license_id, col(RefusedDevice.day) == day)
    return session.scalar(query) or 0


def prune(session: Session, *, before: date) -> None:
    """Forget days before a date."""
    session.execute(delete(RefusedDevice).where(col(RefusedDevice.day) < before))
