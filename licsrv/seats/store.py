"""The SQL of seats: the license is locked where one is given, a batch of renewals costs a few statements."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import bindparam, case, delete, distinct, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col

from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.store import IS_POLICY_OF_LICENSE
from licsrv.licensing.tables import Device, IssuedLicense, License, PolicyVersion
from licsrv.platform.db import (
    SLICE,
    add_missing,
    delete_slice,
    document,
    execute,
    is_member,
    listed,
    moment,
    table_of,
    unread,
)
from licsrv.seats.rules import Asker, Glance, HeldSeat, InLine
from licsrv.seats.tables import Presence, Seat, Waiting

_licenses, _devices, _policies = table_of(License).c, table_of(Device).c, table_of(PolicyVersion).c
_issued, _seats = table_of(IssuedLicense).c, table_of(Seat).c
_line, _presence = table_of(Waiting).c, table_of(Presence).c

_LICENSE = (
    select(table_of(License), _policies.stated.label("policy"))
    .outerjoin_from(table_of(License), table_of(PolicyVersion), IS_POLICY_OF_LICENSE)
    .where(_licenses.id == bindparam("of_license"))
)
_LICENSE_LOCKED = _LICENSE.with_for_update(of=table_of(License))
_HELD = (
    select(
        _seats.id, _seats.device_id, _seats.session, _seats.holder, _seats.since, _seats.until, _seats.borrowed_at,
        _seats.borrowed_until, _devices.name,
    )
    .join_from(table_of(Seat), table_of(Device), _devices.id == _seats.device_id)
    .where(_seats.license_id == bindparam("of_license"), _seats.ended_at.is_(None))
)  # fmt: skip
_OF_LICENSE = (_seats.license_id == bindparam("of_license"), _seats.ended_at.is_(None))
_GLANCE = select(
    select(_seats.id)
    .where(*_OF_LICENSE, _seats.device_id == bindparam("of_device"), _seats.session == bindparam("of_session"))
    .scalar_subquery(),
    select(func.count()).select_from(table_of(Seat)).where(*_OF_LICENSE).scalar_subquery(),
    select(func.count()).select_from(table_of(Waiting)).where(_line.license_id == bindparam("of_license"))
    .scalar_subquery(),
)  # fmt: skip
_IN_LINE = (
    select(_line.holder, _line.since, _line.until, _line.device_id, _devices.name)
    .join_from(table_of(Waiting), table_of(Device), _devices.id == _line.device_id)
    .where(_line.license_id == bindparam("of_license"))
)
_END = (
    update(table_of(Seat))
    .where(is_member(_seats.id, "of_seats"), _seats.ended_at.is_(None), _seats.until <= bindparam("lapsed_by"))
    .values(ended_at=bindparam("at"))
    .returning(_seats.id)
)
_GIVE_BACK = (
    update(table_of(Seat))
    .where(_seats.id == bindparam("of_seat"), _seats.ended_at.is_(None))
    .values(ended_at=bindparam("at"))
)
_BORROW = (
    update(table_of(Seat))
    .where(_seats.id == bindparam("of_seat"), _seats.ended_at.is_(None))
    .values(borrowed_at=bindparam("began"), borrowed_until=bindparam("end"))
)
# A borrowed seat that is renewed keeps its end.
_RENEW = (
    update(table_of(Seat))
    .where(is_member(_seats.id, "of_seats"), _seats.ended_at.is_(None))
    .values(
        until=case((_seats.borrowed_until > bindparam("end"), _seats.borrowed_until), else_=bindparam("end")),
        seconds=bindparam("length"),
    )
    .returning(_seats.id, unread(_seats.until), unread(_seats.borrowed_until))
)
_TAKEN = (
    select(_seats.license_id, func.count(distinct(_seats.holder)))
    .where(is_member(_seats.license_id, "of_licenses"), _seats.ended_at.is_(None), _seats.until > bindparam("now"))
    .group_by(_seats.license_id)
)


class Presented(NamedTuple):
    """Everything that decides a renewal: the string, the device, the license and its policy, and the seat."""

    key: str
    digest: str
    issued_id: str
    key_id: str
    form: str
    seal: str | None
    device_id: str
    text_hash: str
    parts: Any  # as the driver gives them; read_parts reads them where they are needed
    device_has_place: bool
    license_id: str
    source: str
    device_limit: int | None
    amount: int | None
    activated_at: datetime | None
    provisional_until: datetime | None
    refused_reason: str | None
    expires_at: datetime | None
    grace_until: datetime | None
    frozen_at: datetime | None
    revoked_at: datetime | None
    revoked_reason: str | None
    released_at: datetime | None
    policy: str | None
    seat_id: str | None
    session: str | None
    is_ended: bool

    @property
    def sealed_values(self) -> tuple[str, ...]:
        """What the seal of the string's row covers, as :data:`licsrv.licensing.keyring.ISSUED_COLUMNS` names it."""
        return self.issued_id, self.license_id, self.device_id, self.form, self.digest, self.key_id


