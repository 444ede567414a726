"""Columns of support: what people noted about a license, and which they revoked one by one. Rows are only added."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, Text
from sqlmodel import Field, SQLModel


class SingleRevocation(SQLModel, table=True):
    """A license that a person revoked by itself; kept as long as it counts."""

    __tablename__ = "single_revocations"

    person: str = Field(primary_key=True, max_length=100)
    at: datetime = Field(primary_key=True)
    license_id: str = Field(primary_key=True, max_length=23)


class LicenseNote(SQLModel, table=True):
    """A note of a staff member about a license."""

    __tablename__ = "license_notes"

    id: str = Field(primary_key=True, max_length=23)
    license_id: str = Field(foreign_key="licenses.id", max_length=23)
    at: datetime
    author: str = Field(max_length=100)
    text: str = Field(sa_column=Column(Text, nullable=False))

    __table_args__ = (Index("ix_license_notes_license", "license_id", "id"),)
