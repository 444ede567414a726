"""The revocation list in the database: written in the transaction of the change, read for its signed text.

Adding to the list locks its head until the commit, after every other lock and before the audit's. So numbers have no
gaps, and a published list never lacks a change with a lower number. ``lists`` decides what the list says of a change
and how it is signed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, case, func, insert, select, update
from sqlmodel import Session, col

from licsrv import audit
from licsrv.audit import Cause
from licsrv.errors import InvalidRequestError
from licsrv.licensing import store
from licsrv.licensing.issuing import issuing
from licsrv.licensing.revocation import lists
from licsrv.licensing.revocation.lists import Action, Change, Edition
from licsrv.licensing.tables import IssuedLicense, License, RevocationChange, RevocationHead
from licsrv.platform.db import execute, is_member, table_of

_changes, _heads = table_of(RevocationChange), table_of(RevocationHead)
_HEAD = select(_heads).where(_heads.c.id == 1)
_LOCKED_HEAD = _HEAD.with_for_update()
_MOVE_HEAD = (
    update(_heads).where(_heads.c.id == 1).values(number=bindparam("new_number"), changed_at=bindparam("moved_at"))
)
_LISTED = (
    select(_changes.c.entry, _changes.c.action)
    .where(is_member(_changes.c.entry, "entries"))
    .order_by(_changes.c.number)
)
_AFTER = (
    select(
        _changes.c.number,
        _changes.c.entry,
        _changes.c.action,
        # Compared by the database: reading a moment for each of 100,000 rows costs more than all the rest.
        case((_changes.c.ends_at <= bindparam("over_before"), 1), else_=0).label("is_over"),
    )
    .where(_changes.c.number > bindparam("after"))
    .order_by(_changes.c.number)
)

LEAP = 1_000_000
"""How far a list's number moves after a restore: further than changes can have been made since any backup."""


@dataclass(frozen=True)
class Head:
    """The end of the list: the number of its last change, and when that was."""

    number: int
    changed_at: datetime | None


def list_license(session: Session, license: License, *, now: datetime) -> None:
    """Put a license on the list, with everything that was handed out for it. Doing it again changes nothing."""
    list_licenses(session, [license], now=now)


def list_licenses(session: Session, licenses: Sequence[License], *, now: datetime) -> None:
    """Put licenses on the list, with a few statements for all of them; see :func:`list_license`."""
    ends: dict[str, list[datetime | None]] = {license.id: [license.expires_at] for license in licenses}
    for row in store.claims_of_licenses(session, list(ends)):
        ends[row.license_id].append(issuing.end_of(row.claims))
    entries = {lists.license_entry(license_id): _last(moments) for license_id, moments in ends.items()}
    _record(session, entries, Action.ADD, now=now)


def unlist_licenses(session: Session, licenses: Sequence[License], *, now: datetime) -> None:
    """Take licenses off the list; what single devices gave back stays on it."""
    entries = {lists.license_entry(license.id): None for license in licenses}
    _record(session, entries, Action.REMOVE, now=now)


def list_given_back(session: Session, device_ids: Sequence[str], *, now: datetime) -> int:
    """Put what devices were handed out on the list, as far as it has not ended; it is never handed out again.

    Returns how many strings and files they had still to give.
    """
    texts = {row.id: row.claims for row in store.give_back_issued(session, device_ids, now)}
    _record(session, _running(texts, now), Action.ADD, now=now)
    return len(texts)


def list_called_back(session: Session, texts: Mapping[str, str], *, now: datetime) -> None:
    """Put texts on the list, as far as they have not ended; they are never handed out again.

    Args:
        texts: Their claims as they are kept, by id.
    """
    if not texts:
        return
    store.call_back(session, list(texts), now=now)
    _record(session, _running(texts, now), Action.ADD, now=now)


def _running(texts: Mapping[str, str], now: datetime) -> dict[str, datetime | None]:
    """Return the entries of those that have not ended, with their ends."""
    ends = {issued_id: issuing.end_of(claims) for issued_id, claims in texts.items()}
    return {
        lists.string_entry(issued_id): ends_at
        for issued_id, ends_at in ends.items()
        if ends_at is None or ends_at > now
    }