# What is presented is one text for each renewal: the digest of the string, then the id of the seat.
_DIGEST_LENGTH = 64
_asked = listed("presented")
_PRESENTED = (  # in the order of Presented; see heartbeats.store
    select(
        _asked.c.value, _issued.digest, _issued.id, _issued.key_id, _issued.form, _issued.seal,
        _devices.id, _devices.text_hash, unread(_devices.parts), unread(_devices.released_at.is_(None)),
        _licenses.id, _licenses.source, _licenses.device_limit, _licenses.amount,
        unread(_licenses.activated_at), unread(_licenses.provisional_until), _licenses.refused_reason,
        unread(_licenses.expires_at), unread(_licenses.grace_until), unread(_licenses.frozen_at),
        unread(_licenses.revoked_at), _licenses.revoked_reason, unread(_licenses.released_at),
        _policies.stated,
        _seats.id, _seats.session, unread(_seats.ended_at.is_not(None)),
    )
    .join_from(_asked, table_of(IssuedLicense), _issued.digest == func.substr(_asked.c.value, 1, _DIGEST_LENGTH))
    .join(table_of(Device), _devices.id == _issued.device_id)
    .join(table_of(License), _licenses.id == _issued.license_id)
    .outerjoin(table_of(PolicyVersion), IS_POLICY_OF_LICENSE)
    .outerjoin(
        table_of(Seat),
        (_seats.id == func.substr(_asked.c.value, _DIGEST_LENGTH + 1)) & (_seats.device_id == _devices.id),
    )
)  # fmt: skip


def _read(row: Any) -> Presented:
    (
        key, digest, issued_id, key_id, form, seal, device_id, text_hash, parts, has_place, license_id, source,
        device_limit, amount, activated_at, provisional_until, refused_reason, expires_at, grace_until, frozen_at,
        revoked_at, revoked_reason, released_at, policy, seat_id, session, is_ended,
    ) = row  # fmt: skip
    return Presented(
        key, digest, issued_id, key_id=key_id, form=form, seal=seal, device_id=device_id, text_hash=text_hash,
        parts=parts, device_has_place=bool(has_place), license_id=license_id, source=source, device_limit=device_limit,
        amount=amount, activated_at=moment(activated_at), provisional_until=moment(provisional_until),
        refused_reason=refused_reason, expires_at=moment(expires_at), grace_until=moment(grace_until),
        frozen_at=moment(frozen_at), revoked_at=moment(revoked_at), revoked_reason=revoked_reason,
        released_at=moment(released_at), policy=policy, seat_id=seat_id, session=session, is_ended=bool(is_ended),
    )  # fmt: skip


def presented(session: Session, keys: Sequence[str]) -> dict[str, Presented]:
    """Return the devices and licenses of license strings with a seat of each; where the seat is its device's.

    Args:
        keys: The digest of a string, and behind it the id of a seat.
    """
    asked = {"presented": json.dumps(list(dict.fromkeys(keys)))}
    found = [_read(row) for row in execute(session, _PRESENTED, asked).all()]
    return {row.key: row for row in found}


