"""The SQL of the marketplace room."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, bindparam, case, delete, func, insert, or_, select
from sqlmodel import Session, col

from licsrv.licensing.fingerprints import HashedParts, lookup_parts
from licsrv.licensing.tables import Device, DevicePart, License
from licsrv.marketplace.commands import UNDONE
from licsrv.marketplace.provisional import Granted
from licsrv.marketplace.tables import (
    Application,
    CallbackNonce,
    CallbackReceipt,
    CallbackRecord,
    CallUnderWay,
    Gate,
    Instance,
    LicenseOrder,
    MarketplaceView,
    OrderRecord,
    ProvisionalGrant,
    UnreadAnswer,
)
from licsrv.platform.db import add_missing, delete_slice, execute, table_of
from licsrv.platform.ids import first_id

_RECEIPT = select(table_of(CallbackReceipt).c.message).where(
    table_of(CallbackReceipt).c.digest == bindparam("of_digest")
)
_orders = table_of(LicenseOrder).c
_records = table_of(OrderRecord).c
_NAMED = select(table_of(LicenseOrder)).where(
    _orders.license_id == bindparam("of_license"),
    _orders.order_id == bindparam("of_order"),
    _orders.order_line_id == bindparam("of_line"),
    _orders.scene.in_(bindparam("of_scenes", expanding=True)),
)
_LOG = insert(table_of(CallbackRecord))


def remember_nonces(session: Session, digests: Sequence[str], *, now: datetime) -> bool:
    """Note that nonces were used; False when one was used before, on this replica or any other."""
    rows = [{"digest": digest, "seen_at": now} for digest in sorted(digests)]
    return len(add_missing(session, CallbackNonce, "digest", rows=rows)) == len(rows)


def receipt(session: Session, digest: str) -> str | None:
    """Return the answer that was given to a message."""
    message: str | None = execute(session, _RECEIPT, {"of_digest": digest}).scalar()
    return message


def add_receipt(session: Session, digest: str, message: str, *, now: datetime) -> None:
    """Keep the answer given to a message; the one given first stays."""
    row = {"digest": digest, "message": message, "answered_at": now}
    add_missing(session, CallbackReceipt, "digest", rows=[row])


def log_callback(session: Session, row: Mapping[str, Any]) -> None:
    """Write a callback down as it came and as it was answered."""
    execute(session, _LOG, dict(row))


def add_order(
    session: Session,
    license_id: str,
    *,
    order_id: str,
    scene: str,
    now: datetime,
    order_line_id: str = "",
    ends_at: datetime | None = None,
) -> None:
    """Note an order of a license, and the end that it states; noting it again changes nothing."""
    key = {"license_id": license_id, "order_id": order_id, "order_line_id": order_line_id, "scene": scene}
    add_missing(session, LicenseOrder, "license_id", rows=[{**key, "at": now, "ends_at": ends_at}])


def named_in(session: Session, license_id: str, scenes: Collection[str], *, order: tuple[str, str]) -> Any:
    """Return the row of an order line that was named for a license in one of these scenes, or None."""
    key = {"of_license": license_id, "of_order": order[0], "of_line": order[1], "of_scenes": sorted(scenes)}
    return execute(session, _NAMED, key).first()


def last_undone_at(session: Session, license_id: str) -> datetime | None:
    """Return when the latest order that took a renewal back was placed; None where there is none.

    Until the marketplace has said when, the moment counts at which its callback came.
    """
    placed_at = func.coalesce(_records.placed_at, _orders.at)
    same_line = and_(_records.order_id == _orders.order_id, _records.order_line_id == _orders.order_line_id)
    query = select(placed_at).outerjoin_from(table_of(LicenseOrder), table_of(OrderRecord), same_line)
    moments = session.scalars(query.where(_orders.license_id == license_id, _orders.scene == UNDONE)).all()
    return max(moments, default=None)


def has_scene(session: Session, license_id: str, scenes: Collection[str]) -> bool:
    """Whether an order was named for a license in one of these scenes."""
    query = select(_orders.license_id).where(_orders.license_id == license_id, _orders.scene.in_(sorted(scenes)))
    return session.execute(query.limit(1)).first() is not None


def orders(session: Session, license_id: str) -> Sequence[LicenseOrder]:
    """Return the orders of a license, oldest first."""
    query = select(LicenseOrder).where(col(LicenseOrder.license_id) == license_id).order_by(col(LicenseOrder.at))
    return session.scalars(query).all()


def instance_of_order(session: Session, order_id: str, order_line_id: str) -> Instance | None:
    """Return the instance that an order line has."""
    query = select(Instance).where(col(Instance.order_id) == order_id, col(Instance.order_line_id) == order_line_id)
    return session.scalars(query).one_or_none()


def add_instance(session: Session, code: str, order_id: str, order_line_id: str, *, now: datetime) -> bool:
    """Give an order line its instance; False when the line has one already, or the code is another line's.

    A second call waits here for the first one's transaction, so that 32 at once make one.
    """
    row = {"code": code, "order_id": order_id, "order_line_id": order_line_id, "created_at": now}
    return bool(add_missing(session, Instance, "code", rows=[row]))


def save_order(session: Session, order: OrderRecord) -> None:
    """Keep what the marketplace said of an order line, in place of what it said before."""
    session.merge(order)


def order(session: Session, order_id: str, order_line_id: str) -> OrderRecord | None:
    """Return what the marketplace said of an order line."""
    return session.get(OrderRecord, (order_id, order_line_id))


def latest_order_placed_at(session: Session, license_id: str) -> datetime | None:
    """Return when the latest of a license's orders was placed, as far as the marketplace has been asked about them."""
    same_line = and_(
        col(LicenseOrder.order_id) == col(OrderRecord.order_id),
        col(LicenseOrder.order_line_id) == col(OrderRecord.order_line_id),
    )
    query = select(col(OrderRecord.placed_at)).join(LicenseOrder, same_line)
    of_license = query.where(col(LicenseOrder.license_id) == license_id, col(OrderRecord.placed_at).is_not(None))
    return session.scalar(of_license.order_by(col(OrderRecord.placed_at).desc()).limit(1))


