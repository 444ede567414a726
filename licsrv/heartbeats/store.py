"""The SQL of heartbeats: a few statements for a whole batch, never one for each device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, delete, select, update
from sqlmodel import Session, SQLModel, col

from licsrv.heartbeats.tables import CheckIn, LicenseDay
from licsrv.licensing.tables import Device, IssuedLicense, License
from licsrv.platform.db import execute, insert_missing, table_of

_licenses, _devices = table_of(License).c, table_of(Device).c
_issued, _check_ins = table_of(IssuedLicense).c, table_of(CheckIn).c

# Everything that decides a check-in, of all devices of a batch, in one statement; ``seen`` is today's row if any.
_PRESENTED = (
    select(
        _issued.digest, _issued.id.label("issued_id"), _issued.key_id,
        _devices.id.label("device_id"), _devices.parts, _devices.released_at.label("place_released_at"),
        _licenses.id.label("license_id"), _licenses.code, _licenses.source,
        _licenses.activated_at, _licenses.provisional_until, _licenses.refused_reason, _licenses.expires_at,
        _licenses.frozen_at, _licenses.revoked_at, _licenses.revoked_reason, _licenses.released_at,
        _check_ins.day.label("seen"),
    )
    .join_from(table_of(IssuedLicense), table_of(Device), _devices.id == _issued.device_id)
    .join(table_of(License), _licenses.id == _issued.license_id)
    .outerjoin(table_of(CheckIn), (_check_ins.device_id == _devices.id) & (_check_ins.day == bindparam("day")))
    .where(_issued.digest.in_(bindparam("digests", expanding=True)))
)  # fmt: skip

_SEEN_AGAIN = (
    update(table_of(CheckIn))
    .where(_check_ins.day == bindparam("of_day"), _check_ins.device_id.in_(bindparam("of_devices", expanding=True)))
    .values(
        last_at=bindparam("last_at"),
        count=_check_ins.count + 1,
        status=bindparam("status"),
        lease_until=bindparam("lease_until"),
        client_version=bindparam("client_version"),
    )
)


def presented(session: Session, digests: Sequence[str], day: date) -> dict[str, Any]:
    """Return, by digest, the rows behind license strings: string, device, license and today's check-in."""
    rows = execute(session, _PRESENTED, {"digests": list(dict.fromkeys(digests)), "day": day})
    return {row.digest: row for row in rows}


def seen_again(
    session: Session, device_ids: Sequence[str], *, day: date, told: Mapping[str, Any], now: datetime
) -> None:
    """Note one further check-in of each of these devices, which were here today and are told the same."""
    ordered = sorted(device_ids)  # one order everywhere: no deadlocks
    execute(session, _SEEN_AGAIN, {"of_day": day, "of_devices": ordered, "last_at": now, **told})


def seen_first(session: Session, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Note the day's first check-in of devices; return the ids of those that nobody else noted at the same moment."""
    if not rows:
        return set()
    ordered = sorted(rows, key=lambda row: row["device_id"])
    return set(execute(session, _insert_returning(session, CheckIn, "device_id"), ordered).scalars())


def first_use(session: Session, license_ids: Sequence[str], day: date) -> set[str]:
    """Note that licenses are used on a day; return those for which nobody had noted it."""
    if not license_ids:
        return set()
    rows = [{"license_id": license_id, "day": day} for license_id in sorted(set(license_ids))]
    return set(execute(session, _insert_returning(session, LicenseDay, "license_id"), rows).scalars())


def _insert_returning(session: Session, model: type[SQLModel], column: str) -> Any:
    return _made(model, column, session.get_bind().dialect.name)


@cache
def _made(model: type[SQLModel], column: str, dialect: str) -> Any:
    return insert_missing(model, dialect).returning(table_of(model).c[column])


def last_contacts(session: Session, license_id: str) -> dict[str, CheckIn]:
    """Return each device's last day of contact."""
    rows = session.scalars(select(CheckIn).where(col(CheckIn.license_id) == license_id).order_by(col(CheckIn.day)))
    return {row.device_id: row for row in rows}


def prune(session: Session, *, before: date) -> None:
    """Forget days before a date."""
    session.execute(delete(CheckIn).where(col(CheckIn.day) < before))
    session.execute(delete(LicenseDay).where(col(LicenseDay.day) < before))
