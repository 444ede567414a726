"""The SQL of the desk's lists: bounded, by index, newest or most urgent first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import exists, func, or_, select
from sqlalchemy.orm import aliased
from sqlmodel import Session, col

from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import origins
from licsrv.licensing.tables import ALARMED, DeviceText, License, Product, RefusedDevice
from licsrv.marketplace.tables import CallbackRecord
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.ids import first_id

_SUCCESS = "000000"


def ending(session: Session, *, after: datetime, before: datetime, limit: int) -> Sequence[License]:
    """Return licenses that end in a span and are not revoked, the first to end first."""
    query = select(License).where(
        col(License.released_at).is_(None),
        col(License.expires_at) >= after,
        col(License.expires_at) < before,
        col(License.revoked_at).is_(None),
    )
    return session.scalars(query.order_by(col(License.expires_at)).limit(limit)).all()


def frozen(session: Session, limit: int) -> Sequence[License]:
    """Return frozen licenses that are not over, the last frozen first."""
    query = select(License).where(col(License.frozen_at).is_not(None), col(License.released_at).is_(None))
    return session.scalars(query.order_by(col(License.frozen_at).desc()).limit(limit)).all()


def lowered(session: Session, limit: int) -> Sequence[License]:
    """Return licenses whose amount was lowered while devices used them, the last lowered first."""
    query = select(License).where(col(License.lowered_at).is_not(None), col(License.released_at).is_(None))
    return session.scalars(query.order_by(col(License.lowered_at).desc()).limit(limit)).all()


def count_endless(session: Session) -> int:
    """Count live licenses of the marketplace without an end whose products are not marked as sold once."""
    query = (
        select(func.count())
        .select_from(License)
        .outerjoin(Product, col(Product.product_id) == col(License.product_id))
        .where(
            col(License.expires_at).is_(None),
            col(License.released_at).is_(None),
            col(License.revoked_at).is_(None),
            col(License.activated_at).is_not(None),
            col(License.source) != origins.MANUAL,
            col(Product.one_off).is_not(True),
        )
    )
    return session.scalar(query) or 0


def refused_since(session: Session, since: datetime, limit: int) -> Sequence[RefusedDevice]:
    """Return refusals since a moment, the last first."""
    query = select(RefusedDevice).where(col(RefusedDevice.last_at) >= since)
    return session.scalars(query.order_by(col(RefusedDevice.last_at).desc()).limit(limit)).all()


def many_texts(session: Session, since: date, *, least: int, limit: int) -> Sequence[Any]:
    """Return ``day``, ``device_id``, ``license_id`` and ``count`` of devices that sent many texts on a day.

    The rows are counted along their key, so nothing is sorted but what is found.
    """
    count = func.count().label("count")
    of_day = (col(DeviceText.day), col(DeviceText.device_id))
    texts = (col(DeviceText.day) >= since, col(DeviceText.text_hash) != ALARMED)
    counted = select(*of_day, count).where(*texts).group_by(*of_day).having(count >= least)
    most = counted.order_by(count.desc(), of_day[1]).limit(limit).subquery()
    same = (col(DeviceText.day) == most.c.day, col(DeviceText.device_id) == most.c.device_id)
    license_id = select(func.min(DeviceText.license_id)).where(*same).scalar_subquery().label("license_id")
    return session.execute(select(most, license_id).order_by(most.c.count.desc(), most.c.device_id)).all()


def told_no(session: Session, day: date, limit: int) -> Sequence[CheckIn]:
    """Return devices whose lease of a day says that they may not work."""
    query = select(CheckIn).where(col(CheckIn.day) == day, col(CheckIn.status) != "ACTIVE")
    return session.scalars(query.limit(limit)).all()


def standing_still(session: Session, *, before: datetime, limit: int) -> Sequence[OutboxRow]:
    """Return deliveries that are parked, or have waited since before a moment; the oldest first."""
    parked = select(OutboxRow).where(col(OutboxRow.state) == str(State.PARKED))
    rows = list(session.scalars(parked.order_by(col(OutboxRow.settled_at).desc()).limit(limit)))
    waiting = select(OutboxRow).where(col(OutboxRow.settled_at).is_(None), col(OutboxRow.created_at) < before)
    return [*rows, *session.scalars(waiting.order_by(col(OutboxRow.created_at), col(OutboxRow.id)).limit(limit))]


def failed_callbacks(session: Session, since: datetime, limit: int) -> Sequence[CallbackRecord]:
    """Return signed callbacks that were refused and did not succeed since, the last first."""
    later = aliased(CallbackRecord)
    succeeded = exists().where(
        col(later.code) == col(CallbackRecord.code),
        col(later.activity) == col(CallbackRecord.activity),
        col(later.result_code) == _SUCCESS,
        col(later.is_signed),
        col(later.id) > col(CallbackRecord.id),
    )
    query = select(CallbackRecord).where(
        col(CallbackRecord.is_signed),
        col(CallbackRecord.id) > first_id(since),
        col(CallbackRecord.result_code) != _SUCCESS,
        or_(~succeeded, col(CallbackRecord.code) == ""),
    )
    return session.scalars(query.order_by(col(CallbackRecord.id).desc()).limit(limit)).all()


def count_unsigned(session: Session, since: datetime) -> int:
    """Count callbacks with a wrong signature since a moment; only the newest are kept, so there are not many."""
    query = select(func.count()).where(
        col(CallbackRecord.is_signed).is_(False), col(CallbackRecord.id) > first_id(since)
    )
    return session.scalar(query) or 0
