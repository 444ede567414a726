"""Columns of the marketplace room: its messages, our answers, and how our calls to it fare."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, Index, Text, UniqueConstraint
from sqlmodel import Field, SQLModel


class CallbackNonce(SQLModel, table=True):
    """A nonce that was used with an access key: it counts once, on whichever replica (protocol §6.6)."""

    __tablename__ = "callback_nonces"
    __table_args__ = ({"sqlite_with_rowid": False},)

    digest: str = Field(primary_key=True, max_length=64)
    seen_at: datetime = Field(index=True)


class CallbackReceipt(SQLModel, table=True):
    """The answer given to a message that must not be carried out twice; a duplicate gets it again."""

    __tablename__ = "callback_receipts"
    __table_args__ = ({"sqlite_with_rowid": False},)

    digest: str = Field(primary_key=True, max_length=64)
    message: str = Field(max_length=255)
    answered_at: datetime = Field(index=True)


class CallbackRecord(SQLModel, table=True):
    """A callback as it came and as it was answered. The body of an unsigned one is not kept: anyone can send it."""

    __tablename__ = "callback_log"

    id: str = Field(primary_key=True, max_length=23)
    received_at: datetime
    is_signed: bool
    key_digest: str = Field(default="", max_length=12)
    activity: str = Field(default="", max_length=64)
    code: str = Field(default="", max_length=64, index=True)
    is_probe: bool = False
    result_code: str = Field(max_length=6)
    message: str = Field(sa_column=Column(Text, nullable=False))
    body: str = Field(default="", sa_column=Column(Text, nullable=False))
    body_bytes: int
    request_id: str = Field(default="", max_length=64)

    __table_args__ = (Index("ix_callback_log_signed", "is_signed", "id"),)


class LicenseOrder(SQLModel, table=True):
    """An order that touched a license: the first purchase and every renewal have an order of their own.

    ``ends_at`` is the end that its callback stated.
    """

    __tablename__ = "license_orders"
    __table_args__ = (
        Index("ix_license_orders_order", "order_id"),
        Index("ix_license_orders_line", "order_line_id"),
        {"sqlite_with_rowid": False},
    )

    license_id: str = Field(primary_key=True, max_length=23)
    order_id: str = Field(primary_key=True, max_length=64)
    order_line_id: str = Field(primary_key=True, max_length=64)
    scene: str = Field(primary_key=True, max_length=64)
    at: datetime
    ends_at: datetime | None = None


class Instance(SQLModel, table=True):
    """A license that the marketplace ordered from us: an order line has one, whatever arrives how often (§3.1)."""

    __tablename__ = "marketplace_instances"
    __table_args__ = (UniqueConstraint("order_id", "order_line_id", name="uq_marketplace_instances_order"),)

    code: str = Field(primary_key=True, max_length=64)
    order_id: str = Field(max_length=64)
    order_line_id: str = Field(default="", max_length=64)
    created_at: datetime


class OrderRecord(SQLModel, table=True):
    """What the marketplace said of an order line when it was last asked."""

    __tablename__ = "marketplace_orders"

    order_id: str = Field(primary_key=True, max_length=64)
    order_line_id: str = Field(primary_key=True, max_length=64)
    order_type: str = Field(max_length=32)
    charging_mode: str = Field(default="", max_length=32)
    product_id: str = Field(default="", max_length=128)
    amount: int | None = None
    expires_at: datetime | None = None
    placed_at: datetime | None = None
    asked_at: datetime


class Application(SQLModel, table=True):
    """An application for a license: one event and one device have one license, however often it is asked for (§3.6).

    ``sealed`` holds what the device said of itself, encrypted, while the license cannot be issued yet.
    """

    __tablename__ = "marketplace_applications"

    event_id: str = Field(primary_key=True, max_length=64)
    fingerprint: str = Field(primary_key=True, max_length=32)
    code: str = Field(max_length=64, index=True)
    effective_at: datetime
    expires_at: datetime | None = None
    applied_at: datetime
    issued_id: str | None = Field(default=None, max_length=23)
    sealed: str = Field(default="", sa_column=Column(Text, nullable=False))


class MarketplaceView(SQLModel, table=True):
    """What the marketplace said of a license when it was last asked."""

    __tablename__ = "marketplace_views"

    license_id: str = Field(primary_key=True, max_length=23)
    status: str = Field(max_length=16)
    expires_at: datetime | None = None
    asked_at: datetime
    answer: str = Field(sa_column=Column(Text, nullable=False))


class UnreadAnswer(SQLModel, table=True):
    """An answer about a license or an order that could not be read; gone when a later one can.

    ``subject`` is the license's code, or the order's number where there is no license; ``members`` are those members
    that could not be read.
    """

    __tablename__ = "marketplace_unread_answers"

    subject: str = Field(primary_key=True, max_length=64)
    members: str = Field(max_length=100)
    seen_at: datetime


class Gate(SQLModel, table=True):
    """How a key pair fares: authentication failures in a row, and until when nothing may be called."""

    __tablename__ = "marketplace_gates"

    key_pair: str = Field(primary_key=True, max_length=12)
    failures: int = 0
    paused_until: datetime | None = None
    reason: str = Field(default="", max_length=500)


class ProvisionalGrant(SQLModel, table=True):
    """A provisional license that was given, and from where it was asked for: keyed hashes of address and network."""

    __tablename__ = "marketplace_provisional_grants"

    license_id: str = Field(primary_key=True, max_length=23)
    address_hash: str = Field(max_length=32)
    network_hash: str = Field(max_length=32)
    granted_at: datetime = Field(index=True)


class CallUnderWay(SQLModel, table=True):
    """A call that has not ended; counted by all replicas, forgotten when its process died."""

    __tablename__ = "marketplace_calls"

    id: str = Field(primary_key=True, max_length=23)
    key_pair: str = Field(max_length=12, index=True)
    ends_at: datetime
