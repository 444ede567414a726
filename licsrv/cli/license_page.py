"""Everything that is known of one license, on one page: what support looks at when somebody calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from licsrv.audit.tables import AuditEntry
from licsrv.cli import documents, moments, queries, terminal
from licsrv.cli.terminal import Column
from licsrv.desk.licenses import sentences
from licsrv.heartbeats import store as heartbeats
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import lifecycle, origins, store
from licsrv.licensing.places import limit
from licsrv.licensing.tables import Device, License, Product
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.tables import LicenseOrder, MarketplaceView
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow

_AUDIT_SHOWN = 8
_DEVICES = (
    Column("Id"),
    Column("Name", flexible=True),
    Column("Last contact (UTC)"),
    Column("Was told", styled=True),
    Column("Place"),
    Column("Version", flexible=True, from_width=terminal.WIDE),
    Column("First seen (UTC)", from_width=terminal.VERY_WIDE),
)
_ORDERS = (Column("Order"), Column("Line"), Column("Scene"), Column("Noted (UTC)"))
_VIEWS = (Column(""), Column("Here"), Column("Marketplace"))
_DELIVERIES = (
    Column("Id", number=True),
    Column("Kind"),
    Column("State", styled=True),
    Column("Tries", number=True),
    Column("Due (UTC)"),
    Column("Last error", flexible=True),
)
_AUDIT = (Column("When (UTC)"), Column("Who"), Column("What"), Column("Why, and what changed", flexible=True))


@dataclass(frozen=True)
class Page:
    """A license with all that belongs to it, at one moment."""

    license: License
    product: Product | None
    places: int
    devices: Sequence[Device]
    contacts: Mapping[str, CheckIn]
    orders: Sequence[LicenseOrder]
    view: MarketplaceView | None
    deliveries: Sequence[OutboxRow]
    audit: Sequence[AuditEntry]
    now: datetime

    def document(self) -> documents.Document:
        """Return the page as JSON."""
        code = self.license.code
        return {
            "summary": summary(self.license, places=self.places, now=self.now),
            "license": documents.license(self.license, places=self.places, now=self.now),
            "product": documents.product(self.product) if self.product else None,
            "marketplace": documents.view(self.view) if self.view else None,
            "orders": [documents.order(row) for row in self.orders],
            "devices": [documents.device(row, self.contacts.get(row.id)) for row in self.devices],
            "deliveries": [documents.delivery(row, code=code) for row in self.deliveries],
            "audit": [documents.audit_entry(row) for row in self.audit],
        }


def gather(session: Session, name: str, *, default_places: int, now: datetime) -> Page:
    """Read everything that is known of the license of a code or an id.

    Raises:
        LicenseNotFoundError: There is none.
    """
    license = queries.license_named(session, name)
    product = store.product(session, license.product_id)
    page = Page(
        license=license,
        product=product,
        places=limit(license, product, default=default_places),
        devices=store.devices(session, license.id),
        contacts=heartbeats.last_contacts(session, license.id),
        orders=marketplace.orders(session, license.id),
        view=marketplace.view(session, license.id),
        deliveries=queries.deliveries(session, (State.WAITING, State.PARKED), key=license.id),
        audit=queries.audit_entries(session, subject=license.id, action=None, limit=_AUDIT_SHOWN),
        now=now,
    )
    session.expunge_all()
    return page


def summary(license: License, *, places: int, now: datetime) -> str:
    """Return one sentence on what the license is and may do now. Pure."""
    return sentences.license_is(license, places_taken=license.places_taken, places=places, now=now).en


def render(page: Page) -> None:
    """Print the page for people."""
    license, now = page.license, page.now
    terminal.show_heading(license.code, str(lifecycle.status(license, now)))
    terminal.say(summary(license, places=page.places, now=now))
    terminal.say("")
    terminal.show_facts(_facts(page))
    _render_marketplace(page)
    _render_tables(page)


def _facts(page: Page) -> list[tuple[str, object]]:
    license, now = page.license, page.now
    return [
        ("License", license.id),
        ("Product", _product(page)),
        ("Customer", license.customer),
        ("Sold", _sale(license)),
        ("Test license", "yes" if license.is_test else ""),
        ("Activated", moments.both(license.activated_at, now)),
        ("Expires", moments.both(license.expires_at, now) or "never"),
        ("Grace until", moments.both(license.grace_until, now)),
        ("Updates until", moments.both(license.maintenance_until, now)),
        ("Frozen", moments.both(license.frozen_at, now)),
        ("Refused", license.refused_reason),
        ("Revoked", _tombstone(license, now)),
        ("Released", moments.both(license.released_at, now)),
    ]


def _sale(license: License) -> str:
    where = origins.of(license.source).sold.en
    order = f", order {license.order_id}" if license.order_id else ""
    return f"{where}{order}" + (f", amount {license.amount}" if license.amount else "")


def _product(page: Page) -> str:
    if page.product is None:
        return page.license.product_id
    features = ", ".join(page.product.features)
    return f"{page.product.product_id} “{page.product.name}”" + (f" with {features}" if features else "")


def _tombstone(license: License, now: datetime) -> str:
    if license.revoked_at is None:
        return ""
    return f"{moments.both(license.revoked_at, now)} by {license.revoked_by}: “{license.revoked_reason}”"


def _render_marketplace(page: Page) -> None:
    view = page.view
    if view is None:
        return
    rows = [
        ("Status", str(lifecycle.status(page.license, page.now)), view.status),
        ("Expires", moments.full(page.license.expires_at) or "never", moments.full(view.expires_at) or "not said"),
    ]
    terminal.show_table(_VIEWS, rows, title=f"Asked the marketplace {moments.both(view.asked_at, page.now)}")


def _render_tables(page: Page) -> None:
    if page.devices:
        devices = [_device(row, page.contacts.get(row.id)) for row in page.devices]
        terminal.show_table(_DEVICES, devices, title="Devices")
    if page.orders:
        orders = [(row.order_id, row.order_line_id, row.scene, moments.short(row.at)) for row in page.orders]
        terminal.show_table(_ORDERS, orders, title="Orders")
    if page.deliveries:
        terminal.show_table(_DELIVERIES, [_delivery(row) for row in page.deliveries], title="Still to be told")
    if page.audit:
        terminal.show_table(_AUDIT, [_entry(row) for row in page.audit], title="Last changes")


def _device(row: Device, contact: CheckIn | None) -> list[object]:
    return [
        row.id,
        row.name,
        moments.short(contact.last_at) if contact else "never",
        contact.status if contact else "",
        "held" if row.released_at is None else f"given back {moments.short(row.released_at)}",
        row.client_version,
        moments.short(row.first_seen_at),
    ]


def _delivery(row: OutboxRow) -> list[object]:
    return [row.id, row.kind, row.state, row.attempts, moments.short(row.due_at), row.last_error]


def _entry(row: AuditEntry) -> list[object]:
    words = documents.in_brief(documents.read_json(row.detail))
    return [moments.short(row.at), row.actor, row.action, "; ".join(filter(None, (row.reason, words)))]
