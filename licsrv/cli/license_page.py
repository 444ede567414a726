"""The license page at the terminal: everything that is known of one license."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from licsrv.cli import details, seats, terminal
from licsrv.cli.terminal import Column
from licsrv.desk.audit.answers import Entry
from licsrv.desk.deliveries.answers import Delivery
from licsrv.desk.licenses.answers import DeviceLine, LicenseDossier, LicenseFactsShown, ViewShown
from licsrv.desk.products.answers import ProductShown
from licsrv.platform import moments

DEVICES = (
    Column("Id"),
    Column("Name", flexible=True),
    Column("Last contact (UTC)"),
    Column("Last status", styled=True),
    Column("Place", flexible=True),
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


def render(page: LicenseDossier, now: datetime) -> None:
    """Print the page for people."""
    terminal.show_heading(page.license.code, page.license.status)
    terminal.say(page.summary)
    terminal.say("")
    terminal.show_facts(_facts(page.license, page.product, now))
    if page.marketplace is not None:
        _render_marketplace(page.license, page.marketplace, now)
    terminal.show_table(DEVICES, [device_row(one) for one in page.devices], title="Devices")
    if page.seats is not None:
        terminal.say("")
        seats.render(page.seats)
    if page.moves.by_programs or page.moves.by_staff:
        moves = page.moves
        terminal.say(f"Places given back in 30 days: {moves.by_programs} by programs, {moves.by_staff} by staff.")
    orders = [(one.order_id, one.order_line_id, one.scene, moments.short(one.at)) for one in page.orders]
    terminal.show_table(_ORDERS, orders, title="Orders")
    terminal.show_table(_DELIVERIES, [_delivery(one) for one in page.deliveries], title="Still to be reported")
    terminal.show_table(_AUDIT, [_entry(one) for one in page.audit], title="Last changes")


def _facts(license: LicenseFactsShown, product: ProductShown | None, now: datetime) -> Sequence[tuple[str, object]]:
    return [
        ("License", license.id),
        ("Product", _product(product) if product is not None else license.product_id),
        ("Customer", license.customer),
        ("Sold", _sale(license)),
        ("Test license", "yes" if license.is_test else ""),
        ("Activated", moments.both(license.activated_at, now)),
        ("Expires", moments.both(license.expires_at, now) or "never"),
        ("Grace until", moments.both(license.grace_until, now)),
        ("Updates until", moments.both(license.maintenance_until, now)),
        ("Frozen", moments.both(license.frozen_at, now)),
        ("Refused", license.refused_reason),
        ("Revoked", _revocation(license, now)),
        ("Released", moments.both(license.released_at, now)),
    ]


def _sale(license: LicenseFactsShown) -> str:
    where = license.sold.en
    order = f", order {license.order_id}" if license.order_id else ""
    return f"{where}{order}" + (f", amount {license.amount}" if license.amount else "")


def _product(product: ProductShown) -> str:
    features = ", ".join(product.features)
    return f"{product.product_id} “{product.name}”" + (f" with {features}" if features else "")


def _revocation(license: LicenseFactsShown, now: datetime) -> str:
    if license.revoked_at is None:
        return ""
    return f"{moments.both(license.revoked_at, now)} by {license.revoked_by}: “{license.revoked_reason}”"


def _render_marketplace(license: LicenseFactsShown, theirs: ViewShown, now: datetime) -> None:
    rows = [
        ("Status", license.status, theirs.status),
        ("Expires", moments.full(license.expires_at) or "never", moments.full(theirs.expires_at) or "not said"),
    ]
    terminal.show_table(_VIEWS, rows, title=f"Asked the marketplace {moments.both(theirs.asked_at, now)}")


def device_row(one: DeviceLine) -> list[object]:
    """Return a device as a row of a table."""
    return [
        one.id,
        one.name,
        moments.short(one.last_contact_at) or "never",
        one.last_status,
        "held" if one.has_place else f"given back {moments.short(one.released_at)}",
        one.client_version,
        moments.short(one.first_seen_at),
    ]


def _delivery(one: Delivery) -> list[object]:
    return [one.id, one.kind, one.state, one.attempts, moments.short(one.due_at), one.last_error]


def _entry(one: Entry) -> list[object]:
    words = details.in_brief(one.detail)
    return [moments.short(one.at), one.actor, one.action, "; ".join(filter(None, (one.reason, words)))]
