"""Columns of the audit. Rows are only ever added."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel


class AuditEntry(SQLModel, table=True):
    """One change. ``seq``, ``hash`` and ``seal`` are given when the transaction is sealed, right before its commit.

    ``request_id`` is ours; ``client_request_id`` is what the caller named, if it named one.
    """

    __tablename__ = "audit_entries"

    id: int | None = Field(default=None, primary_key=True)
    seq: int | None = Field(default=None, unique=True)
    at: datetime
    actor: str = Field(max_length=100)
    action: str = Field(max_length=40)
    subject: str = Field(max_length=128, index=True)
    reason: str = Field(default="", sa_column=Column(Text, nullable=False))
    detail: str = Field(default="{}", sa_column=Column(Text, nullable=False))
    request_id: str = Field(default="", max_length=64)
    client_request_id: str | None = Field(default=None, max_length=64)
    hash: str | None = Field(default=None, max_length=64)
    seal: str | None = Field(default=None, max_length=64)

    __table_args__ = (
        Index(
            "ix_audit_entries_unsealed",
            "id",
            sqlite_where=Column("seq").is_(None),
            postgresql_where=Column("seq").is_(None),
        ),
    )


class AuditHead(SQLModel, table=True):
    """The end of the chain: one row, locked while entries are sealed."""

    __tablename__ = "audit_head"

    id: int = Field(primary_key=True)
    seq: int
    hash: str = Field(max_length=64)
    seal: str | None = Field(default=None, max_length=64)
