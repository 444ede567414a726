"""One timeline of everything that happened to a license, newest first.

It is merged from what the rooms keep anyway: orders, callbacks, audit entries, days of contact, notes, deliveries. A
page reads from each no more than it shows, so the length of the whole does not matter. Rows of one moment are in the
order of their keys, and a key begins with its source.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session

from licsrv.desk import names
from licsrv.desk.audit.answers import read_json
from licsrv.desk.licenses.answers import TimelineAnswer, TimelineItem
from licsrv.desk.licenses.timeline import store, titles
from licsrv.desk.licenses.timeline.store import After
from licsrv.errors import InvalidRequestError
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing.tables import License
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.tables import LicenseOrder
from licsrv.platform import paging
from licsrv.platform.paging import Window
from licsrv.words.licenses import NOTE
from licsrv.words.names import name_of

KEYS = 2
_DAY = timedelta(days=1)


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
    return TimelineAnswer.of(
        paging.page_of(
            items[: window.fetched], window, keys=lambda item: (item.at.isoformat(), item.key), item=lambda item: item
        )
    )


def _order(key: str) -> tuple[str, int, str]:
    """Return what rows of one moment are sorted by: numbers as numbers."""
    source, _, name = key.partition(":")
    return source, int(name) if source in _NUMBERED else 0, name


def _after(window: Window) -> After | None:
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
    return After(at, source, name)


def _changes(session: Session, license: License, after: After | None, limit: int) -> Iterator[TimelineItem]:
    for row in store.changes(session, license, after, limit=limit):
        detail = read_json(row.detail)
        yield TimelineItem(
            key=f"audit:{row.id}", at=row.at, kind="change", title=name_of("audited", row.action), actor=row.actor,
            reason=row.reason, detail={"action": row.action, **(detail if isinstance(detail, dict) else {})},
        )  # fmt: skip


def _callbacks(session: Session, license: License, after: After | None, limit: int) -> Iterator[TimelineItem]:
    for row in store.callbacks(session, license, after, limit=limit):
        yield TimelineItem(
            key=f"callback:{row.id}", at=row.received_at, kind="callback", actor="marketplace", text=row.message,
            title=titles.callback(row.activity, row.result_code),
            detail={"id": row.id, "activity": row.activity, "result_code": row.result_code, "is_probe": row.is_probe},
        )  # fmt: skip


def _contacts(session: Session, license: License, after: After | None, limit: int) -> Iterator[TimelineItem]:
    found = store.contacts(session, license, after, limit=limit)
    device_names = store.device_names(session, [row.device_id for row in found])
    for row in found:
        title = titles.contact(device_names.get(row.device_id, ""), row.status, row.count)
        yield TimelineItem(
            key=f"contact:{row.device_id}", at=row.last_at, kind="contact", actor="client", title=title,
            detail=_contact(row),
        )  # fmt: skip


def _contact(row: CheckIn) -> dict[str, Any]:
    return {
        "device": row.device_id,
        "day": row.day.isoformat(),
        "first_at": row.first_at.isoformat(),
        "last_at": row.last_at.isoformat(),
        "count": row.count,
        "status": row.status,
        "lease_until": row.lease_until.isoformat(),
        "client_version": row.client_version,
    }


def _notes(session: Session, license: License, after: After | None, limit: int) -> Iterator[TimelineItem]:
    for row in store.notes(session, license, after, limit=limit):
        yield TimelineItem(key=f"note:{row.id}", at=row.at, kind="note", title=NOTE, actor=row.author, text=row.text)


def _reports(session: Session, license: License, after: After | None, limit: int) -> Iterator[TimelineItem]:
    for row in store.reports(session, license, after, limit=limit):
        yield TimelineItem(
            key=f"report:{row.id}", at=row.created_at, kind="report", actor="outbox", text=row.last_error or "",
            title=titles.delivery(row.kind, row.state),
            detail={"id": row.id, "kind": row.kind, "state": row.state, "attempts": row.attempts},
        )  # fmt: skip


def _orders(session: Session, license: License, after: After | None, limit: int) -> Iterator[TimelineItem]:
    """Read all orders: a license has a few, and what names one is made of four columns."""
    rows = sorted(marketplace.orders(session, license.id), key=lambda row: (row.at, _order_key(row)), reverse=True)
    left = [row for row in rows if after is None or after.is_before(row.at, "order", _order_key(row))]
    for row in left[:limit]:
        yield TimelineItem(
            key=f"order:{_order_key(row)}", at=row.at, kind="order", actor="marketplace",
            title=titles.order(row.scene),
            detail={"order_id": row.order_id, "order_line_id": row.order_line_id, "scene": row.scene},
        )  # fmt: skip


def _order_key(row: LicenseOrder) -> str:
    return "/".join((row.order_id, row.order_line_id, row.scene))


_NUMBERED = frozenset({"audit", "report"})
_SOURCES = (_changes, _callbacks, _contacts, _notes, _reports, _orders)