def read_parts(presented: Presented) -> HashedParts:
    """Return the hashed parts of a device."""
    parts: HashedParts = document(presented.parts)
    return parts


class Lasting(NamedTuple):
    """How long a seat lasts that was renewed."""

    until: datetime
    borrowed_until: datetime | None


def renew(session: Session, seat_ids: Sequence[str], *, until: datetime, length: timedelta) -> dict[str, Lasting]:
    """Let seats last until a moment, and return how long they do; those that were ended meanwhile are left out."""
    ordered = json.dumps(sorted(seat_ids))  # one order everywhere: no deadlocks
    rows = execute(session, _RENEW, {"of_seats": ordered, "end": until, "length": int(length.total_seconds())})
    return {seat_id: Lasting(_certain(end), moment(borrowed)) for seat_id, end, borrowed in rows}


def _certain(value: Any) -> datetime:
    found = moment(value)
    if found is None:
        raise AssertionError  # the column has no NULL
    return found


def taken(session: Session, license_ids: Sequence[str], *, now: datetime) -> dict[str, int]:
    """Count the seats of licenses that are in use; a license without one is left out."""
    wanted = {"of_licenses": json.dumps(sorted(set(license_ids))), "now": now}
    return {license_id: count for license_id, count in execute(session, _TAKEN, wanted).all()}  # noqa: C416 - rows


def license_of(session: Session, license_id: str, *, locked: bool = True) -> Any:
    """Return the row of a license with what its product's ``policy`` states.

    Args:
        locked: Whether it stays locked until the end of the transaction, so that one seat is given at a time.
    """
    return execute(session, _LICENSE_LOCKED if locked else _LICENSE, {"of_license": license_id}).one()


def glance(session: Session, license_id: str, asker: Asker) -> Glance:
    """Count the seats of a license, from an index alone."""
    wanted = {"of_license": license_id, "of_device": asker.device_id, "of_session": asker.session}
    own, held, waiting = execute(session, _GLANCE, wanted).one()
    return Glance(own, held, has_line=waiting > 0)


def held(session: Session, license_id: str) -> list[HeldSeat]:
    """Return the seats of a license that were not ended."""
    return [HeldSeat(*row) for row in execute(session, _HELD, {"of_license": license_id})]


def in_line(session: Session, license_id: str) -> list[InLine]:
    """Return who waits for a seat of a license, or did."""
    return [InLine(*row) for row in execute(session, _IN_LINE, {"of_license": license_id})]


def seat(session: Session, seat_id: str) -> Seat | None:
    """Return a seat as it is now."""
    return session.get(Seat, seat_id, populate_existing=True)


def add(session: Session, row: Mapping[str, Any]) -> None:
    """Write a seat down."""
    session.add(Seat(**row))
    session.flush()


def end_lapsed(session: Session, seat_ids: Sequence[str], *, now: datetime) -> set[str]:
    """End seats that have lapsed, and return which; one that was renewed meanwhile stays."""
    rows = execute(session, _END, {"of_seats": json.dumps(sorted(seat_ids)), "lapsed_by": now, "at": now})
    return set(rows.scalars())


def give_back(session: Session, seat_id: str, *, now: datetime) -> None:
    """End a seat; one that was ended before stays as it is."""
    execute(session, _GIVE_BACK, {"of_seat": seat_id, "at": now})


def borrow(session: Session, seat_id: str, *, since: datetime, until: datetime) -> None:
    """Note that a seat is borrowed until a moment; its next renewal makes it last so long."""
    execute(session, _BORROW, {"of_seat": seat_id, "began": since, "end": until})


def wait(session: Session, row: Mapping[str, Any]) -> None:
    """Put a program into the line, or let its place last until the row's moment."""
    insert: Any = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    again = insert(table_of(Waiting)).values(dict(row))
    keys = ["license_id", "holder"]
    execute(session, again.on_conflict_do_update(index_elements=keys, set_={"until": row["until"]}))