def application(session: Session, event_id: str, fingerprint: str) -> Application | None:
    """Return the application that an event and a device made."""
    return session.get(Application, (event_id, fingerprint))


def waiting_applications(session: Session, code: str) -> Sequence[Application]:
    """Return the applications for a license that wait for it to be confirmed, oldest first."""
    query = (
        select(Application)
        .where(col(Application.code) == code, col(Application.sealed) != "")
        .order_by(col(Application.applied_at), col(Application.event_id))
    )
    return session.scalars(query).all()


def save_view(session: Session, view: MarketplaceView) -> None:
    """Keep what the marketplace said, in place of what it said before."""
    session.merge(view)


def view(session: Session, license_id: str) -> MarketplaceView | None:
    """Return what the marketplace said of a license when it was last asked."""
    return session.get(MarketplaceView, license_id)


def note_reading(session: Session, subject: str, unread: Collection[str], *, now: datetime) -> None:
    """Keep which members of the last answer about a license or an order could not be read; none ends the alarm."""
    if unread:
        session.merge(UnreadAnswer(subject=subject, members=", ".join(sorted(unread))[:100], seen_at=now))
    else:
        session.execute(delete(UnreadAnswer).where(col(UnreadAnswer.subject) == subject))


def unread_answers(session: Session, limit: int) -> Sequence[UnreadAnswer]:
    """Return the answers that could not be read, the newest first."""
    return session.scalars(select(UnreadAnswer).order_by(col(UnreadAnswer.seen_at).desc()).limit(limit)).all()


def gate_for_update(session: Session, key_pair: str) -> Gate:
    """Return the gate of a key pair, made if it is new, locked until the end of the transaction."""
    add_missing(session, Gate, "key_pair", rows=[{"key_pair": key_pair, "failures": 0, "reason": ""}])
    return session.scalars(select(Gate).where(col(Gate.key_pair) == key_pair).with_for_update()).one()


