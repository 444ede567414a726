"""Columns of the outbox."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, Column, Index, Text
from sqlmodel import Field, SQLModel

_WAITING = Column("settled_at").is_(None)


class OutboxRow(SQLModel, table=True):
    """One thing to deliver. ``ordering_key`` keeps deliveries of one license in the order of their ids."""

    __tablename__ = "outbox"

    id: int | None = Field(default=None, primary_key=True)
    kind: str = Field(max_length=40)
    ordering_key: str = Field(max_length=64)
    payload: dict[str, object] = Field(sa_column=Column(JSON, nullable=False))
    state: str = Field(max_length=10)
    attempts: int = 0
    due_at: datetime
    created_at: datetime
    claimed_by: str | None = Field(default=None, max_length=64)
    claimed_until: datetime | None = None
    settled_at: datetime | None = None
    last_error: str | None = Field(default=None, sa_column=Column(Text))

    __table_args__ = (
        Index("ix_outbox_claim", "kind", "due_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_outbox_waiting", "created_at", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_outbox_order", "ordering_key", "id", sqlite_where=_WAITING, postgresql_where=_WAITING),
        Index("ix_outbox_settled", "state", "settled_at"),
        Index("ix_outbox_key", "ordering_key", "id"),
    )
