"""The SQL of the audit's lists."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlmodel import Session, col

from licsrv import audit
from licsrv.audit import Action
from licsrv.audit.tables import AuditEntry, AuditHead
from licsrv.desk.parameters import number_after
from licsrv.platform.paging import Window


def entries(session: Session, window: Window, *, subject: str | None, action: Action | None) -> Sequence[AuditEntry]:
    """Return audit entries, newest first: all, of one subject, of one action."""
    query = select(AuditEntry).where(col(AuditEntry.id) < number_after(window)).order_by(col(AuditEntry.id).desc())
    if subject is not None:
        query = query.where(col(AuditEntry.subject) == subject)
    if action is not None:
        query = query.where(col(AuditEntry.action) == action)
    return session.scalars(query.limit(window.fetched)).all()


def entries_after(session: Session, after_seq: int, limit: int) -> Sequence[AuditEntry]:
    """Return audit entries in the order of the chain."""
    query = select(AuditEntry).where(col(AuditEntry.seq) > after_seq).order_by(col(AuditEntry.seq)).limit(limit)
    return session.scalars(query).all()


def length(session: Session) -> int:
    """Return how many entries the audit's chain has."""
    return session.scalar(select(col(AuditHead.seq)).where(col(AuditHead.id) == 1)) or 0


def gap(session: Session) -> str | None:
    """Return what is missing from the audit's chain, without looking at what the entries say."""
    head = session.get(AuditHead, 1)
    last = session.execute(
        select(col(AuditEntry.seq), col(AuditEntry.hash)).order_by(col(AuditEntry.seq).desc().nulls_last()).limit(1)
    ).one_or_none()
    count, sealed = session.execute(select(func.count(), func.count(col(AuditEntry.seq)))).one()
    if head is None or last is None or (head.seq, head.hash) != (last.seq, last.hash) or sealed != head.seq:
        return "Entries of the audit were taken out or cut off; `licsrv audit verify` finds the first."
    if not audit.is_head_ours(session):
        return "The end of the audit has no valid seal; `licsrv audit verify` finds the first entry that is not ours."
    return None if count == sealed else f"{count - sealed} entries are outside the audit's chain."
