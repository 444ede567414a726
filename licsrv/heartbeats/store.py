"""The SQL of heartbeats: a few statements for a whole batch, never one for each device."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import bindparam, delete, func, select, update
from sqlmodel import Session, col

from licsrv.heartbeats.tables import CheckIn, DeviceBranch, LicenseDay
from licsrv.licensing.clones import Branch, Caller
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

_licenses, _devices, _policies = table_of(License).c, table_of(Device).c, table_of(PolicyVersion).c
_issued, _check_ins, _license_days = table_of(IssuedLicense).c, table_of(CheckIn).c, table_of(LicenseDay).c


class Presented(NamedTuple):
    """Everything that decides a check-in: the string, the device, the license, and whether it was here today."""

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
    code: str
    source: str
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
    told_today: str | None
    """The status in the device's last lease of this day; None before its first check-in."""
    last_at: datetime | None
    """Its last check-in of this day."""
    is_branched: bool

    @property
    def sealed_values(self) -> tuple[str, ...]:
        """What the seal of the string's row covers, as :data:`licsrv.licensing.keyring.ISSUED_COLUMNS` names it."""
        return self.issued_id, self.license_id, self.device_id, self.form, self.digest, self.key_id


# In the order of Presented. Columns are taken as the driver gives them: reading them one by one through the column
# types costs twice what the database needs for the whole statement (measured, see docs/performance.md).
_PRESENTED = (
    select(
        _issued.digest, _issued.id, _issued.key_id, _issued.form, _issued.seal,
        _devices.id, _devices.text_hash, unread(_devices.parts), unread(_devices.released_at.is_(None)),
        _licenses.id, _licenses.code, _licenses.source,
        unread(_licenses.activated_at), unread(_licenses.provisional_until), _licenses.refused_reason,
        unread(_licenses.expires_at), unread(_licenses.grace_until), unread(_licenses.frozen_at),
        unread(_licenses.revoked_at),
        _licenses.revoked_reason, unread(_licenses.released_at),
        _policies.stated,
        _check_ins.status, unread(_check_ins.last_at), unread(_devices.is_branched),
    )
    .join_from(table_of(IssuedLicense), table_of(Device), _devices.id == _issued.device_id)
    .join(table_of(License), _licenses.id == _issued.license_id)
    .outerjoin(table_of(PolicyVersion), IS_POLICY_OF_LICENSE)
    .outerjoin(table_of(CheckIn), (_check_ins.device_id == _devices.id) & (_check_ins.day == bindparam("day")))
    .where(is_member(_issued.digest, "digests"))
)  # fmt: skip


def _read(row: Any) -> Presented:
    (
        digest, issued_id, key_id, form, seal, device_id, text_hash, parts, has_place, license_id, code, source,
        activated_at, provisional_until, refused_reason, expires_at, grace_until, frozen_at, revoked_at, revoked_reason,
        released_at, policy, told_today, last_at, is_branched,
    ) = row  # fmt: skip
    return Presented(
        digest, issued_id, key_id, form=form, seal=seal, device_id=device_id, text_hash=text_hash, parts=parts,
        device_has_place=bool(has_place),
        license_id=license_id, code=code, source=source, activated_at=moment(activated_at),
        provisional_until=moment(provisional_until), refused_reason=refused_reason,
        expires_at=moment(expires_at), grace_until=moment(grace_until), frozen_at=moment(frozen_at),
        revoked_at=moment(revoked_at), revoked_reason=revoked_reason,
        released_at=moment(released_at), policy=policy, told_today=told_today,
        last_at=moment(last_at), is_branched=bool(is_branched),
    )  # fmt: skip


def read_parts(presented: Presented) -> HashedParts:
    """Return the hashed parts of a device."""
    parts: HashedParts = document(presented.parts)
    return parts


