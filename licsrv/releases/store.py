"""The SQL of the releases room; nothing is decided here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Text, bindparam, cast, exists, func, or_, select, update
from sqlmodel import Session, SQLModel, col

from licsrv.licensing.lifecycle import LicenseFacts
from licsrv.licensing.tables import Device, IssuedLicense, License, Product
from licsrv.platform.db import add_missing, execute, table_of
from licsrv.releases import rules
from licsrv.releases.rules import MaintainedLicense
from licsrv.releases.tables import Release, ReleaseProduct

_products, _releases = table_of(ReleaseProduct), table_of(Release)
_licenses, _devices = table_of(License).c, table_of(Device).c
_issued, _described = table_of(IssuedLicense).c, table_of(Product).c

# Every program that starts may ask for a newer version, so the statements for it are made once (docs/performance.md).
_PRESENTED = (
    select(
        _issued.key_id,
        _issued.seal,
        _issued.id.label("issued_id"),
        _issued.license_id,
        _issued.form,
        _issued.digest,
        _devices.id.label("device_id"),
        _devices.released_at.label("place_released_at"),
        _licenses.product_id,
        _described.name.label("product_name"),
        _described.signed_as,
        _described.former_names,
        _products.c.maintenance_months,
        _licenses.created_at,
        _licenses.activated_at,
        _licenses.provisional_until,
        _licenses.refused_reason,
        _licenses.expires_at,
        _licenses.grace_until,
        _licenses.maintenance_until,
        _licenses.frozen_at,
        _licenses.revoked_at,
        _licenses.revoked_reason,
        _licenses.released_at,
    )
    .join_from(table_of(IssuedLicense), table_of(Device), _devices.id == _issued.device_id)
    .join(table_of(License), _licenses.id == _issued.license_id)
    .outerjoin(table_of(Product), _described.product_id == _licenses.product_id)
    .outerjoin(_products, _products.c.product_id == _licenses.product_id)
    .where(_issued.digest == bindparam("digest"))
)
# A list of names is kept as JSON; a name in quotes, as JSON writes it, is one of them and not a part of one.
_IS_NAMED = or_(
    _described.name == bindparam("name"),
    _described.signed_as == bindparam("name"),
    func.replace(cast(_described.former_names, Text), bindparam("quoted"), "") != cast(_described.former_names, Text),
)
_WITH_VERSIONS = (
    select(_products)
    .where(
        or_(
            _products.c.product_id == bindparam("name"),
            _products.c.product_id.in_(select(_described.product_id).where(_IS_NAMED)),
        )
    )
    .where(exists().where(_releases.c.product_id == _products.c.product_id))
    .order_by(_products.c.product_id)
)
_RELEASE = select(_releases).where(_releases.c.id == bindparam("release_id"))
_OF_A_CANDIDATE = (
    col(Release.id),
    col(Release.version),
    col(Release.channel),
    col(Release.platform),
    col(Release.minimum_version),
    col(Release.rollout_percent),
    col(Release.published_at),
)


class LicenseOfProduct(MaintainedLicense, Protocol):
    """A license of which the product is known."""

    @property
    def product_id(self) -> str:
        """The product as the marketplace numbers it."""


class Presented(LicenseFacts, LicenseOfProduct, Protocol):
    """The license and the device behind a license string, and what is said of the license's product."""

    @property
    def key_id(self) -> str:
        """The key that signed the string."""

    @property
    def seal(self) -> str | None:
        """The seal of the string's row."""

    @property
    def device_id(self) -> str:
        """The device that the string was issued to."""

    @property
    def place_released_at(self) -> datetime | None:
        """Since when the device's place is free."""

    @property
    def product_name(self) -> str | None:
        """The product's name, where it is described."""

    @property
    def signed_as(self) -> str | None:
        """What its licenses sign in place of its id."""

    @property
    def former_names(self) -> Sequence[str] | None:
        """What it was called before; None where it is not described."""

    @property
    def maintenance_months(self) -> int | None:
        """For how long after its activation a license of the product gets new versions."""


class ProductWithVersions(Protocol):
    """How a product that ever published a version numbers and maintains its versions."""

    @property
    def product_id(self) -> str:
        """The product as the marketplace numbers it."""

    @property
    def version_scheme(self) -> str:
        """How it numbers its versions."""

    @property
    def maintenance_months(self) -> int | None:
        """For how long after its activation a license gets new versions; None: as long as it lasts."""

    @property
    def change_number(self) -> int:
        """What grows with every change of what its clients are offered."""


