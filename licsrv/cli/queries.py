"""Questions to the database that only people ask: searches, counts and lists that no other room needs.

Everything here only reads; what changes something is a use case of its room.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlmodel import Session, col

from licsrv.audit.tables import AuditEntry, AuditHead
from licsrv.desk.licenses import page
from licsrv.desk.lists import lists
from licsrv.licensing import lifecycle, store
from licsrv.licensing.lifecycle import Status
from licsrv.licensing.tables import Device, IssuedLicense, License
from licsrv.marketplace.tables import CallbackRecord
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow

_PAGE = 500
_SUCCESS = "000000"


def license_named(session: Session, name: str) -> License:
    """Return the license of a code or an id.

    Raises:
        LicenseNotFoundError: There is none.
    """
    return page.license_of(session, name)


def locked_license_named(session: Session, name: str) -> License:
    """Return the license of a code or an id, locked until the end of the transaction.

    Raises:
        LicenseNotFoundError: There is none.
    """
    return page.locked_license(session, name)


def licenses_in(session: Session, status: Status, *, text: str | None, limit: int, now: datetime) -> list[License]:
    """Return the newest licenses that are in a status at ``now``; it is worked out, so rows are looked through."""
    found: list[License] = []
    for license in _licenses(session, text):
        if lifecycle.status(license, now) is status:
            found.append(license)
        if len(found) == limit:
            break
    return found


def _licenses(session: Session, text: str | None) -> Iterator[License]:
    if text is not None:
        yield from store.find_licenses(session, text=text, limit=1_000_000)
        return
    query = select(License).order_by(col(License.id).desc()).execution_options(yield_per=_PAGE)
    yield from session.scalars(query)


@dataclass(frozen=True)
class Issued:
    """How much hangs on a signing key."""

    licenses: int
    devices: int


def issued_with(session: Session, key_id: str) -> Issued:
    """Count the license strings signed by a key that devices with a place got last, and these devices' licenses."""
    latest = (
        select(func.max(col(IssuedLicense.id)))
        .join(Device, col(Device.id) == col(IssuedLicense.device_id))
        .where(col(Device.released_at).is_(None))
        .group_by(col(IssuedLicense.device_id))
    )
    query = select(func.count(), func.count(col(IssuedLicense.license_id).distinct())).where(
        col(IssuedLicense.key_id) == key_id, col(IssuedLicense.id).in_(latest)
    )
    devices, licenses = session.execute(query).one()
    return Issued(licenses, devices)


def callbacks(session: Session, *, code: str | None, only_failed: bool, limit: int) -> Sequence[CallbackRecord]:
    """Return the callback log, newest first: all, of one code, or those that were refused."""
    query = select(CallbackRecord).order_by(col(CallbackRecord.id).desc()).limit(limit)
    if code is not None:
        query = query.where(col(CallbackRecord.code) == code)
    if only_failed:
        query = query.where(col(CallbackRecord.result_code) != _SUCCESS)
    return session.scalars(query).all()


def deliveries(
    session: Session, states: Sequence[State], *, key: str | None = None, limit: int = 50
) -> Sequence[OutboxRow]:
    """Return what the outbox holds in any of the states, oldest first."""
    query = select(OutboxRow).where(col(OutboxRow.state).in_([str(state) for state in states]))
    if key is not None:
        query = query.where(col(OutboxRow.ordering_key) == key)
    return session.scalars(query.order_by(col(OutboxRow.id)).limit(limit)).all()


def parked_ids(session: Session) -> Sequence[int]:
    """Return the ids of everything that is parked."""
    query = select(col(OutboxRow.id)).where(col(OutboxRow.state) == str(State.PARKED)).order_by(col(OutboxRow.id))
    return [row_id for row_id in session.scalars(query) if row_id is not None]


def codes_of(session: Session, license_ids: Sequence[str]) -> dict[str, str]:
    """Return the codes of licenses by their ids."""
    wanted = list(dict.fromkeys(license_ids))
    codes: dict[str, str] = {}
    for start in range(0, len(wanted), _PAGE):
        codes.update(lists.codes_of(session, wanted[start : start + _PAGE]))
    return codes


def audit_entries(session: Session, *, subject: str | None, action: str | None, limit: int) -> Sequence[AuditEntry]:
    """Return the newest audit entries first: all, of one subject, of one action."""
    query = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if subject is not None:
        query = query.where(col(AuditEntry.subject) == subject)
    if action is not None:
        query = query.where(col(AuditEntry.action) == action)
    return session.scalars(query).all()


def audit_length(session: Session) -> int:
    """Return how many entries the audit's chain has."""
    return session.scalar(select(col(AuditHead.seq)).where(col(AuditHead.id) == 1)) or 0


def audit_gap(session: Session) -> str | None:
    """Return what is missing from the audit's chain, without looking at what the entries say."""
    head = session.get(AuditHead, 1)
    last = session.execute(
        select(col(AuditEntry.seq), col(AuditEntry.hash)).order_by(col(AuditEntry.seq).desc().nulls_last()).limit(1)
    ).one_or_none()
    count, sealed = session.execute(select(func.count(), func.count(col(AuditEntry.seq)))).one()
    if head is None or last is None or (head.seq, head.hash) != (last.seq, last.hash) or sealed != head.seq:
        return "Entries of the audit were taken out or cut off; `licsrv audit verify` finds the first."
    return None if count == sealed else f"{count - sealed} entries stand outside the audit's chain."


def miscounted(session: Session, *, limit: int = 5) -> Sequence[str]:
    """Return codes of licenses whose count of places is not the number of devices that hold one."""
    held = (
        select(func.count())
        .where(col(Device.license_id) == col(License.id), col(Device.released_at).is_(None))
        .scalar_subquery()
    )
    query = select(col(License.code)).where(col(License.places_taken) != held).order_by(col(License.id)).limit(limit)
    return session.scalars(query).all()