def _last(moments: Sequence[datetime | None]) -> datetime | None:
    """Return the last of several ends; None when one of them never comes."""
    known = [moment for moment in moments if moment is not None]
    return max(known) if len(known) == len(moments) else None


def _record(session: Session, entries: Mapping[str, datetime | None], action: Action, *, now: datetime) -> None:
    """Write the changes that make a difference: an entry is added when it is not listed, removed when it is."""
    if not entries:
        return
    number = execute(session, _LOCKED_HEAD).one().number
    listed = _listed(session, entries)
    wanted = [entry for entry in sorted(entries) if (entry in listed) is (action is Action.REMOVE)]
    rows = [
        {"number": number + place, "entry": entry, "action": str(action), "ends_at": entries[entry], "at": now}
        for place, entry in enumerate(wanted, start=1)
    ]
    if rows:
        execute(session, insert(_changes), rows)
        execute(session, _MOVE_HEAD, {"new_number": number + len(rows), "moved_at": now})


def _listed(session: Session, entries: Iterable[str]) -> set[str]:
    rows = execute(session, _LISTED, {"entries": json.dumps(list(entries))}).all()
    last = {row.entry: row.action for row in rows}
    return {entry for entry, action in last.items() if action == Action.ADD}


def leap(session: Session, *, cause: Cause, now: datetime) -> int:
    """Move the number of the list far ahead and return it; for the time after an older backup was put back.

    A client may hold a list of a number that is handed out a second time now, and would take later changes for known.
    """
    number: int = execute(session, _LOCKED_HEAD).one().number + LEAP
    execute(session, _MOVE_HEAD, {"new_number": number, "moved_at": now})
    detail = {"number": number}
    audit.record(session, audit.Action.REVOCATIONS_MOVED, subject="revocations", cause=cause, detail=detail, now=now)
    return number


def is_listed(session: Session, entry: str) -> bool:
    """Whether an entry is on the list."""
    return entry in _listed(session, [entry])


def head(session: Session) -> Head:
    """Return the end of the list."""
    row = execute(session, _HEAD).one()
    return Head(row.number, row.changed_at)


def changes_of(session: Session, wanted: Edition) -> list[Change]:
    """Return every change that a list is made of, in order: those after the number that its reader has."""
    over_before = lists.over_before(wanted.issued_at)
    return list(map(Change._make, execute(session, _AFTER, {"after": wanted.since, "over_before": over_before})))


def latest_changes(session: Session, limit: int) -> list[RevocationChange]:
    """Return the newest changes first."""
    query = select(RevocationChange).order_by(col(RevocationChange.number).desc()).limit(limit)
    return list(session.scalars(query))


def count_listed(session: Session) -> int:
    """Return how many entries are on the list, those included that a whole list leaves out after their end."""
    query = select(_changes.c.action, func.count()).group_by(_changes.c.action)
    counts: dict[str, int] = dict(tuple(row) for row in session.execute(query))
    return counts.get(Action.ADD, 0) - counts.get(Action.REMOVE, 0)


def count_given_back(session: Session, license_id: str) -> int:
    """Return how many strings and files of a license its devices gave back with their places."""
    query = select(func.count()).where(
        col(IssuedLicense.license_id) == license_id, col(IssuedLicense.given_back_at).is_not(None)
    )
    return session.scalar(query) or 0


def require_known(found: Head, since: int) -> None:
    """Refuse the number of a list that there has never been.

    Raises:
        InvalidRequestError: It is higher than ours.
    """
    if since > found.number:
        raise InvalidRequestError(
            f"The revocation list has {found.number} for its highest number.",
            action="Ask for the whole list, without since.",
            number=found.number,
        )


def edition(found: Head, *, since: int, issuer: str, now: datetime) -> Edition:
    """Return which list is meant by the number that its reader has.

    Raises:
        InvalidRequestError: There has never been a list of this number.
    """
    require_known(found, since)
    return Edition(issuer, found.number, since, issued_at=lists.issued_at(found.changed_at, now))
