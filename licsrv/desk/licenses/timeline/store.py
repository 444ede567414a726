"""The SQL of a timeline: rows of each source, newest first, behind the last row of the page before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import and_, or_, select
from sqlmodel import Session, SQLModel, col

from licsrv.audit.tables import AuditEntry
from licsrv.desk.licenses.tables import LicenseNote
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing.tables import Device, License
from licsrv.marketplace.tables import CallbackRecord
from licsrv.outbox.tables import OutboxRow

Row = TypeVar("Row", bound=SQLModel)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class After:
    """The last row of the page before."""

    at: datetime
    source: str
    name: str

    def behind(self, source: str, at: Any, name: Any, read_name: Callable[[str], Any] = str) -> Any:
        """Return the condition that a row of a source comes behind it."""
        if source > self.source:
            return at < self.at
        if source < self.source:
            return at <= self.at
        return or_(at < self.at, and_(at == self.at, name < read_name(self.name)))

    def is_before(self, at: datetime, source: str, name: str) -> bool:
        """Whether a row comes behind it."""
        return (at, source, name) < (self.at, self.source, self.name)


def changes(session: Session, license: License, after: After | None, *, limit: int) -> Sequence[AuditEntry]:
    """Return audit entries of a license."""
    at, number = col(AuditEntry.at), col(AuditEntry.id)
    conditions = [col(AuditEntry.subject) == license.id]
    conditions += [after.behind("audit", at, number, read_name=int)] if after else []
    return _rows(session, AuditEntry, conditions, order=(at.desc(), number.desc()), limit=limit)


def callbacks(session: Session, license: License, after: After | None, *, limit: int) -> Sequence[CallbackRecord]:
    """Return signed callbacks with a license's code; anyone can send an unsigned one that names any code."""
    at, number = col(CallbackRecord.received_at), col(CallbackRecord.id)
    conditions = [col(CallbackRecord.code) == license.code, col(CallbackRecord.is_signed)]
    conditions += [after.behind("callback", at, number)] if after else []
    return _rows(session, CallbackRecord, conditions, order=(at.desc(), number.desc()), limit=limit)


def contacts(session: Session, license: License, after: After | None, *, limit: int) -> Sequence[CheckIn]:
    """Return the days on which devices of a license checked in."""
    at, name, day = col(CheckIn.last_at), col(CheckIn.device_id), col(CheckIn.day)
    conditions = [col(CheckIn.license_id) == license.id]
    if after is not None:
        # The index is sorted by day; the day of a moment differs by at most one between time zones.
        conditions += [after.behind("contact", at, name), day <= after.at.date() + _DAY]
    return _rows(session, CheckIn, conditions, order=(day.desc(), at.desc(), name.desc()), limit=limit)


def notes(session: Session, license: License, after: After | None, *, limit: int) -> Sequence[LicenseNote]:
    """Return what people noted about a license."""
    at, name = col(LicenseNote.at), col(LicenseNote.id)
    conditions = [col(LicenseNote.license_id) == license.id]
    conditions += [after.behind("note", at, name)] if after else []
    return _rows(session, LicenseNote, conditions, order=(at.desc(), name.desc()), limit=limit)


def reports(session: Session, license: License, after: After | None, *, limit: int) -> Sequence[OutboxRow]:
    """Return deliveries of a license."""
    at, number = col(OutboxRow.created_at), col(OutboxRow.id)
    conditions = [col(OutboxRow.ordering_key) == license.id]
    conditions += [after.behind("report", at, number, read_name=int)] if after else []
    return _rows(session, OutboxRow, conditions, order=(at.desc(), number.desc()), limit=limit)


def _rows(
    session: Session, model: type[Row], conditions: Sequence[Any], *, order: Sequence[Any], limit: int
) -> Sequence[Row]:
    return session.scalars(select(model).where(*conditions).order_by(*order).limit(limit)).all()


def device_names(session: Session, ids: Sequence[str]) -> dict[str, str]:
    """Return the names of devices by their ids."""
    rows = session.execute(select(col(Device.id), col(Device.name)).where(col(Device.id).in_(set(ids))))
    return {row[0]: row[1] for row in rows}
