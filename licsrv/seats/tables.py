"""Columns of seats: one row for each running program, one for each that waits, one for each replica that lives."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, text
from sqlmodel import Field, SQLModel

_IS_HELD = text("ended_at IS NULL")
_IS_ENDED = text("ended_at IS NOT NULL")


class Seat(SQLModel, table=True):
    """A program's seat on a license.

    ``session`` and ``holder`` are keyed hashes; programs of one holder share a seat. It lapses at ``until`` and is held
    until ``ended_at`` is set: then it was given back, freed by staff, or taken by another program after it lapsed.
    ``seconds`` is how long it lasts without renewal. No index contains ``until``, so that a renewal writes no index.
    """

    __tablename__ = "seats"
    __table_args__ = (
        Index("uq_seats_held", "license_id", "device_id", "session", unique=True, sqlite_where=_IS_HELD,
              postgresql_where=_IS_HELD),
        Index("ix_seats_ended", "ended_at", sqlite_where=_IS_ENDED, postgresql_where=_IS_ENDED),
        {"sqlite_with_rowid": False},
    )  # fmt: skip

    id: str = Field(primary_key=True, max_length=23)
    license_id: str = Field(max_length=23)
    device_id: str = Field(max_length=23)
    session: str = Field(max_length=32)
    holder: str = Field(max_length=32)
    since: datetime
    until: datetime
    seconds: int
    borrowed_at: datetime | None = None
    borrowed_until: datetime | None = None
    ended_at: datetime | None = None


class Waiting(SQLModel, table=True):
    """A program that waits for a seat of a license; it leaves the line unless it asks again by ``until``."""

    __tablename__ = "seat_line"
    __table_args__ = ({"sqlite_with_rowid": False},)

    license_id: str = Field(primary_key=True, max_length=23)
    holder: str = Field(primary_key=True, max_length=32)
    device_id: str = Field(max_length=23)
    since: datetime
    until: datetime


class Presence(SQLModel, table=True):
    """When a replica was last alive, by its own clock."""

    __tablename__ = "seat_presence"
    __table_args__ = ({"sqlite_with_rowid": False},)

    replica: str = Field(primary_key=True, max_length=16)
    noted_at: datetime