_SEEN_AGAIN = (
    update(table_of(CheckIn))
    .where(_check_ins.day == bindparam("of_day"), is_member(_check_ins.device_id, "of_devices"))
    .values(
        last_at=bindparam("last_at"),
        count=_check_ins.count + 1,
        status=bindparam("status"),
        lease_until=bindparam("lease_until"),
        client_version=bindparam("client_version"),
    )
)

_ids = listed("ids")
_DELETE_CHECK_INS = delete(table_of(CheckIn)).where(
    is_member(_check_ins.device_id, "ids"), _check_ins.day < bindparam("before")
)
_DELETE_LICENSE_DAYS = delete(table_of(LicenseDay)).where(
    is_member(_license_days.license_id, "ids"), _license_days.day < bindparam("before")
)


def presented(session: Session, digests: Sequence[str], day: date) -> dict[str, Presented]:
    """Return, by digest, the license and the device of license strings."""
    parameters = {"digests": json.dumps(list(dict.fromkeys(digests))), "day": day}
    found = [_read(row) for row in execute(session, _PRESENTED, parameters).all()]
    return {row.digest: row for row in found}


def seen_again(
    session: Session, device_ids: Sequence[str], *, day: date, told: Mapping[str, Any], now: datetime
) -> None:
    """Note one further check-in of devices that have checked in today and get the same answer."""
    ordered = json.dumps(sorted(device_ids))  # one order everywhere: no deadlocks
    execute(session, _SEEN_AGAIN, {"of_day": day, "of_devices": ordered, "last_at": now, **told})


def seen_first(session: Session, rows: Sequence[Mapping[str, Any]]) -> set[str]:
    """Note the day's first check-in of devices; return the ids that no other transaction noted before."""
    return add_missing(session, CheckIn, "device_id", rows=sorted(rows, key=lambda row: str(row["device_id"])))


def first_use(session: Session, license_ids: Sequence[str], day: date) -> set[str]:
    """Note that licenses are used on a day; return those for which it was not noted yet."""
    rows = [{"license_id": license_id, "day": day} for license_id in sorted(set(license_ids))]
    return add_missing(session, LicenseDay, "license_id", rows=rows)


_LAST_MOMENT = (
    select(_check_ins.last_at)
    .where(_check_ins.device_id == _ids.c.value, _check_ins.day <= bindparam("by"))
    .order_by(_check_ins.day.desc())
    .limit(1)
)
_LAST_MOMENTS = select(_ids.c.value, unread(_LAST_MOMENT.scalar_subquery()))
_A_DAY = timedelta(days=1)  # days are those of a zone, which may be ahead


def last_moments(session: Session, device_ids: Sequence[str], /, *, now: datetime) -> dict[str, datetime]:
    """Return when devices checked in last, on whichever day that has come: one seek for each.

    Days that are to come were written by a clock that was ahead.
    """
    asked = {"ids": json.dumps(list(device_ids)), "by": (now + _A_DAY).date()}
    found = execute(session, _LAST_MOMENTS, asked).all()
    return {device_id: at for device_id, last_at in found if (at := moment(last_at)) is not None}


def last_contacts_of(session: Session, device_ids: Sequence[str]) -> dict[str, CheckIn]:
    """Return the last day of contact of each of these devices: one seek for each, however long they were here."""
    last_day = select(func.max(_check_ins.day)).where(_check_ins.device_id == _devices.id).scalar_subquery()
    last = select(_devices.id, last_day.label("day")).where(_devices.id.in_(device_ids)).subquery()
    same = (col(CheckIn.device_id) == last.c.id) & (col(CheckIn.day) == last.c.day)
    return {row.device_id: row for row in session.scalars(select(CheckIn).join(last, same))}


@dataclass(frozen=True)
class OldDays:
    """What a look found: who has days to delete, and where the next look goes on; None at the end."""

    ids: Sequence[str]
    after: str | None


