"""Columns of the reconciliation: its runs, and the differences that they found."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import JSON, Column, Index, Text
from sqlmodel import Field, SQLModel

_UNDER_WAY = Column("ended_at").is_(None)
_NOT_CLOSED = Column("closed_at").is_(None)


class ReconciliationRun(SQLModel, table=True):
    """One look at every live license. ``ended_at`` unset means that it is under way: there is one such row at most.

    ``cursor`` is the last license that was compared. ``owner`` works on it until ``lease_until``; ``waits_until`` says
    when the marketplace is tried again, ``failing_since`` since when it has not answered.
    """

    __tablename__ = "reconciliation_runs"

    id: str = Field(primary_key=True, max_length=23)
    started_by: str = Field(max_length=100)
    night: date | None = Field(default=None, unique=True)
    started_at: datetime
    ended_at: datetime | None = None
    state: str = Field(max_length=10)
    note: str = Field(default="", max_length=500)
    cursor: str = Field(default="", max_length=23)
    total: int = 0
    compared: int = 0
    found: int = 0
    vanished: int = 0
    failures: int = 0
    failing_since: datetime | None = None
    waits_until: datetime | None = None
    owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = None

    __table_args__ = (
        Index(
            "uq_reconciliation_runs_under_way",
            "state",
            unique=True,
            sqlite_where=_UNDER_WAY,
            postgresql_where=_UNDER_WAY,
        ),
    )


class Difference(SQLModel, table=True):
    """Something in which a license differs from the marketplace's word; of each kind a license has one at most.

    ``word`` is all that the marketplace said of the license when it was asked at ``asked_at``. ``closed_at`` set means
    that it is over: repaired where ``closed_by`` names a person, else it had vanished at the next comparison.
    """

    __tablename__ = "reconciliation_differences"

    id: str = Field(primary_key=True, max_length=23)
    license_id: str = Field(foreign_key="licenses.id", max_length=23, index=True)
    kind: str = Field(max_length=10)
    ours: str = Field(sa_column=Column(Text, nullable=False))
    theirs: str = Field(sa_column=Column(Text, nullable=False))
    explained: str = Field(max_length=255)
    word: dict[str, object] = Field(sa_column=Column(JSON, nullable=False))
    asked_at: datetime
    found_at: datetime
    dismissed_at: datetime | None = None
    dismissed_by: str | None = Field(default=None, max_length=100)
    closed_at: datetime | None = None
    closed_by: str | None = Field(default=None, max_length=100)
    reason: str = Field(default="", max_length=500)

    __table_args__ = (
        Index(
            "uq_reconciliation_differences_kind",
            "license_id",
            "kind",
            unique=True,
            sqlite_where=_NOT_CLOSED,
            postgresql_where=_NOT_CLOSED,
        ),
    )
