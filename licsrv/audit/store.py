"""Writing and checking the audit. A use case that changes something calls :func:`record` in the same transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, event, func, insert, select, update
from sqlmodel import Session, col

from licsrv.audit.entries import GENESIS, Action, Cause, Mark, canonical, entry_hash
from licsrv.audit.tables import AuditEntry, AuditHead
from licsrv.platform.db import execute, noted, seals_of, table_of
from licsrv.platform.seals import Seals

_PENDING = "licsrv.audit.pending"
_PAGE = 1000
_ENTRY, _END = "audit entry", "audit head"
_HEAD = select(table_of(AuditHead)).where(col(AuditHead.id) == 1).with_for_update()
_INSERT = insert(table_of(AuditEntry))
_MOVE_HEAD = (
    update(table_of(AuditHead))
    .where(col(AuditHead.id) == 1)
    .values(seq=bindparam("new_seq"), hash=bindparam("new_hash"), seal=bindparam("new_seal"))
)
_SEAL = (
    update(table_of(AuditEntry)).where(col(AuditEntry.seq) == bindparam("of_seq")).values(seal=bindparam("new_seal"))
)


def record(
    session: Session,
    action: Action,
    *,
    subject: str,
    cause: Cause,
    now: datetime,
    detail: Mapping[str, object] | None = None,
) -> None:
    """Note a change in the transaction that makes it; if that is rolled back, so is the note.

    Args:
        session: The transaction of the change.
        action: What was done.
        subject: The id of what it was done to.
        cause: Who did it and why.
        now: When.
        detail: Facts worth keeping, before and after; no secret and no raw device fact.
    """
    row = {
        "at": now,
        "actor": cause.actor,
        "action": str(action),
        "subject": subject,
        "reason": cause.reason,
        "detail": canonical(detail),
        "request_id": cause.request_id,
        "client_request_id": cause.client_request_id or None,
    }
    noted(session, _PENDING).append(row)


def seal(session: Session) -> None:
    """Write what this transaction recorded, chained to what was written before; happens right before its commit.

    The head row is locked until the commit, so entries of parallel transactions cannot take the same place. An entry
    put into the table by other means stays outside the chain, and :func:`verify` finds it. Onto a head that is not as
    this server left it, entries are chained without a seal: cutting the chain off does not become good by going on.
    """
    recorded = session.info.pop(_PENDING, [])
    if not recorded:
        return
    head = execute(session, _HEAD).one()
    seals = seals_of(session)
    if seals is not None and not _is_ours(head, seals):
        seals = None
    seq, last = head.seq, head.hash
    rows: list[dict[str, Any]] = []
    for row in recorded:
        seq += 1
        last = entry_hash(last, _fields(row, seq))
        rows.append(row | {"seq": seq, "hash": last, "seal": seals.make(_ENTRY, (last,)) if seals else None})
    execute(session, _INSERT, rows)
    end = seals.make(_END, (seq, last)) if seals else head.seal
    execute(session, _MOVE_HEAD, {"new_seq": seq, "new_hash": last, "new_seal": end})


@event.listens_for(Session, "before_commit")
def _seal_before_commit(session: Session) -> None:
    """Seal the entries before every commit, so that no change lacks its entry (a savepoint's end is no commit)."""
    if not session.in_nested_transaction():
        seal(session)


def _is_ours(head: Any, seals: Seals) -> bool:
    is_start = (head.seq, head.hash) == (0, GENESIS)
    return seals.believes(head.seal, _END, (head.seq, head.hash), is_start=is_start)


def is_head_ours(session: Session) -> bool:
    """Whether the end of the chain is as this server left it; also where nothing is sealed."""
    head = session.execute(select(table_of(AuditHead)).where(col(AuditHead.id) == 1)).one_or_none()
    seals = seals_of(session)
    return head is not None and (seals is None or _is_ours(head, seals))


def _fields(row: Mapping[str, Any], seq: int) -> Sequence[str]:
    named = row["client_request_id"]  # older entries were hashed without it
    return (
        str(seq),
        row["at"].isoformat(),
        row["actor"],
        row["action"],
        row["subject"],
        row["reason"],
        row["detail"],
        row["request_id"],
        *((named,) if named else ()),
    )


def verify(session: Session, noted: Mark | None = None) -> str | None:
    """Return the first thing wrong with the chain as a sentence, or None when every entry is as it was written.

    Args:
        session: What is read must be of one moment.
        noted: An entry and its hash as :func:`mark` reported them earlier. An old end with its seal can be put back;
            that the noted entry is still in the chain cannot be arranged.
    """
    seals = seals_of(session)
    expected, last, last_id = 0, GENESIS, 0
    for row in _sealed(session):
        expected += 1
        if row["seq"] != expected:
            return f"Entry {expected} is missing: the next one found is {row['seq']}."
        last = entry_hash(last, _fields(row, row["seq"]))
        if row["hash"] != last:
            return f"Entry {row['seq']} is not what was written."
        if seals is not None and not seals.believes(row["seal"], _ENTRY, (last,)):
            return f"Entry {row['seq']} has no valid seal: this server did not write it onto the entry before it."
        if row["id"] <= last_id:  # lists go by it: an entry could hide behind the others
            return f"Entry {row['seq']} is not in its place: its id is {row['id']}, after {last_id}."
        last_id = row["id"]
        if noted is not None and noted.seq == expected and noted.hash != last:
            return f"Entry {expected} is another one than was noted: the chain was rewritten."
    if noted is not None and noted.seq > expected:
        return f"The chain ends at entry {expected}, and entry {noted.seq} was noted: entries were cut off."
    if mark(session) != Mark(expected, last):
        return f"The chain ends at entry {expected}, and its head says otherwise: entries were cut off."
    if not is_head_ours(session):
        return f"The head of the chain at entry {expected} has no valid seal: entries were cut off or rewritten."
    return _unsealed(session)


def mark(session: Session) -> Mark | None:
    """Return the end of the chain, to be noted outside the database; None where the head is gone."""
    head = session.execute(select(table_of(AuditHead)).where(col(AuditHead.id) == 1)).one_or_none()
    return Mark(head.seq, head.hash) if head is not None else None


def missing(session: Session, noted: Sequence[Mark]) -> Mark | None:
    """Return the first of some noted ends that the audit no longer holds; None when it holds each."""
    for one in noted:
        found = session.scalar(select(col(AuditEntry.hash)).where(col(AuditEntry.seq) == one.seq))
        if found != one.hash and one != Mark(0, GENESIS):
            return one
    return None


def _unsealed(session: Session) -> str | None:
    """Return what is wrong with entries outside the chain: every transaction seals its own before its commit."""
    query = select(col(AuditEntry.id)).where(col(AuditEntry.seq).is_(None)).order_by(col(AuditEntry.id)).limit(1)
    found = session.scalar(query)
    return None if found is None else f"The entry with the id {found} is outside the chain: it was never sealed."


def _sealed(session: Session) -> Iterator[Any]:
    after = -1
    while True:
        page = (
            session.execute(
                select(table_of(AuditEntry))
                .where(col(AuditEntry.seq) > after)
                .order_by(col(AuditEntry.seq))
                .limit(_PAGE)
            )
            .mappings()
            .all()
        )
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1]["seq"]


