"""The SQL of finding and showing: bounded look-ups by index, however many licenses and devices there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlmodel import Session, col

from licsrv.desk.licenses.tables import SingleRevocation
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import store as licensing
from licsrv.licensing.fingerprints import HashedParts, lookup_parts
from licsrv.licensing.tables import Device, DevicePart, IssuedLicense, License
from licsrv.marketplace.tables import LicenseOrder
from licsrv.platform.db import Folded, add_missing, begins_with

_COMPARED = 5_000
_AT_ONCE = 500
_EVERY = 1_000_000


def licenses(session: Session, ids: Iterable[str]) -> dict[str, License]:
    """Return licenses by their ids."""
    wanted = list(dict.fromkeys(ids))
    return {row.id: row for row in session.scalars(select(License).where(col(License.id).in_(wanted)))}


def newest(session: Session, text: str | None) -> Iterator[License]:
    """Yield licenses, newest first: all, or those whose code, id, order or customer begins with a text."""
    if text is not None:
        yield from licensing.find_licenses(session, text=text, limit=_EVERY)
        return
    query = select(License).order_by(col(License.id).desc()).execution_options(yield_per=_AT_ONCE)
    yield from session.scalars(query)


def add_single_revocation(session: Session, person: str, license_id: str, *, counted: datetime, now: datetime) -> None:
    """Note a revocation of one license, and throw away the person's that count no more.

    One of the same license at the same moment (it was reinstated between the two) counts with the first.
    """
    of_person = col(SingleRevocation.person) == person
    session.execute(delete(SingleRevocation).where(of_person, col(SingleRevocation.at) <= counted))
    row = {"person": person, "license_id": license_id, "at": now}
    add_missing(session, SingleRevocation, "license_id", rows=[row])


def single_revocations(session: Session, person: str, *, since: datetime, until: datetime) -> int:
    """Return how many licenses a person revoked one by one in that time."""
    query = select(func.count()).where(
        col(SingleRevocation.person) == person, col(SingleRevocation.at) > since, col(SingleRevocation.at) <= until
    )
    return session.scalar(query) or 0


def miscounted(session: Session, *, limit: int = 5) -> Sequence[str]:
    """Return codes of licenses whose count of places is not the number of devices that hold one."""
    held = (
        select(func.count())
        .where(col(Device.license_id) == col(License.id), col(Device.released_at).is_(None))
        .scalar_subquery()
    )
    query = select(col(License.code)).where(col(License.places_taken) != held).order_by(col(License.id)).limit(limit)
    return session.scalars(query).all()


def by_order(session: Session, text: str, limit: int) -> Sequence[str]:
    """Return the ids of licenses that were bought, renewed or changed with an order or an order line."""
    spellings = list(dict.fromkeys((text, text.upper())))
    found = list(session.scalars(select(col(License.id)).where(col(License.order_id).in_(spellings)).limit(limit)))
    for column in (col(LicenseOrder.order_id), col(LicenseOrder.order_line_id)):
        found += session.scalars(select(col(LicenseOrder.license_id)).where(column.in_(spellings)).limit(limit))
    return list(dict.fromkeys(found))


def by_code(session: Session, text: str, limit: int) -> Sequence[str]:
    """Return the ids of licenses whose code begins so, in the order of their codes."""
    return _beginning(session, col(License.id), col(License.code), text=text, limit=limit)


def by_customer(session: Session, text: str, limit: int) -> Sequence[str]:
    """Return the ids of licenses whose customer begins so, in the order of their names."""
    return _beginning(session, col(License.id), col(License.customer), text=text, limit=limit)


def by_device_name(session: Session, text: str, limit: int) -> Sequence[Device]:
    """Return devices whose name begins so, in the order of their names."""
    ids = _beginning(session, col(Device.id), col(Device.name), text=text, limit=limit)
    found = {row.id: row for row in session.scalars(select(Device).where(col(Device.id).in_(ids)))}
    return [found[device_id] for device_id in ids]


def _beginning(session: Session, key: Any, column: Any, text: str, limit: int) -> Sequence[str]:
    query = select(key).where(begins_with(column, text)).order_by(Folded(column)).limit(limit)
    return session.scalars(query).all()


def devices_sharing(session: Session, parts: HashedParts, limit: int) -> Sequence[Device]:
    """Return devices that share parts with a given one, those that share most of them first.

    A part that very many share (a dock that was handed round) is looked through only so far.
    """
    hashes = lookup_parts(parts)
    rows = select(col(DevicePart.device_id)).where(col(DevicePart.part_hash).in_(hashes)).limit(_COMPARED).subquery()
    best = (
        select(rows.c.device_id)
        .group_by(rows.c.device_id)
        .order_by(func.count().desc(), rows.c.device_id.desc())
        .limit(limit)
    )
    ids = session.scalars(best).all()
    found = {row.id: row for row in session.scalars(select(Device).where(col(Device.id).in_(ids)))}
    return [found[device_id] for device_id in ids]


def issued(session: Session, issued_id: str) -> IssuedLicense | None:
    """Return a license that was handed out."""
    return session.get(IssuedLicense, issued_id)


def devices_after(session: Session, license_id: str, after: str, limit: int) -> Sequence[Device]:
    """Return devices of a license in the order in which they came."""
    query = select(Device).where(col(Device.license_id) == license_id, col(Device.id) > after)
    return session.scalars(query.order_by(col(Device.id)).limit(limit)).all()


def first_devices(session: Session, license_id: str, limit: int) -> Sequence[Device]:
    """Return devices of a license, those that hold a place first, then the newest."""
    query = select(Device).where(col(Device.license_id) == license_id)
    order = (col(Device.released_at).is_not(None), col(Device.id).desc())
    return session.scalars(query.order_by(*order).limit(limit)).all()


def holders_of_places(session: Session, license_id: str) -> Sequence[str]:
    """Return the ids of the devices that hold a place on a license."""
    query = select(col(Device.id)).where(col(Device.license_id) == license_id, col(Device.released_at).is_(None))
    return session.scalars(query.order_by(col(Device.id))).all()


def count_devices(session: Session, license_id: str) -> int:
    """Count the devices of a license, those without a place included."""
    return session.scalar(select(func.count()).where(col(Device.license_id) == license_id)) or 0


def days_of_use(session: Session, license_id: str, first: date, last: date) -> Sequence[tuple[date, int]]:
    """Count the devices that checked in on each day; read from an index alone."""
    query = (
        select(col(CheckIn.day), func.count())
        .where(col(CheckIn.license_id) == license_id, col(CheckIn.day).between(first, last))
        .group_by(col(CheckIn.day))
        .order_by(col(CheckIn.day))
    )
    return [(row[0], row[1]) for row in session.execute(query)]