def devices_with_old_days(session: Session, *, after: str, before: date) -> OldDays:
    """Look at the next devices: one seek for each in the key of the days, however many days there are."""
    return _with_old_days(session, _devices.id, _check_ins.device_id, day=_check_ins.day, after=after, before=before)


def licenses_with_old_days(session: Session, *, after: str, before: date) -> OldDays:
    """Look at the next licenses, as :func:`devices_with_old_days`."""
    return _with_old_days(
        session, _licenses.id, _license_days.license_id, day=_license_days.day, after=after, before=before
    )


def _with_old_days(session: Session, of: Any, key: Any, day: Any, after: str, before: date) -> OldDays:
    old = select(func.count()).where(key == of, day < before).scalar_subquery()
    looked = session.execute(select(of, old.label("old")).where(of > after).order_by(of).limit(SLICE)).all()
    ids, rows = [], 0
    for found, count in looked:
        ids += [found] if count else []
        rows += count
        if rows >= SLICE:  # the rest at the next look: few rows in each transaction
            return OldDays(ids, found)
    return OldDays(ids, looked[-1][0] if len(looked) == SLICE else None)


def delete_device_days(session: Session, ids: Sequence[str], *, before: date) -> None:
    """Delete the days of these devices before a date."""
    execute(session, _DELETE_CHECK_INS, {"ids": json.dumps(ids), "before": before})


def delete_license_days(session: Session, ids: Sequence[str], *, before: date) -> None:
    """Delete the days of these licenses before a date."""
    execute(session, _DELETE_LICENSE_DAYS, {"ids": json.dumps(ids), "before": before})


_branches = table_of(DeviceBranch).c
_BRANCH_COLUMNS = (
    _branches.device_id, _branches.branch, _branches.family, unread(_branches.head), unread(_branches.since),
    unread(_branches.origin), unread(_branches.left_at), _branches.turns, unread(_branches.proven_at),
    unread(_branches.blessed_from), _branches.name, _branches.client_version, _branches.network,
)  # fmt: skip
_OF_DEVICES = select(*_BRANCH_COLUMNS).where(is_member(_branches.device_id, "ids"))
_FOR_UPDATE = _OF_DEVICES.order_by(_branches.device_id, _branches.branch).with_for_update()
_SAME = (_branches.device_id == bindparam("of_device"), _branches.branch == bindparam("of_branch"))
_DELETE_BRANCH = delete(table_of(DeviceBranch)).where(*_SAME)
_CHANGEABLE = ("family", "head", "left_at", "turns", "proven_at", "blessed_from", "name", "client_version", "network")
_GO_ON = (
    update(table_of(DeviceBranch))
    .where(is_member(_branches.device_id, "ids"), is_member(_branches.branch, "names"))
    .values(head=bindparam("head"))
)
_UPDATE_BRANCH = update(table_of(DeviceBranch)).where(*_SAME).values({name: bindparam(name) for name in _CHANGEABLE})


def branches_for_update(session: Session, device_ids: Sequence[str]) -> dict[str, dict[str, Branch]]:
    """Return what is remembered of devices, by device and branch, and keep it from others meanwhile."""
    return _by_device(execute(session, _FOR_UPDATE, {"ids": json.dumps(sorted(device_ids))}).all())


def branches_of(session: Session, device_ids: Sequence[str]) -> dict[str, dict[str, Branch]]:
    """Return what is remembered of devices, by device and branch."""
    return _by_device(execute(session, _OF_DEVICES, {"ids": json.dumps(sorted(device_ids))}).all())


def proven_devices(session: Session, *, license_id: str | None = None, limit: int) -> dict[str, str]:
    """Return devices with proven copies and their licenses, of one license or of all, the last proven first."""
    proven = select(_branches.device_id, _branches.license_id).where(_branches.proven_at.is_not(None))
    if license_id is not None:
        proven = proven.where(_branches.license_id == license_id)
    grouped = proven.group_by(_branches.device_id, _branches.license_id).order_by(func.max(_branches.proven_at).desc())
    return {row.device_id: row.license_id for row in session.execute(grouped.limit(limit))}