def reseal(session: Session, after_seq: int, *, limit: int = _PAGE) -> int | None:
    """Seal entries behind a number as they are, and the head with the last; return the last number, None at the end.

    For a database that is older than its seals, or one whose key was lost: what is there is believed from then on.
    The head is locked first: what another transaction adds afterwards finds a sealed head, and is sealed itself.
    """
    seals = seals_of(session)
    if seals is None:
        return None
    head = execute(session, _HEAD).one()
    found = session.execute(
        select(col(AuditEntry.seq), col(AuditEntry.hash))
        .where(col(AuditEntry.seq) > after_seq).order_by(col(AuditEntry.seq)).limit(limit)
    ).all()  # fmt: skip
    if found:
        execute(session, _SEAL, [{"of_seq": row.seq, "new_seal": seals.make(_ENTRY, (row.hash,))} for row in found])
    if len(found) == limit:
        return int(found[-1].seq)
    _seal_head(session, head, seals=seals)
    return None


def reseal_head(session: Session) -> None:
    """Seal the end of the chain as it is."""
    seals = seals_of(session)
    if seals is not None:
        _seal_head(session, execute(session, _HEAD).one(), seals=seals)


def _seal_head(session: Session, head: Any, *, seals: Seals) -> None:
    end = seals.make(_END, (head.seq, head.hash))
    execute(session, _MOVE_HEAD, {"new_seq": head.seq, "new_hash": head.hash, "new_seal": end})


def moments(
    session: Session, subject: str, action: Action, *, actor: str, since: datetime, limit: int
) -> list[datetime]:
    """Return when an actor last did something to a subject, the newest first, with what this transaction recorded."""
    noted_now = noted(session, _PENDING)
    sought = {"subject": subject, "action": str(action), "actor": actor}
    pending = [row["at"] for row in reversed(noted_now) if all(row[name] == sought[name] for name in sought)]
    query = (
        select(col(AuditEntry.at))
        .where(*(getattr(AuditEntry, name) == value for name, value in sought.items()), col(AuditEntry.at) > since)
        .order_by(col(AuditEntry.id).desc())
        .limit(limit)
    )
    return [*pending, *session.scalars(query)][:limit]


def count_by_actor(session: Session, subject: str, action: Action, *, since: datetime) -> dict[str, int]:
    """Count how often something was done to a subject, by who did it."""
    query = (
        select(col(AuditEntry.actor), func.count())
        .where(col(AuditEntry.subject) == subject, col(AuditEntry.action) == str(action), col(AuditEntry.at) > since)
        .group_by(col(AuditEntry.actor))
    )
    return {row[0]: row[1] for row in session.execute(query)}


def entries(session: Session, *, subject: str | None = None, limit: int = 50) -> Sequence[AuditEntry]:
    """Return the newest entries first, of one subject or of all."""
    query = select(AuditEntry).order_by(col(AuditEntry.id).desc()).limit(limit)
    if subject is not None:
        query = query.where(col(AuditEntry.subject) == subject)
    return session.scalars(query).all()
