"""Columns of licensing. Rows hold facts; what a license is at a moment is worked out in ``lifecycle``, never stored."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import JSON, Column, Index, LargeBinary, Text, UniqueConstraint, false, text
from sqlmodel import Field, SQLModel

from licsrv.licensing.bindings import LEARNED_DAYS, LEARNED_PARTS
from licsrv.platform.db import Folded, LookAlike

_NOT_RELEASED = Column("released_at").is_(None)
_IS_ENDLESS = text("expires_at IS NULL AND released_at IS NULL")
_IS_CURRENT = text("replaced_at IS NULL")
_IS_LOWERED = Column("lowered_at").is_not(None)
_IS_FROZEN = Column("frozen_at").is_not(None)


class Product(SQLModel, table=True):
    """What the vendor says of a product as the marketplace (or the vendor) numbers it.

    ``second_signature`` asks for an ML-DSA-65 signature in its license files; ``deliver_as`` says in which form a
    license of it goes to the marketplace: ``string``, ``file``, or ``auto`` for a string where it fits. ``one_off``:
    sold once, so that its licenses may be without an end. How its licenses are used is its policy. ``signed_as`` is
    what its licenses sign in place of its id, ``former_names`` what it was called before (``naming``).
    """

    __tablename__ = "products"

    product_id: str = Field(primary_key=True, max_length=128)
    name: str = Field(max_length=64)
    features: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    second_signature: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    deliver_as: str = Field(default="auto", max_length=8, sa_column_kwargs={"server_default": "auto"})
    one_off: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    signed_as: str | None = Field(default=None, max_length=128)
    former_names: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))

    # Now in the policy, and read by the version before this one only; dropped with the next step of the schema.
    device_limit: int | None = None
    amount_is_places: bool = True
    learned_parts: int = Field(default=LEARNED_PARTS, sa_column_kwargs={"server_default": str(LEARNED_PARTS)})
    learned_days: int = Field(default=LEARNED_DAYS, sa_column_kwargs={"server_default": str(LEARNED_DAYS)})
    weak_binding: bool = Field(default=False, sa_column_kwargs={"server_default": false()})


class PolicyVersion(SQLModel, table=True):
    """What a product's policy states, and stated before; rows are only ever added, and marked as replaced.

    Version 0 states nothing and has no row. ``restores`` names the version that an undo brought back.
    """

    __tablename__ = "policy_versions"
    __table_args__ = (
        Index("uq_policy_versions_current", "product_id", unique=True, sqlite_where=_IS_CURRENT,
              postgresql_where=_IS_CURRENT),
    )  # fmt: skip

    product_id: str = Field(primary_key=True, max_length=128)
    version: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    stated: str = Field(sa_column=Column(Text, nullable=False))
    at: datetime
    actor: str = Field(max_length=100)
    reason: str = Field(default="", max_length=500)
    restores: int | None = None
    replaced_at: datetime | None = None


class License(SQLModel, table=True):
    """One purchased entitlement.

    ``freeze_stated_at`` and ``expiry_stated_at`` hold the moment at which the authority (not we) stated the fact, so
    that a late message cannot undo a newer one; ``facts_changed_at`` is our own clock at the last such change.
    ``grace_until`` is the vendor's word: until then it may be used although it has expired. ``lowered_at``: when it
    last came to have more in use than was bought, or may have. ``features``: its own, None for its product's.
    """

    __tablename__ = "licenses"
    __table_args__ = (
        Index("ix_licenses_ending", "expires_at", sqlite_where=_NOT_RELEASED, postgresql_where=_NOT_RELEASED),
        Index("ix_licenses_endless", "product_id", sqlite_where=_IS_ENDLESS, postgresql_where=_IS_ENDLESS),
        Index("ix_licenses_lowered", "lowered_at", sqlite_where=_IS_LOWERED, postgresql_where=_IS_LOWERED),
        Index("ix_licenses_frozen", "frozen_at", sqlite_where=_IS_FROZEN, postgresql_where=_IS_FROZEN),
    )

    id: str = Field(primary_key=True, max_length=23)
    code: str = Field(max_length=64, unique=True)
    source: str = Field(max_length=16)
    product_id: str = Field(default="", max_length=128)
    order_id: str = Field(default="", max_length=64, index=True)
    order_line_id: str = Field(default="", max_length=64)
    customer: str = Field(default="", max_length=200)
    amount: int | None = None
    lowered_at: datetime | None = None
    device_limit: int | None = None
    features: list[str] | None = Field(default=None, sa_column=Column(JSON(none_as_null=True)))
    places_taken: int = 0
    is_test: bool = False
    created_at: datetime
    activated_at: datetime | None = None
    provisional_until: datetime | None = None
    refused_reason: str | None = Field(default=None, max_length=255)
    expires_at: datetime | None = None
    expiry_stated_at: datetime | None = None
    maintenance_until: datetime | None = None
    grace_until: datetime | None = None
    frozen_at: datetime | None = None
    freeze_stated_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_by: str | None = Field(default=None, max_length=100)
    revoked_reason: str | None = Field(default=None, max_length=500)
    released_at: datetime | None = None
    facts_changed_at: datetime


class Device(SQLModel, table=True):
    """One machine on one license.

    ``parts`` holds keyed hashes by kind, ``text_hash`` that of the whole fingerprint as the device sent it when it last
    asked for its license; ``released_at`` set means that its place is free. What was issued before ``clock_reset_at``
    is not handed out again, because only a younger text sets the device's memory of the time.
    ``asked_at``: when it last asked for its license or about its devices; None where it has not since there is the
    column.
    ``is_weakly_bound``: its place is bound to an install identity. ``is_branched``: its check-ins forked, and the room
    of heartbeats remembers their branches.
    """

    __tablename__ = "devices"
    __table_args__ = (UniqueConstraint("license_id", "fingerprint", name="uq_devices_license_fingerprint"),)

    id: str = Field(primary_key=True, max_length=23)
    license_id: str = Field(foreign_key="licenses.id", max_length=23)
    fingerprint: str = Field(max_length=43, index=True)
    parts: dict[str, list[str]] = Field(sa_column=Column(JSON, nullable=False))
    text_hash: str = Field(default="", max_length=32)
    name: str = Field(default="", max_length=100)
    client_version: str = Field(default="", max_length=64)
    is_weakly_bound: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    is_branched: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    first_seen_at: datetime
    released_at: datetime | None = None
    clock_reset_at: datetime | None = None
    asked_at: datetime | None = None


class DevicePart(SQLModel, table=True):
    """One selective part of a device: the devices like a given one are found by index, however many there are."""

    __tablename__ = "device_parts"

    device_id: str = Field(primary_key=True, foreign_key="devices.id", max_length=23)
    part_hash: str = Field(primary_key=True, max_length=32)
    license_id: str = Field(max_length=23)

    __table_args__ = (
        Index("ix_device_parts_license_part", "license_id", "part_hash"),
        Index("ix_device_parts_part", "part_hash"),
    )


class LearnedPart(SQLModel, table=True):
    """A part that a device learned; its budget counts these rows."""

    __tablename__ = "learned_parts"

    id: str = Field(primary_key=True, max_length=23)
    device_id: str = Field(foreign_key="devices.id", max_length=23)
    part: str = Field(max_length=8)
    learned_at: datetime

    __table_args__ = (Index("ix_learned_parts_device", "device_id", "learned_at"),)


ALARMED = ""
"""In place of a hash: the texts of the device were an alarm on that day."""


class DeviceText(SQLModel, table=True):
    """What a device said of itself on a day (UTC), where that was not what it was registered with: a hash of it.

    A row with ``ALARMED`` in its place is no text.
    """

    __tablename__ = "device_texts"
    __table_args__ = ({"sqlite_with_rowid": False},)

    day: date = Field(primary_key=True)
    device_id: str = Field(primary_key=True, max_length=23)
    text_hash: str = Field(primary_key=True, max_length=43)
    license_id: str = Field(max_length=23)


class RefusedDevice(SQLModel, table=True):
    """How often a device of a license was refused on a day (UTC), and by which code.

    ``device`` is its id where it is known here, else its fingerprint; empty for those that are too many to be named.
    """

    __tablename__ = "refused_devices"
    __table_args__ = (Index("ix_refused_devices_last_at", "last_at"), {"sqlite_with_rowid": False})

    license_id: str = Field(primary_key=True, max_length=23)
    day: date = Field(primary_key=True)
    device: str = Field(primary_key=True, max_length=43)
    code: str = Field(primary_key=True, max_length=40)
    name: str = Field(default="", max_length=100)
    count: int
    last_at: datetime


class IssuedLicense(SQLModel, table=True):
    """One license string or file handed out; ``digest`` is how its bearer is recognised.

    ``second_signature`` is kept because it cannot be made again. ``given_back_at`` set means that its device gave its
    place back with it, or that it was called back: it is on the revocation list and is never handed out again.
    """

    __tablename__ = "issued_licenses"

    id: str = Field(primary_key=True, max_length=23)
    license_id: str = Field(foreign_key="licenses.id", max_length=23, index=True)
    device_id: str = Field(foreign_key="devices.id", max_length=23, index=True)
    form: str = Field(max_length=8)
    digest: str = Field(max_length=64, unique=True)
    key_id: str = Field(max_length=43)
    claims: str = Field(sa_column=Column(Text, nullable=False))
    issued_at: datetime
    given_back_at: datetime | None = None
    second_key_id: str | None = Field(default=None, max_length=43)
    second_signature: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    seal: str | None = Field(default=None, max_length=64)


class RevocationChange(SQLModel, table=True):
    """One step of the revocation list; rows are only ever added, numbered without gaps in the order of commits."""

    __tablename__ = "revocation_changes"
    __table_args__ = (Index("ix_revocation_changes_entry", "entry", "number"),)

    number: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    entry: str = Field(max_length=14)
    action: str = Field(max_length=6)
    ends_at: datetime | None = None
    at: datetime


class RevocationHead(SQLModel, table=True):
    """The end of the revocation list: one row, locked while a change is added."""

    __tablename__ = "revocation_head"

    id: int = Field(primary_key=True)
    number: int
    changed_at: datetime | None = None


# What people type is looked up whatever its case, by its beginning; a code also however it is spelled.
Index("ix_licenses_code_folded", Folded(License.__table__.c.code))  # type: ignore[attr-defined]
Index("ix_licenses_code_look_alike", LookAlike(License.__table__.c.code))  # type: ignore[attr-defined]
Index("ix_licenses_customer_folded", Folded(License.__table__.c.customer))  # type: ignore[attr-defined]
Index("ix_devices_name_folded", Folded(Device.__table__.c.name))  # type: ignore[attr-defined]