def leave_line(session: Session, license_id: str, holder: str, *, now: datetime) -> None:
    """Take a program out of the line, and those who have not asked again."""
    gone = or_(col(Waiting.holder) == holder, col(Waiting.until) <= now)
    execute(session, delete(table_of(Waiting)).where(col(Waiting.license_id) == license_id, gone))


def notes(session: Session) -> dict[str, datetime]:
    """Return when each replica was last alive."""
    return {row.replica: row.noted_at for row in session.execute(select(_presence.replica, _presence.noted_at))}


def note(session: Session, replica: str, *, now: datetime) -> None:
    """Note that a replica is alive."""
    if not add_missing(session, Presence, "replica", rows=[{"replica": replica, "noted_at": now}]):
        execute(session, update(table_of(Presence)).where(_presence.replica == replica).values(noted_at=now))


def forget(session: Session, replicas: Sequence[str]) -> None:
    """Forget replicas that have gone."""
    execute(session, delete(table_of(Presence)).where(_presence.replica.in_(replicas)))


def lengths(session: Session) -> Sequence[int]:
    """Return how many seconds seats last that were not ended; there are few such numbers."""
    return session.scalars(select(_seats.seconds).where(*_HELD_AT_ALL).distinct()).all()


# The license's id makes the index of held seats answer, however many were ended.
_HELD_AT_ALL = (_seats.license_id > "", _seats.ended_at.is_(None))


def prolong(session: Session, seconds: int, *, live_at: datetime, until: datetime) -> int:
    """Let seats of this length that were live at a moment last until another one at least; return how many."""
    mine = (_seats.seconds == seconds, _seats.until > live_at, _seats.until < until)
    return int(execute(session, update(table_of(Seat)).where(*_HELD_AT_ALL, *mine).values(until=until)).rowcount)


def shorten(session: Session, seconds: int, *, until: datetime) -> int:
    """Let seats of this length that are not borrowed last until a moment at most; return how many."""
    late = (_seats.seconds == seconds, _seats.until > until)
    is_borrowed = or_(_seats.borrowed_until.is_(None), _seats.borrowed_until < _seats.until)
    changed = update(table_of(Seat)).where(*_HELD_AT_ALL, *late, is_borrowed).values(until=until)
    return int(execute(session, changed).rowcount)


def shorten_line(session: Session, *, until: datetime) -> int:
    """Let places in line last until a moment at most; return how many."""
    late = update(table_of(Waiting)).where(_line.until > until).values(until=until)
    return int(execute(session, late).rowcount)


@dataclass(frozen=True)
class Count:
    """How many seats are in use."""

    live: int
    borrowed: int


def count_live(session: Session, *, now: datetime) -> Count:
    """Count the seats of all licenses that are in use."""
    borrowed = func.count(case((_seats.borrowed_until > now, 1)))
    live, of_these = session.execute(
        select(func.count(), borrowed).select_from(table_of(Seat)).where(*_HELD_AT_ALL, _seats.until > now)
    ).one()
    return Count(live, of_these)


def prune(session: Session, *, before: datetime) -> int:
    """Delete some seats that ended, and places in line that lapsed, before a moment; return how many."""
    gone = delete_slice(session, Seat, col(Seat.ended_at) < before)
    return max(gone, delete_slice(session, Waiting, col(Waiting.until) < before))


def end_forgotten(session: Session, *, before: datetime, now: datetime) -> int:
    """End some seats that lapsed before a moment and that no program has needed since; return how many."""
    forgotten = (*_HELD_AT_ALL, _seats.until < before)
    some = select(_seats.id).where(*forgotten).limit(SLICE)
    ended = update(table_of(Seat)).where(_seats.id.in_(some), *forgotten).values(ended_at=now)
    return int(execute(session, ended).rowcount)
