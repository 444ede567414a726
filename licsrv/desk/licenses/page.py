"""The license page: what a license is and may do now, its devices, a year of use, the marketplace's view of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo

from sqlmodel import Session

from licsrv.desk.licenses import showing, store
from licsrv.desk.licenses.answers import (
    ActionOffered,
    CompareAnswer,
    DevicesAnswer,
    DifferenceShown,
    LicensePage,
    UsageAnswer,
    UsedDay,
)
from licsrv.desk.licenses.showing import View
from licsrv.errors import LicenseNotFoundError
from licsrv.licensing import fingerprints
from licsrv.licensing import store as licensing
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.tables import License
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.reconciliation import store as differences
from licsrv.marketplace.reconciliation.store import Filter
from licsrv.platform import paging
from licsrv.platform.paging import Window
from licsrv.words import licenses as words
from licsrv.words.names import name_of
from licsrv.words.sentences import Sentence, joined

FIRST_DEVICES = 50
_YEAR = timedelta(days=365)
_DIFFERENCES = 20


def license_of(session: Session, name: str) -> License:
    """Return the license of an id or a code.

    Raises:
        LicenseNotFoundError: There is none.
    """
    name = name.strip()
    license = None if "\x00" in name else licensing.license_by_code(session, name) or session.get(License, name)
    if license is None:
        raise LicenseNotFoundError(
            f"No license has the code or id {name!r}.", action="`licsrv licenses list TEXT` finds it by its beginning."
        )
    return license


def locked_license(session: Session, name: str) -> License:
    """Return the license of an id or a code, locked until the end of the transaction.

    Raises:
        LicenseNotFoundError: There is none.
    """
    found = license_of(session, name)
    session.expire(found)
    return licensing.license_by_id_for_update(session, found.id) or found


def page(
    session: Session,
    name: str,
    *,
    view: View,
    offered: Callable[[License, datetime], list[ActionOffered]],
    device_info: str | None = None,
    keyring: Keyring | None = None,
) -> LicensePage:
    """Return the page of a license.

    Args:
        offered: Returns the actions that it can offer.
        device_info: A pasted fingerprint, with which each device is compared; hashed here, never kept.

    Raises:
        LicenseNotFoundError: There is no such license.
        InvalidRequestError: The fingerprint is none.
    """
    license = license_of(session, name)
    given = _hashed(device_info, keyring)
    product = licensing.product(session, license.product_id)
    devices = store.first_devices(session, license.id, FIRST_DEVICES)
    lines = showing.device_lines(session, devices, given)
    if given is not None:
        lines.sort(key=lambda line: -line.match.agreeing if line.match else 0)
    offers = offered(license, view.now)
    return LicensePage(
        license=showing.facts(license, product, view),
        product=showing.product(product),
        devices=lines,
        devices_total=store.count_devices(session, license.id),
        marketplace=showing.marketplace_view(marketplace.view(session, license.id)),
        differences=_differences(session, license),
        actions=[one.action for one in offers],
        offers=offers,
    )


def _hashed(device_info: str | None, keyring: Keyring | None) -> HashedParts | None:
    if device_info is None or keyring is None:
        return None
    return fingerprints.hash_parts(fingerprints.parse(device_info), key=keyring.device_key)


def _differences(session: Session, license: License) -> list[DifferenceShown]:
    which = Filter(is_dismissed=None, license_id=license.id)
    found = differences.differences(session, which, limit=_DIFFERENCES)
    return [showing.difference(row, code) for row, code in found]


def devices(session: Session, name: str, window: Window) -> DevicesAnswer:
    """Return a page of a license's devices, in the order in which they came.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    license = license_of(session, name)
    after = window.after[0] if window.after is not None else ""
    rows = store.devices_after(session, license.id, after, window.fetched)
    lines = {line.id: line for line in showing.device_lines(session, rows)}
    made = paging.page_of(rows, window, keys=lambda row: (row.id,), item=lambda row: lines[row.id])
    return DevicesAnswer(items=made.items, next=made.next)


def usage(session: Session, name: str, *, zone: tzinfo, now: datetime) -> UsageAnswer:
    """Return how many devices used a license on each day of the last year, in the marketplace's days.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    license = license_of(session, name)
    last = now.astimezone(zone).date()
    first = last - _YEAR
    days = store.days_of_use(session, license.id, first, last)
    return UsageAnswer(first_day=first, last_day=last, days=[UsedDay(day=day, devices=count) for day, count in days])


def compared(session: Session, name: str, *, view: View) -> CompareAnswer:
    """Return a license beside what the marketplace said when it was asked last, with what differs.

    Raises:
        LicenseNotFoundError: There is no such license.
    """
    license = license_of(session, name)
    product = licensing.product(session, license.product_id)
    theirs = showing.marketplace_view(marketplace.view(session, license.id))
    found = [one for one in _differences(session, license) if one.dismissed_at is None]
    return CompareAnswer(
        license=showing.facts(license, product, view),
        marketplace=theirs,
        differences=found,
        says=_says(found, is_known=theirs is not None),
    )


def _says(found: list[DifferenceShown], *, is_known: bool) -> Sentence:
    if found:
        return words.DIFFERS.filled(kinds=joined(name_of("difference", one.kind) for one in found))
    return words.AGREES if is_known else words.UNKNOWN_THERE
