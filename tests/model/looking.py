"""A look at what the service has on disk: the facts of a license, and a digest of everything that counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, func
from sqlmodel import col, select

from licsrv import audit
from licsrv.heartbeats.tables import LicenseDay
from licsrv.licensing.tables import Device, IssuedLicense, LearnedPart, License
from licsrv.outbox.messages import ReportUsage
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import Database, reading, table_of
from licsrv.seats.tables import Seat

DIGESTED = (
    "licenses", "devices", "device_parts", "learned_parts", "issued_licenses", "policy_versions", "revocation_changes",
    "revocation_head", "outbox", "license_days", "check_ins", "license_orders", "marketplace_views", "audit_entries",
    "seats",
)  # fmt: skip
"""What a refused or repeated request must not change. Left out: the notes of what was refused, heard and answered."""
_license, _device, _issued = (table_of(model).c for model in (License, Device, IssuedLicense))
_learned, _seat = table_of(LearnedPart).c, table_of(Seat).c
_FIND = select(table_of(License)).where(_license.code == bindparam("code"))
_DEVICES = (
    select(_device.id, _device.released_at, func.count(_learned.id).label("learned"))
    .outerjoin_from(table_of(Device), table_of(LearnedPart), _learned.device_id == _device.id)
    .where(_device.license_id == bindparam("license_id"))
    .group_by(_device.id, _device.released_at)
)
_SEATS = select(table_of(Seat)).where(_seat.license_id == bindparam("license_id"))
_TEXTS = select(_issued.id, _issued.device_id, _issued.form, _issued.given_back_at).where(
    _issued.license_id == bindparam("license_id")
)


@dataclass(frozen=True)
class Seen:
    """A license as it is on disk."""

    row: Any
    devices: Sequence[Any]
    texts: Sequence[Any]
    seats: Sequence[Any] = ()

    def view(self) -> tuple[Any, ...]:
        """What it shows, in the form of the model's view."""
        row = self.row
        if row is None:
            return (False,)
        facts = (row.product_id, row.amount, row.device_limit, row.expires_at, row.grace_until)
        states = (row.frozen_at is not None, row.revoked_at is not None, row.released_at is not None, row.places_taken)
        devices = {(one.id, one.released_at is None, one.learned) for one in self.devices}
        texts = {(one.id, one.device_id, one.form, one.given_back_at is not None) for one in self.texts}
        seats = {(one.id, one.device_id, one.until, one.borrowed_until, one.ended_at is not None) for one in self.seats}
        return (True, facts, states, frozenset(devices), frozenset(texts), frozenset(seats))


def look(database: Database, code: str) -> Seen:
    """Look at one license."""
    with database.read.connect() as connection:
        row = connection.execute(_FIND, {"code": code}).one_or_none()
        if row is None:
            return Seen(None, (), ())
        parameters = {"license_id": row.id}
        devices, texts, seats = (connection.execute(query, parameters).all() for query in (_DEVICES, _TEXTS, _SEATS))
        return Seen(row, devices, texts, seats)


def digest(database: Database) -> dict[str, int]:
    """Return a number for each table that counts, which changes when a row does."""
    with database.read.connect() as connection:
        cursor = connection.connection.cursor()  # the driver's own rows: this is asked thousands of times
        return {table: _sum(cursor, table) for table in DIGESTED}


def _sum(cursor: Any, table: str) -> int:
    cursor.execute(f"SELECT * FROM {table}")
    return sum(hash(repr(row)) for row in cursor.fetchall())


def days_of_use(database: Database) -> list[tuple[str, date]]:
    """Return the days on which licenses were used."""
    with reading(database) as session:
        return [(row.license_id, row.day) for row in session.scalars(select(LicenseDay))]


def reports(database: Database) -> list[tuple[str, str, date]]:
    """Return what was or will be reported of uses: code, device, day."""
    with reading(database) as session:
        rows = session.scalars(select(OutboxRow).where(col(OutboxRow.kind) == ReportUsage.KIND)).all()
        payloads = [row.payload for row in rows]
    return [(one["code"], one["client_id"], date.fromisoformat(one["day"])) for one in payloads]


def deliveries(database: Database) -> dict[str, int]:
    """Count the messages of the outbox by state."""
    with reading(database) as session:
        states = session.scalars(select(OutboxRow.state)).all()
    return {state: states.count(state) for state in set(states)}


def wrong_in_the_audit(database: Database) -> str | None:
    """Return what is wrong with the chain of the audit."""
    with reading(database) as session:
        return audit.verify(session)


def lowered(database: Database) -> dict[str, datetime | None]:
    """Return when each license last had places taken from under its devices."""
    with reading(database) as session:
        return {row.code: row.lowered_at for row in session.execute(select(_license.code, _license.lowered_at))}
