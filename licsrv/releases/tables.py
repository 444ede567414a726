"""Columns of the releases room. A version that was published stays for ever: withdrawing it is a fact added to it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Column, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class ReleaseProduct(SQLModel, table=True):
    """How a product numbers its versions, and how long a license of it may take new ones.

    ``change_number`` grows with every change of what the product's clients are offered: a cache of the list of its
    versions knows by it whether the list is still the one on disk.
    """

    __tablename__ = "release_products"

    product_id: str = Field(primary_key=True, max_length=128)
    version_scheme: str = Field(default="pep440", max_length=8)
    maintenance_months: int | None = None
    change_number: int = 0


class Release(SQLModel, table=True):
    """One version of a product for one channel and platform.

    ``version_key`` is the version in the one spelling of its scheme (1.0 and 1.0.0 are the same version of PEP 440), so
    that the same version cannot be published twice.
    """

    __tablename__ = "releases"
    __table_args__ = (UniqueConstraint("product_id", "channel", "platform", "version_key", name="uq_releases_version"),)

    id: str = Field(primary_key=True, max_length=23)
    product_id: str = Field(foreign_key="release_products.product_id", max_length=128)
    version: str = Field(max_length=64)
    version_key: str = Field(max_length=128)
    channel: str = Field(max_length=32)
    platform: str = Field(max_length=64)
    minimum_version: str | None = Field(default=None, max_length=64)
    rollout_percent: int
    notes_zh: str = Field(default="", sa_column=Column(Text, nullable=False))
    notes_en: str = Field(default="", sa_column=Column(Text, nullable=False))
    url: str = Field(max_length=2048)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    sha256: str = Field(max_length=64)
    created_at: datetime
    created_by: str = Field(max_length=100)
    published_at: datetime
    withdrawn_at: datetime | None = None
    withdrawn_by: str | None = Field(default=None, max_length=100)
    withdrawn_reason: str | None = Field(default=None, max_length=500)
