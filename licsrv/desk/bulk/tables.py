"""Columns of bulk work: jobs, and the rows of their lists."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, Index
from sqlmodel import Field, SQLModel

_UNDER_WAY = Column("ended_at").is_(None)


class BulkJob(SQLModel, table=True):
    """One action on a list of licenses.

    ``cursor`` is the number of the last row that was carried out; ``owner`` works on it until ``lease_until``.
    ``maker`` is the person behind ``created_by``, with any credential: they cannot approve it. ``terms``: as the API
    takes them.
    """

    __tablename__ = "bulk_jobs"

    id: str = Field(primary_key=True, max_length=23)
    action: str = Field(max_length=20)
    until: datetime | None = None
    terms: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    reason: str = Field(max_length=500)
    state: str = Field(max_length=10)
    created_at: datetime
    created_by: str = Field(max_length=100)
    maker: str = Field(max_length=100)
    total: int = 0
    licenses: int = 0
    upload: str = Field(default="", max_length=23)
    listed_at: datetime | None = None
    started_at: datetime | None = None
    decided_by: str | None = Field(default=None, max_length=100)
    decided_at: datetime | None = None
    decision: str = Field(default="", max_length=500)
    ended_at: datetime | None = None
    cursor: int = 0
    changed: int = 0
    owner: str | None = Field(default=None, max_length=64)
    lease_until: datetime | None = None

    __table_args__ = (
        Index("ix_bulk_jobs_under_way", "state", "id", sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY),
    )


class BulkRow(SQLModel, table=True):
    """One row of a job's list: what the line said, which license it is, what was planned and what became of it."""

    __tablename__ = "bulk_rows"
    __table_args__ = ({"sqlite_with_rowid": False},)

    job_id: str = Field(primary_key=True, foreign_key="bulk_jobs.id", max_length=23)
    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    line: int
    given: str = Field(max_length=128)
    license_id: str | None = Field(default=None, max_length=23)
    code: str = Field(default="", max_length=64)
    planned: str = Field(max_length=10)
    planned_why: str = Field(default="", max_length=200)
    outcome: str | None = Field(default=None, max_length=10)
    why: str = Field(default="", max_length=200)
    done_at: datetime | None = None
