"""Lists that people and programs page through: deliveries, callbacks, the audit, products, keys, releases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from pydantic import Field
from sqlalchemy import select
from sqlmodel import Session, col

from licsrv.audit import Action
from licsrv.audit.tables import AuditEntry
from licsrv.desk.licenses.answers import ProductShown
from licsrv.desk.licenses.showing import read_json
from licsrv.errors import InvalidRequestError
from licsrv.licensing import store as licensing
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.tables import License, Product
from licsrv.marketplace.tables import CallbackRecord
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window
from licsrv.releases import rules
from licsrv.releases.tables import Release

_SUCCESS = "000000"
_HIGHEST = 2**31 - 1  # ids are integers of four bytes on PostgreSQL


class Delivery(Body):
    """Something to tell the marketplace."""

    id: int
    kind: str
    state: str
    code: str | None
    license_id: str
    payload: dict[str, Any]
    attempts: int
    created_at: datetime
    due_at: datetime
    settled_at: datetime | None
    last_error: str | None


class Deliveries(Body):
    """A page of deliveries, the newest first."""

    items: list[Delivery]
    next: str | None


class Callback(Body):
    """A callback as it came and as it was answered."""

    id: str
    received_at: datetime
    activity: str
    code: str
    result_code: str
    message: str
    is_signed: bool
    is_probe: bool
    key_digest: str
    body: str
    body_bytes: int
    request_id: str


class Callbacks(Body):
    """A page of callbacks, the newest first."""

    items: list[Callback]
    next: str | None


class Entry(Body):
    """An entry of the audit."""

    seq: int | None
    at: datetime
    actor: str
    action: str
    subject: str
    reason: str
    detail: Any
    request_id: str
    hash: str | None


class Entries(Body):
    """A page of the audit, the newest first."""

    items: list[Entry]
    next: str | None


class Products(Body):
    """A page of products."""

    items: list[ProductShown]
    next: str | None


class Key(Body):
    """A signing key; its private half is nowhere in here."""

    key_id: str
    purpose: str
    algorithm: str
    public: str
    created_at: datetime
    signs_from: datetime | None
    retired_at: datetime | None
    state: str = "signing"


class Keys(Body):
    """Every signing key."""

    items: list[Key]


class NotesShown(Body):
    """What is new in a version."""

    zh: str
    en: str


class ReleaseShown(Body):
    """A published version."""

    id: str
    product_id: str
    version: str
    channel: str
    platform: str
    url: str
    size: int
    sha256: str
    minimum_version: str | None
    rollout_percent: int
    notes: NotesShown
    state: str = Field(description="published, scheduled (its moment is to come) or withdrawn")
    published_at: datetime
    created_at: datetime
    created_by: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_reason: str | None


class Releases(Body):
    """A page of published versions, the latest made first."""

    items: list[ReleaseShown]
    next: str | None


def number_after(window: Window) -> int:
    """Return the number behind which a page begins.

    Raises:
        InvalidRequestError: The cursor is none of this list.
    """
    if window.after is None:
        return _HIGHEST
    text = window.after[0]
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(_HIGHEST))):
        raise InvalidRequestError("after is no cursor of this list.", action="Begin at the first page.")
    return min(int(text), _HIGHEST)


def deliveries(session: Session, window: Window, *, states: Sequence[State], license_id: str | None) -> Deliveries:
    """Return what the outbox holds in any of the states, of one license or of all."""
    query = select(OutboxRow).where(col(OutboxRow.id) < number_after(window)).order_by(col(OutboxRow.id).desc())
    query = query.where(col(OutboxRow.state).in_([str(state) for state in states]))
    if license_id is not None:
        query = query.where(col(OutboxRow.ordering_key) == license_id)
    rows = session.scalars(query.limit(window.fetched)).all()
    codes = codes_of(session, [row.ordering_key for row in rows])
    made = paging.page_of(
        rows, window, keys=lambda row: (str(row.id),), item=lambda row: delivery(row, codes.get(row.ordering_key))
    )
    return Deliveries(items=made.items, next=made.next)


def delivery(row: OutboxRow, code: str | None) -> Delivery:
    """Return a delivery. What was sealed for the marketplace is not shown."""
    payload = {name: value for name, value in row.payload.items() if name != "sealed"}
    return Delivery.model_validate(
        row.model_dump() | {"license_id": row.ordering_key, "code": code, "payload": payload}
    )


def codes_of(session: Session, license_ids: Sequence[str]) -> dict[str, str]:
    """Return the codes of licenses by their ids."""
    wanted = list(dict.fromkeys(license_ids))
    rows = session.execute(select(col(License.id), col(License.code)).where(col(License.id).in_(wanted)))
    return {row[0]: row[1] for row in rows}


def callbacks(session: Session, window: Window, *, code: str | None, only_failed: bool) -> Callbacks:
    """Return the callback log: all, of one code, or those that were refused."""
    query = select(CallbackRecord).order_by(col(CallbackRecord.id).desc())
    if window.after is not None:
        query = query.where(col(CallbackRecord.id) < window.after[0])
    if code is not None:
        query = query.where(col(CallbackRecord.code) == code)
    if only_failed:
        query = query.where(col(CallbackRecord.result_code) != _SUCCESS)
    rows = session.scalars(query.limit(window.fetched)).all()
    made = paging.page_of(
        rows, window, keys=lambda row: (row.id,), item=lambda row: Callback.model_validate(row.model_dump())
    )
    return Callbacks(items=made.items, next=made.next)


def audit_entries(session: Session, window: Window, *, subject: str | None, action: str | None) -> Entries:
    """Return the audit: all of it, of one subject (a license's code stands for its id), of one action.

    Raises:
        InvalidRequestError: There is no such action.
    """
    query = select(AuditEntry).where(col(AuditEntry.id) < number_after(window)).order_by(col(AuditEntry.id).desc())
    if subject is not None:
        query = query.where(col(AuditEntry.subject) == _subject(session, subject))
    if action is not None:
        if action not in list(Action):
            raise InvalidRequestError(f"action is one of {', '.join(Action)}.")
        query = query.where(col(AuditEntry.action) == action)
    rows = session.scalars(query.limit(window.fetched)).all()
    made = paging.page_of(rows, window, keys=lambda row: (str(row.id),), item=entry)
    return Entries(items=made.items, next=made.next)


def _subject(session: Session, name: str) -> str:
    license = licensing.license_by_code(session, name.strip())
    return license.id if license is not None else name.strip()


def entry(row: AuditEntry) -> Entry:
    """Return an entry of the audit."""
    return Entry.model_validate(row.model_dump() | {"detail": read_json(row.detail)})


def audit_lines(session: Session, after_seq: int, limit: int) -> tuple[list[str], int | None]:
    """Return entries as lines of JSON in the order of the chain, and the last one's number; None at the end.

    ``detail`` is the text that was hashed, so that whoever has the lines can check the chain.
    """
    query = select(AuditEntry).where(col(AuditEntry.seq) > after_seq).order_by(col(AuditEntry.seq)).limit(limit)
    rows = session.scalars(query).all()
    lines = [Entry.model_validate(row.model_dump()).model_dump_json() + "\n" for row in rows]
    return lines, rows[-1].seq if len(rows) == limit else None


def products(session: Session, window: Window) -> Products:
    """Return products by their ids."""
    query = select(Product).order_by(col(Product.product_id))
    if window.after is not None:
        query = query.where(col(Product.product_id) > window.after[0])
    rows = session.scalars(query.limit(window.fetched)).all()
    made = paging.page_of(
        rows,
        window,
        keys=lambda row: (row.product_id,),
        item=lambda row: ProductShown.model_validate(row, from_attributes=True),
    )
    return Products(items=made.items, next=made.next)


def keys(keyring: Keyring, *, now: datetime) -> Keys:
    """Return every signing key with what it does now."""
    return Keys(items=list(_keys(keyring, now)))


def _keys(keyring: Keyring, now: datetime) -> Iterator[Key]:
    for record in keyring.records:
        state = "retired" if record.is_retired else ("signing" if record.may_sign(now) else "waiting")
        yield Key(
            key_id=record.key_id,
            purpose=str(record.purpose),
            algorithm=str(record.algorithm),
            public=record.public,
            created_at=record.created_at,
            signs_from=record.signs_from,
            retired_at=record.retired_at,
            state=state,
        )


def releases(session: Session, window: Window, *, product_id: str | None, now: datetime) -> Releases:
    """Return published versions, those withdrawn included."""
    query = select(Release).order_by(col(Release.id).desc())
    if window.after is not None:
        query = query.where(col(Release.id) < window.after[0])
    if product_id is not None:
        query = query.where(col(Release.product_id) == product_id)
    rows = session.scalars(query.limit(window.fetched)).all()
    made = paging.page_of(rows, window, keys=lambda row: (row.id,), item=lambda row: release(row, now))
    return Releases(items=made.items, next=made.next)


def release(row: Release, now: datetime) -> ReleaseShown:
    """Return a version as it stands at a moment."""
    notes = {"zh": row.notes_zh, "en": row.notes_en}
    return ReleaseShown.model_validate(row.model_dump() | {"notes": notes, "state": rules.state(row, now)})
