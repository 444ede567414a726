"""Use cases of the vendor's people: publish a version, roll it out further, withdraw it, say how versions are numbered.

Each one locks the product first, notes what it did, and lets every process read the product's versions again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError
from licsrv.platform.ids import new_id
from licsrv.releases import publication as publications
from licsrv.releases import store, versions
from licsrv.releases.publication import Publication
from licsrv.releases.tables import Release, ReleaseProduct
from licsrv.releases.versions import Scheme, Version

LONGEST_MAINTENANCE = 1200  # months
Changes = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Which:
    """The versions meant: one number on every channel and platform, or on those named."""

    product_id: str
    version: str
    channel: str | None = None
    platform: str | None = None


@dataclass(frozen=True)
class ProductRules:
    """What is to be said of a product; None leaves it as it is. ``maintenance_months`` 0 takes the rule away."""

    scheme: Scheme | None = None
    maintenance_months: int | None = None


def product_meant(session: Session, name: str) -> str:
    """Return the id of the product that people mean: an id that is known here counts before a name.

    Raises:
        ConflictError: Several products have this name.
    """
    named = [] if store.is_known(session, name) else store.products_named(session, name)
    if len(named) > 1:
        raise ConflictError(f"{len(named)} products are called {name}.", action=f"Say which: {', '.join(named)}.")
    return named[0] if named else name


def publish(session: Session, publication: Publication, *, cause: Cause, now: datetime) -> Release:
    """Publish a version.

    Raises:
        InvalidRequestError: No client could use what is said of it.
        ConflictError: It was published for this channel and platform before, be it withdrawn or not.
    """
    product = store.product_for_update(session, publication.product_id)
    version = publications.require_sound(publication, Scheme(product.version_scheme))
    row = _row(publication, version, cause, now=now)

    if not store.add_release(session, row):
        raise ConflictError(
            f"Version {version.text} was published for {publication.channel} and {publication.platform} before.",
            action="A version's file never changes, not even after a withdrawal: publish it under a new number.",
        )
    store.note_change(session, product.product_id)
    detail = {name: row[name] for name in _AUDITED} | {"published_at": row["published_at"].isoformat()}
    audit.record(session, Action.RELEASE_PUBLISHED, subject=product.product_id, cause=cause, detail=detail, now=now)
    return _written(session, row["id"])


_AUDITED = ("id", "version", "channel", "platform", "minimum_version", "rollout_percent", "url", "size", "sha256")


def _row(publication: Publication, version: Version, cause: Cause, now: datetime) -> dict[str, Any]:
    # Whole seconds: the manifest says the moment so, and both must agree on what maintenance covers.
    published_at = (publication.published_at or now).replace(microsecond=0)
    return {
        "id": new_id(now),
        "product_id": publication.product_id,
        "version": version.text,
        "version_key": version.key,
        "channel": publication.channel,
        "platform": publication.platform,
        "minimum_version": publication.minimum_version.strip() if publication.minimum_version is not None else None,
        "rollout_percent": publication.rollout_percent,
        "notes_zh": publication.notes_zh,
        "notes_en": publication.notes_en,
        "url": publication.url,
        "size": publication.size,
        "sha256": publication.sha256,
        "created_at": now,
        "created_by": cause.actor,
        "published_at": published_at,
    }


def _written(session: Session, release_id: str) -> Release:
    row = store.release(session, release_id)
    if row is None:
        raise AssertionError  # it was written in this transaction
    return row


def withdraw(session: Session, which: Which, *, cause: Cause, now: datetime) -> Sequence[Release]:
    """Offer versions no longer; return those that were offered until now.

    They are kept with the reason. Older versions are offered again, but never to clients with a newer one.

    Raises:
        NotFoundError: There is no such version.
    """
    product, found = _find(session, which)
    offered = [release for release in found if release.withdrawn_at is None]
    for release in offered:
        release.withdrawn_at = now
        release.withdrawn_by = cause.actor
        release.withdrawn_reason = cause.reason
        session.add(release)
        _note(session, release, Action.RELEASE_WITHDRAWN, change={}, cause=cause, now=now)
    if offered:
        store.note_change(session, product.product_id)
    return offered


def roll_out(session: Session, which: Which, percent: int, *, cause: Cause, now: datetime) -> Sequence[Release]:
    """Offer versions to another share of the devices; return those for which this is a change.

    Raises:
        NotFoundError: There is no such version.
        ConflictError: It is withdrawn.
        InvalidRequestError: There is no such share.
    """
    if not 0 <= percent <= 100:
        raise InvalidRequestError("The roll-out is 0 to 100 per cent.")
    product, found = _find(session, which)
    offered = [release for release in found if release.withdrawn_at is None]
    if not offered:
        raise ConflictError(f"Version {which.version} is withdrawn.", action="Publish it under a new number.")
    changed = [release for release in offered if release.rollout_percent != percent]
    for release in changed:
        change = {"rollout_percent": {"before": release.rollout_percent, "after": percent}}
        release.rollout_percent = percent
        session.add(release)
        _note(session, release, Action.RELEASE_CHANGED, change=change, cause=cause, now=now)
    if changed:
        store.note_change(session, product.product_id)
    return changed


def _find(session: Session, which: Which) -> tuple[ReleaseProduct, Sequence[Release]]:
    """Return the versions meant, behind the lock of their product.

    Raises:
        NotFoundError: There are none.
    """
    if store.product(session, which.product_id) is None:
        raise NotFoundError(f"Nothing was published for {which.product_id}.", action=_LOOK)
    product = store.product_for_update(session, which.product_id)
    key = versions.parse(which.version, Scheme(product.version_scheme)).key
    every = store.releases(session, product_id=which.product_id, channel=which.channel, platform=which.platform)
    found = [release for release in every if release.version_key == key]
    if not found:
        raise NotFoundError(f"{which.product_id} has no version {which.version} there.", action=_LOOK)
    return product, found


_LOOK = "Look at the list of releases: `licsrv releases list`."


def _note(
    session: Session, release: Release, action: Action, change: Mapping[str, object], cause: Cause, now: datetime
) -> None:
    detail = {name: getattr(release, name) for name in ("id", "version", "channel", "platform")} | dict(change)
    audit.record(session, action, subject=release.product_id, cause=cause, detail=detail, now=now)


def set_rules(
    session: Session, product_id: str, wanted: ProductRules, *, cause: Cause, now: datetime
) -> tuple[ReleaseProduct, Changes]:
    """Say how a product numbers its versions and how long its licenses get new ones; return what changed.

    Raises:
        ConflictError: A version was published that the other numbering cannot read, or that it cannot tell apart.
        InvalidRequestError: The maintenance is too long.
    """
    months = wanted.maintenance_months
    if months is not None and not 0 <= months <= LONGEST_MAINTENANCE:
        raise InvalidRequestError(f"Maintenance is 1 to {LONGEST_MAINTENANCE} months.")
    product = store.product_for_update(session, product_id)
    before = {name: getattr(product, name) for name in ("version_scheme", "maintenance_months")}
    if wanted.scheme is not None and wanted.scheme != product.version_scheme:
        _renumber(session, product_id, wanted.scheme)
        product.version_scheme = str(wanted.scheme)
    if months is not None:
        product.maintenance_months = months or None

    changes = {
        name: {"before": value, "after": getattr(product, name)}
        for name, value in before.items()
        if value != getattr(product, name)
    }
    if changes:
        session.add(product)
        session.flush()
        store.note_change(session, product_id)
        detail = {"product_id": product_id, **changes}
        audit.record(session, Action.PRODUCT_CHANGED, subject=product_id, cause=cause, detail=detail, now=now)
    return product, changes


def _renumber(session: Session, product_id: str, scheme: Scheme) -> None:
    """Read every version of a product in another way; all of them must be versions there too, and different ones."""
    taken = set()
    for release in store.releases(session, product_id=product_id):
        try:
            key = versions.parse(release.version, scheme).key
            if release.minimum_version is not None:
                versions.parse(release.minimum_version, scheme)
        except InvalidRequestError as error:
            raise ConflictError(f"Version {release.version} was published, and {scheme} cannot read it.") from error
        place = (release.channel, release.platform, key)
        if place in taken:
            raise ConflictError(f"Version {release.version} was published, and another one that {scheme} calls equal.")
        taken.add(place)
        release.version_key = key
        session.add(release)