def gate(session: Session, key_pair: str) -> Gate | None:
    """Return the gate of a key pair, without a lock."""
    return session.get(Gate, key_pair)


def calls_under_way(session: Session, key_pair: str, *, now: datetime, latest: datetime) -> int:
    """Count the calls under way, without those that must be over: their end has passed, or comes after ``latest``."""
    over = or_(col(CallUnderWay.ends_at) < now, col(CallUnderWay.ends_at) > latest)
    session.execute(delete(CallUnderWay).where(over))
    query = select(func.count()).where(col(CallUnderWay.key_pair) == key_pair)
    return session.scalar(query) or 0


def end_call(session: Session, call_id: str) -> None:
    """Forget a call that has ended."""
    session.execute(delete(CallUnderWay).where(col(CallUnderWay.id) == call_id))


def prune(
    session: Session, *, nonces_before: datetime, signed_before: datetime, unsigned_kept: int, granted_before: datetime
) -> int:
    """Delete some old nonces, receipts, callbacks and grants; of unsigned callbacks, open to everyone, keep the newest.

    Returns:
        The most that were deleted of one kind; :data:`licsrv.platform.db.SLICE` when there may be more.
    """
    unsigned = col(CallbackRecord.is_signed).is_(False)
    newest = select(col(CallbackRecord.id)).where(unsigned).order_by(col(CallbackRecord.id).desc())
    last_kept = session.scalar(newest.offset(unsigned_kept).limit(1)) or ""
    return max(
        delete_slice(session, ProvisionalGrant, col(ProvisionalGrant.granted_at) < granted_before),
        delete_slice(session, CallbackNonce, col(CallbackNonce.seen_at) < nonces_before),
        delete_slice(session, CallbackReceipt, col(CallbackReceipt.answered_at) < signed_before),
        delete_slice(session, CallbackRecord, col(CallbackRecord.id) < first_id(signed_before)),
        delete_slice(session, CallbackRecord, and_(unsigned, col(CallbackRecord.id) <= last_kept)),
    )


@dataclass(frozen=True)
class Requester:
    """From where a provisional license is asked for, as keyed hashes."""

    address_hash: str
    network_hash: str


def provisional_grants(session: Session, requester: Requester, *, since: datetime) -> Granted:
    """Count the provisional licenses given since a moment: to an address, to its network and in all."""
    grants = table_of(ProvisionalGrant).c
    query = select(
        func.coalesce(func.sum(case((grants.address_hash == requester.address_hash, 1), else_=0)), 0),
        func.coalesce(func.sum(case((grants.network_hash == requester.network_hash, 1), else_=0)), 0),
        func.count(),
    ).where(grants.granted_at > since)
    address, network, in_all = session.execute(query).one()
    return Granted(int(address), int(network), in_all)


def add_provisional_grant(session: Session, license_id: str, requester: Requester, *, now: datetime) -> None:
    """Note that a provisional license was given."""
    session.add(
        ProvisionalGrant(
            license_id=license_id,
            address_hash=requester.address_hash,
            network_hash=requester.network_hash,
            granted_at=now,
        )
    )


def provisional_devices(
    session: Session, parts: HashedParts, *, since: datetime, now: datetime
) -> Sequence[HashedParts]:
    """Return the parts of devices that run on a provisional license given since a moment and resemble a machine."""
    query = (
        select(col(Device.id), col(Device.parts))
        .join(ProvisionalGrant, col(ProvisionalGrant.license_id) == col(Device.license_id))
        .join(License, col(License.id) == col(Device.license_id))
        .join(DevicePart, col(DevicePart.device_id) == col(Device.id))
        .where(
            col(ProvisionalGrant.granted_at) > since,
            col(License.activated_at).is_(None),
            col(License.provisional_until) > now,
            col(DevicePart.part_hash).in_(lookup_parts(parts)),
        )
    )
    return list({row.id: row.parts for row in session.execute(query)}.values())
