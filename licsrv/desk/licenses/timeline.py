"""One timeline of everything that happened to a license, newest first.

It is merged from what the rooms keep anyway: orders, callbacks, audit entries, days of contact, notes, deliveries. A
page reads from each no more than it shows, so the length of the whole does not count. Rows of one moment stand in the
order of their keys, and a key begins with its source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select
from sqlmodel import Session, SQLModel, col

from licsrv.audit.tables import AuditEntry
from licsrv.desk import names
from licsrv.desk.audit.answers import read_json
from licsrv.desk.licenses import wording
from licsrv.desk.licenses.answers import TimelineAnswer, TimelineItem
from licsrv.desk.licenses.tables import LicenseNote
from licsrv.errors import InvalidRequestError
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing.tables import Device, License
from licsrv.marketplace.tables import CallbackRecord, LicenseOrder
from licsrv.outbox.tables import OutboxRow
from licsrv.platform import paging
from licsrv.platform.paging import Window
from licsrv.words.licenses import NOTE
from licsrv.words.names import name_of

KEYS = 2
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class _After:
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


def timeline(session: Session, name: str, window: Window) -> TimelineAnswer:
    """Return a page of a license's timeline.

    Raises:
        LicenseNotFoundError: There is no such license.
        InvalidRequestError: The cursor is none of this list.
    """
    license = names.license_of(session, name)
    after = _after(window)
    items = [item for read in _SOURCES for item in read(session, license, after, window.fetched)]
    items.sort(key=lambda item: (item.at, *_order(item.key)), reverse=True)
    made = paging.page_of(
        items[: window.fetched], window, keys=lambda item: (item.at.isoformat(), item.key), item=lambda item: item
    )
    return TimelineAnswer(items=made.items, next=made.next)


def _order(key: str) -> tuple[str, int, str]:
    """Return what rows of one moment are sorted by: numbers as numbers."""
    source, _, name = key.partition(":")
    return source, int(name) if source in _NUMBERED else 0, name


def _after(window: Window) -> _After | None:
    if window.after is None:
        return None
    moment, key = window.after
    source, _, name = key.partition(":")
    try:
        at = datetime.fromisoformat(moment).astimezone(UTC)
        _ = at + 2 * _DAY  # the last days of the calendar have none after them
        if source in _NUMBERED and not 0 < int(name) < 2**31:
            raise ValueError
    except (ValueError, OverflowError):
        raise InvalidRequestError("after is no cursor of this list.", action="Begin at the first page.") from None
    return _After(at, source, name)


def _rows(session: Session, model: type[SQLModel], conditions: Sequence[Any], order: Sequence[Any], limit: int) -> Any:
    return session.scalars(select(model).where(*conditions).order_by(*order).limit(limit))


def _changes(session: Session, license: License, after: _After | None, limit: int) -> Iterator[TimelineItem]:
    at, number = col(AuditEntry.at), col(AuditEntry.id)
    conditions = [col(AuditEntry.subject) == license.id]
    conditions += [after.behind("audit", at, number, int)] if after else []
    for row in _rows(session, AuditEntry, conditions, (at.desc(), number.desc()), limit):
        detail = read_json(row.detail)
        yield TimelineItem(
            key=f"audit:{row.id}", at=row.at, kind="change", title=name_of("audited", row.action), actor=row.actor,
            reason=row.reason, detail={"action": row.action, **(detail if isinstance(detail, dict) else {})},
        )  # fmt: skip


def _callbacks(session: Session, license: License, after: _After | None, limit: int) -> Iterator[TimelineItem]:
    at, number = col(CallbackRecord.received_at), col(CallbackRecord.id)
    # Anybody may send an unsigned one with any code in it: that is no part of a license's story.
    conditions = [col(CallbackRecord.code) == license.code, col(CallbackRecord.is_signed)]
    conditions += [after.behind("callback", at, number)] if after else []
    for row in _rows(session, CallbackRecord, conditions, (at.desc(), number.desc()), limit):
        yield TimelineItem(
            key=f"callback:{row.id}", at=row.received_at, kind="callback", actor="marketplace", text=row.message,
            title=wording.callback(row.activity, row.result_code),
            detail={"id": row.id, "activity": row.activity, "result_code": row.result_code, "is_probe": row.is_probe},
        )  # fmt: skip


def _contacts(session: Session, license: License, after: _After | None, limit: int) -> Iterator[TimelineItem]:
    at, name = col(CheckIn.last_at), col(CheckIn.device_id)
    conditions = [col(CheckIn.license_id) == license.id]
    if after is not None:
        # The index goes by days; a moment's day is the same all over the world, but for one.
        conditions += [after.behind("contact", at, name), col(CheckIn.day) <= after.at.date() + _DAY]
    rows = _rows(session, CheckIn, conditions, (col(CheckIn.day).desc(), at.desc(), name.desc()), limit)
    found: list[CheckIn] = list(rows)
    names = _names(session, [row.device_id for row in found])
    for row in found:
        yield TimelineItem(
            key=f"contact:{row.device_id}", at=row.last_at, kind="contact", actor="client",
            title=wording.contact(names.get(row.device_id, ""), row.status, row.count), detail=_contact(row, row.day),
        )  # fmt: skip


def _contact(row: CheckIn, day: date) -> dict[str, Any]:
    return {
        "device": row.device_id,
        "day": day.isoformat(),
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "count": row.count,
        "status": row.status,
        "lease_until": row.lease_until.isoformat(),
        "client_version": row.client_version,
    }


def _names(session: Session, ids: Sequence[str]) -> dict[str, str]:
    rows = session.execute(select(col(Device.id), col(Device.name)).where(col(Device.id).in_(set(ids))))
    return {row[0]: row[1] for row in rows}


def _notes(session: Session, license: License, after: _After | None, limit: int) -> Iterator[TimelineItem]:
    at, name = col(LicenseNote.at), col(LicenseNote.id)
    conditions = [col(LicenseNote.license_id) == license.id]
    conditions += [after.behind("note", at, name)] if after else []
    for row in _rows(session, LicenseNote, conditions, (at.desc(), name.desc()), limit):
        yield TimelineItem(key=f"note:{row.id}", at=row.at, kind="note", title=NOTE, actor=row.author, text=row.text)


def _reports(session: Session, license: License, after: _After | None, limit: int) -> Iterator[TimelineItem]:
    at, number = col(OutboxRow.created_at), col(OutboxRow.id)
    conditions = [col(OutboxRow.ordering_key) == license.id]
    conditions += [after.behind("report", at, number, int)] if after else []
    for row in _rows(session, OutboxRow, conditions, (at.desc(), number.desc()), limit):
        yield TimelineItem(
            key=f"report:{row.id}", at=row.created_at, kind="report", actor="outbox", text=row.last_error or "",
            title=wording.delivery(row.kind, row.state),
            detail={"id": row.id, "kind": row.kind, "state": row.state, "attempts": row.attempts},
        )  # fmt: skip


def _orders(session: Session, license: License, after: _After | None, limit: int) -> Iterator[TimelineItem]:
    """Read all orders: a license has a few, and what names one is made of four columns."""
    query = select(LicenseOrder).where(col(LicenseOrder.license_id) == license.id)
    rows = sorted(session.scalars(query), key=lambda row: (row.at, _order_key(row)), reverse=True)
    left = [row for row in rows if after is None or _is_behind(row, after)]
    for row in left[:limit]:
        yield TimelineItem(
            key=f"order:{_order_key(row)}", at=row.at, kind="order", actor="marketplace",
            title=wording.order(row.scene),
            detail={"order_id": row.order_id, "order_line_id": row.order_line_id, "scene": row.scene},
        )  # fmt: skip


def _order_key(row: LicenseOrder) -> str:
    return "/".join((row.order_id, row.order_line_id, row.scene))


def _is_behind(row: LicenseOrder, after: _After) -> bool:
    return (row.at, "order", _order_key(row)) < (after.at, after.source, after.name)


_NUMBERED = frozenset({"audit", "report"})
_SOURCES = (_changes, _callbacks, _contacts, _notes, _reports, _orders)