def presented(session: Session, digest: str) -> Presented | None:
    """Return the license and the device of a license string; None where we did not issue it."""
    row: Presented | None = execute(session, _PRESENTED, {"digest": digest}).one_or_none()
    return row


def sealed_values(row: Any) -> Sequence[object]:
    """Return what the seal of a presented string's row covers: ``licensing.keyring.ISSUED_COLUMNS``."""
    return row.issued_id, row.license_id, row.device_id, row.form, row.digest, row.key_id


def maintenance_limit(session: Session, license: LicenseOfProduct) -> datetime | None:
    """Return what a license says of the releases that it covers; None where neither it nor the product has a rule."""
    months = maintenance_months(session, license.product_id)
    if months is None and license.maintenance_until is None:
        return None
    return rules.maintenance_end(license, months)


def maintenance_months(session: Session, product_id: str) -> int | None:
    """Return for how long after its activation a license of a product gets new versions; None: no rule is set."""
    query = select(col(ReleaseProduct.maintenance_months)).where(col(ReleaseProduct.product_id) == product_id)
    return session.scalars(query).one_or_none()


def product(session: Session, product_id: str) -> ReleaseProduct | None:
    """Return how a product numbers its versions, where anything was said of it."""
    return session.get(ReleaseProduct, product_id)


def products_with_versions(session: Session, name: str) -> Sequence[ProductWithVersions]:
    """Return the products with this id or name that ever published a version, in a fixed order."""
    rows: Sequence[ProductWithVersions] = execute(session, _WITH_VERSIONS, _named(name)).all()
    return rows


def products_named(session: Session, name: str) -> Sequence[str]:
    """Return the ids of the products that are described under a name."""
    query = select(_described.product_id).where(_IS_NAMED).order_by(_described.product_id)
    found: Sequence[str] = execute(session, query, _named(name)).scalars().all()
    return found


def _named(name: str) -> dict[str, str]:
    # What is between two names of a list would be found in every list; nothing is found in none.
    return {"name": name, "quoted": json.dumps(name) if name.strip(", ") else ""}


def is_known(session: Session, product_id: str) -> bool:
    """Whether anything was said of a product with this id."""
    rows: tuple[type[SQLModel], ...] = (Product, ReleaseProduct)
    return any(session.get(model, product_id) is not None for model in rows)


def candidates(session: Session, product_id: str) -> Sequence[Any]:
    """Return of every version of a product that is not withdrawn what decides whether it is offered, first come first.

    Versions are mostly published in their own order, so sorting them is cheap.
    """
    query = select(*_OF_A_CANDIDATE).where(col(Release.product_id) == product_id, col(Release.withdrawn_at).is_(None))
    return session.execute(query.order_by(col(Release.id))).all()


def release_row(session: Session, release_id: str) -> Any:
    """Return the row of a published version that is there."""
    return execute(session, _RELEASE, {"release_id": release_id}).one()


def release(session: Session, release_id: str) -> Release | None:
    """Return a published version."""
    return session.get(Release, release_id)


def releases(
    session: Session,
    *,
    product_id: str | None = None,
    channel: str | None = None,
    platform: str | None = None,
    withdrawn: bool = True,
    limit: int | None = None,
) -> Sequence[Release]:
    """Return published versions, the latest publication first; ``withdrawn`` False leaves those out."""
    query = select(Release).order_by(col(Release.published_at).desc(), col(Release.id).desc()).limit(limit)
    for column, wanted in ((Release.product_id, product_id), (Release.channel, channel), (Release.platform, platform)):
        if wanted is not None:
            query = query.where(col(column) == wanted)
    if not withdrawn:
        query = query.where(col(Release.withdrawn_at).is_(None))
    return session.scalars(query).all()


def product_for_update(session: Session, product_id: str) -> ReleaseProduct:
    """Return a product, locked until the end of the transaction; it is made where nothing was said of it yet.

    Everything that changes what clients are offered begins here, so changes of one product follow each other.
    """
    row = {"product_id": product_id, "version_scheme": "pep440", "maintenance_months": None, "change_number": 0}
    add_missing(session, ReleaseProduct, "product_id", rows=[row])
    query = select(ReleaseProduct).where(col(ReleaseProduct.product_id) == product_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one()


def note_change(session: Session, product_id: str) -> None:
    """Make caches of a product's versions read them again."""
    counted = _products.c.change_number + 1
    execute(session, update(_products).where(_products.c.product_id == product_id).values(change_number=counted))


def add_release(session: Session, row: Mapping[str, Any]) -> bool:
    """Write a version; return whether it is written: the same one is not written twice."""
    return bool(add_missing(session, Release, "id", rows=[row]))