def _known(value: Any) -> datetime:
    """Read a moment of a column that is never null."""
    return cast(datetime, moment(value))


def _by_device(rows: Sequence[Any]) -> dict[str, dict[str, Branch]]:
    found: dict[str, dict[str, Branch]] = {}
    for row in rows:
        device_id, branch, family, head, since, origin, left_at, turns, proven_at, blessed_from, *caller = row
        found.setdefault(device_id, {})[branch] = Branch(
            branch, family, head=_known(head), since=_known(since), origin=_known(origin), left_at=moment(left_at),
            turns=turns, proven_at=moment(proven_at), blessed_from=moment(blessed_from), caller=Caller(*caller),
        )  # fmt: skip
    return found


class Remembered(NamedTuple):
    """What becomes of a device's branches, by id."""

    device_id: str
    license_id: str
    before: Mapping[str, Branch]
    after: Mapping[str, Branch]


def write_branches(session: Session, changes: Sequence[Remembered]) -> None:
    """Write what has changed of devices' branches; what another transaction added meanwhile stays."""
    ordered = sorted(changes, key=lambda one: one.device_id)  # one order everywhere: no deadlocks
    changed = [(one, branch) for one in ordered for id, branch in one.after.items() if one.before.get(id) != branch]
    new = [_row_of(one, branch) for one, branch in changed if branch.id not in one.before]
    kept = [(one, branch) for one, branch in changed if branch.id in one.before]
    again = [_row_of(one, branch) for one, branch in kept if not _only_went_on(one, branch)]
    _go_on(session, [(one.device_id, branch) for one, branch in kept if _only_went_on(one, branch)])
    gone = [{"of_device": one.device_id, "of_branch": id} for one in changes for id in one.before.keys() - one.after]
    add_missing(session, DeviceBranch, "branch", rows=new)
    if again:
        keys = [{"of_device": row["device_id"], "of_branch": row["branch"]} for row in again]
        values = [{name: row[name] for name in _CHANGEABLE} for row in again]
        execute(session, _UPDATE_BRANCH, [key | value for key, value in zip(keys, values, strict=True)])
    if gone:
        execute(session, _DELETE_BRANCH, gone)


def _only_went_on(one: Remembered, branch: Branch) -> bool:
    return replace(one.before[branch.id], head=branch.head) == branch


def _go_on(session: Session, branches: Sequence[tuple[str, Branch]]) -> None:
    """Write the new heads of branches of which nothing else has changed: one statement for all of a batch.

    It names devices and branches, not pairs of them. Names of branches are random, and a head that is too young only
    keeps a check-in from being compared.
    """
    heads: dict[datetime, list[tuple[str, Branch]]] = {}
    for one in branches:
        heads.setdefault(one[1].head, []).append(one)
    for head, ones in heads.items():
        named = {"ids": json.dumps([device for device, _ in ones]), "names": json.dumps([one.id for _, one in ones])}
        execute(session, _GO_ON, {"head": head, **named})


def _row_of(one: Remembered, branch: Branch) -> dict[str, Any]:
    return {
        "device_id": one.device_id,
        "branch": branch.id,
        "license_id": one.license_id,
        "family": branch.family,
        "head": branch.head,
        "since": branch.since,
        "origin": branch.origin,
        "left_at": branch.left_at,
        "turns": branch.turns,
        "proven_at": branch.proven_at,
        "blessed_from": branch.blessed_from,
        "name": branch.caller.name,
        "client_version": branch.caller.version,
        "network": branch.caller.network,
    }


def prune_branches(session: Session, *, before: datetime) -> int:
    """Delete branches that were last in use before a moment; return how many."""
    return delete_slice(session, DeviceBranch, col(DeviceBranch.head) < before)
