"""Published versions as API, console and command line show them."""

from __future__ import annotations

from datetime import datetime

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import Listing
from licsrv.desk.releases import store
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window
from licsrv.releases import rules
from licsrv.releases import store as releases_store
from licsrv.releases.tables import Release, ReleaseProduct
from licsrv.releases.versions import Scheme


class NotesShown(Body):
    """What is new in a version."""

    zh: str
    en: str


class ReleaseShown(Body):
    """A published version."""

    id: str
    product_id: str
    version: str
    channel: str
    platform: str
    url: str
    size: int
    sha256: str
    minimum_version: str | None
    rollout_percent: int
    notes: NotesShown
    state: str = Field(description="published, scheduled (its moment is to come) or withdrawn")
    published_at: datetime
    created_at: datetime
    created_by: str
    withdrawn_at: datetime | None
    withdrawn_by: str | None
    withdrawn_reason: str | None


class Releases(Listing[ReleaseShown]):
    """A page of published versions, the latest made first."""


class PublishedAnswer(Body):
    """The version that was published."""

    release: ReleaseShown
    is_described: bool = Field(description="whether the product is; else clients find it by this very id only")


class ChangedReleases(Body):
    """The versions that were changed; empty if no change was needed."""

    releases: list[ReleaseShown]


class RulesShown(Body):
    """How a product numbers its versions and who gets new ones."""

    product_id: str
    version_scheme: Scheme
    maintenance_months: int | None = Field(description="null: licenses get new versions as long as they last")


class RulesAnswer(Body):
    """The rules of a product; ``changed`` is false where they were so already."""

    changed: bool
    rules: RulesShown


def releases(session: Session, window: Window, *, product_id: str | None, now: datetime) -> Releases:
    """Return published versions, those withdrawn included."""
    rows = store.releases(session, window, product_id=product_id)
    return Releases.of(paging.page_of(rows, window, keys=lambda row: (row.id,), item=lambda row: shown(row, now)))


def shown(row: Release, now: datetime) -> ReleaseShown:
    """Return a version as it is at a moment."""
    notes = {"zh": row.notes_zh, "en": row.notes_en}
    return ReleaseShown.model_validate(row.model_dump() | {"notes": notes, "state": rules.state(row, now)})


def rules_of(session: Session, product_id: str) -> RulesShown:
    """Return the rules of a product; the defaults where none were set."""
    return rules_shown(releases_store.product(session, product_id) or ReleaseProduct(product_id=product_id))


def rules_shown(row: ReleaseProduct) -> RulesShown:
    """Return the rules of a product."""
    return RulesShown(
        product_id=row.product_id,
        version_scheme=Scheme(row.version_scheme),
        maintenance_months=row.maintenance_months,
    )
