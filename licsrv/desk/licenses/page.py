"""The license page: what a license is and may do now, its devices, a year of use, the marketplace's view of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from itertools import islice

from sqlmodel import Session

from licsrv.audit import Action, count_by_actor
from licsrv.desk import names
from licsrv.desk.audit import answers as audit
from licsrv.desk.deliveries import answers as deliveries
from licsrv.desk.licenses import copies, seats, showing, store
from licsrv.desk.licenses.answers import (
    ActionOffered,
    CompareAnswer,
    DeviceLine,
    DevicesAnswer,
    LicenseDossier,
    LicenseFactsShown,
    LicensePage,
    MovesShown,
    OrderShown,
    UsageAnswer,
    UsedDay,
)
from licsrv.desk.products import answers as products
from licsrv.desk.reconciliation import answers as reconciliation
from licsrv.desk.reconciliation.answers import DifferenceShown
from licsrv.desk.view import View
from licsrv.licensing import fingerprints, lifecycle
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.lifecycle import Status
from licsrv.licensing.tables import Device, License
from licsrv.marketplace import store as marketplace
from licsrv.platform import paging
from licsrv.platform.paging import Window
from licsrv.words import licenses as words
from licsrv.words.names import name_of
from licsrv.words.sentences import Sentence, joined

FIRST_DEVICES = 50
_YEAR = timedelta(days=365)
_MOVES = timedelta(days=30)
_DIFFERENCES = 20
_COPIED = 50
_LAST_CHANGES = 8
_EVERY = 1_000_000


def page(
    session: Session,
    name: str,
    *,
    view: View,
    offered: Callable[[License, datetime], list[ActionOffered]],
    device_info: str | None = None,
    keyring: Keyring | None = None,
    most_devices: int = FIRST_DEVICES,
) -> LicensePage:
    """Return the page of a license.

    Args:
        offered: Returns the actions that it can offer.
        device_info: A pasted fingerprint, with which each device is compared; hashed here, never kept.

    Raises:
        LicenseNotFoundError: There is no such license.
        InvalidRequestError: The fingerprint is none.
    """
    license = names.license_of(session, name)
    given = _hashed(device_info, keyring)
    devices = store.first_devices(session, license.id, most_devices)
    lines = showing.device_lines(session, devices, given)
    if given is not None:
        lines.sort(key=lambda line: -line.match.agreeing if line.match else 0)
    offers = offered(license, view.now)
    return LicensePage(
        license=showing.facts(session, license, view),
        product=products.of_product(session, license.product_id, view.policies),
        devices=lines,
        devices_total=store.count_devices(session, license.id),
        seats=seats.of_license(session, license, view.policies, now=view.now),
        copied=copies.copied(session, license_id=license.id, limit=_COPIED),
        moves=_moves(session, license.id, view.now),
        marketplace=showing.marketplace_view(marketplace.view(session, license.id)),
        differences=reconciliation.of_license(session, license.id, most=_DIFFERENCES),
        actions=[one.action for one in offers],
        offers=offers,
    )


def _moves(session: Session, license_id: str, now: datetime) -> MovesShown:
    counts = count_by_actor(session, license_id, Action.DEVICE_RELEASED, since=now - _MOVES)
    by_programs = counts.pop("client", 0)
    return MovesShown(by_programs=by_programs, by_staff=sum(counts.values()))


def dossier(
    session: Session, name: str, *, view: View, offered: Callable[[License, datetime], list[ActionOffered]]
) -> LicenseDossier:
    """Return the page of a license with every device, its orders, its open deliveries and its last changes.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    shown = page(session, name, view=view, offered=offered, most_devices=_EVERY)
    license_id = shown.license.id
    orders = marketplace.orders(session, license_id)
    return LicenseDossier(
        **dict(shown),
        summary=shown.license.says.en,
        orders=[OrderShown.model_validate(row, from_attributes=True) for row in orders],
        deliveries=deliveries.oldest(session, states=deliveries.OPEN, license_id=license_id, limit=FIRST_DEVICES),
        audit=audit.entries(session, Window(_LAST_CHANGES), subject=license_id, action=None).items,
    )


def listed(
    session: Session, *, text: str | None, status: Status | None, limit: int, view: View
) -> list[LicenseFactsShown]:
    """Return the newest licenses: all, those that a text finds, those with a status.

    The status is derived, not stored, so rows are read until enough of them have it.
    """
    rows = store.newest(session, text)
    matching = (row for row in rows if status is None or lifecycle.status(row, view.now) is status)
    return showing.all_facts(session, list(islice(matching, limit)), view)


def _hashed(device_info: str | None, keyring: Keyring | None) -> HashedParts | None:
    if device_info is None or keyring is None:
        return None
    return fingerprints.hash_parts(fingerprints.parse(device_info), key=keyring.device_key)


def devices(session: Session, name: str, window: Window) -> DevicesAnswer:
    """Return a page of a license's devices, in the order in which they came.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    license = names.license_of(session, name)
    after = window.after[0] if window.after is not None else ""
    rows = store.devices_after(session, license.id, after, limit=window.fetched)
    lines = {line.id: line for line in showing.device_lines(session, rows)}
    return DevicesAnswer.of(paging.page_of(rows, window, keys=lambda row: (row.id,), item=lambda row: lines[row.id]))


def device(session: Session, device_id: str) -> DeviceLine:
    """Return one device that there is."""
    return showing.device_lines(session, [session.get_one(Device, device_id)])[0]


def usage(session: Session, name: str, *, zone: tzinfo, now: datetime) -> UsageAnswer:
    """Return how many devices used a license on each day of the last year, in the marketplace's days.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    license = names.license_of(session, name)
    last = now.astimezone(zone).date()
    first = last - _YEAR
    days = store.days_of_use(session, license.id, first, last=last)
    return UsageAnswer(first_day=first, last_day=last, days=[UsedDay(day=day, devices=count) for day, count in days])


def compared(session: Session, name: str, *, view: View) -> CompareAnswer:
    """Return a license next to what the marketplace said when it was last asked, with what differs.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    license = names.license_of(session, name)
    theirs = showing.marketplace_view(marketplace.view(session, license.id))
    found = [
        one for one in reconciliation.of_license(session, license.id, most=_DIFFERENCES) if one.dismissed_at is None
    ]
    return CompareAnswer(
        license=showing.facts(session, license, view),
        marketplace=theirs,
        differences=found,
        says=_says(found, is_known=theirs is not None),
    )


def _says(found: list[DifferenceShown], *, is_known: bool) -> Sentence:
    if found:
        return words.DIFFERS.filled(kinds=joined(name_of("difference", one.kind) for one in found))
    return words.AGREES if is_known else words.UNKNOWN_THERE
