"""Rows as support is shown them, each license with the sentence of what it is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import Session

from licsrv.desk.audit.answers import read_json
from licsrv.desk.licenses import sentences
from licsrv.desk.licenses.answers import (
    DeviceLine,
    LicenseFactsShown,
    LicenseLine,
    MatchShown,
    ViewShown,
)
from licsrv.desk.view import View
from licsrv.heartbeats import store as heartbeats
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import fingerprints, lifecycle, origins
from licsrv.licensing import store as licensing
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.places import limit
from licsrv.licensing.tables import Device, License
from licsrv.marketplace.tables import MarketplaceView
from licsrv.seats import store as seats


def license_lines(session: Session, licenses: Sequence[License], view: View) -> list[LicenseLine]:
    """Return licenses as a list shows them."""
    places = _places(session, licenses, view)
    return [LicenseLine.model_validate(_line(one, places[one.id], view.now)) for one in licenses]


@dataclass(frozen=True)
class Places:
    """How many places a license has, and how many are taken; where they float, seats."""

    bought: int
    taken: int
    is_floating: bool = False


def _places(session: Session, licenses: Sequence[License], view: View) -> dict[str, Places]:
    """Return the places of each license."""
    stated = licensing.policy_texts(session, {license.product_id for license in licenses})
    rules = {one.id: view.policies.shown(stated.get(one.product_id)).places for one in licenses}
    floating = [one.id for one in licenses if rules[one.id].floating]
    in_use = seats.taken(session, floating, now=view.now) if floating else {}
    return {
        one.id: Places(limit(one, rules[one.id]), in_use.get(one.id, 0), is_floating=True)
        if rules[one.id].floating
        else Places(limit(one, rules[one.id]), one.places_taken)
        for one in licenses
    }


def facts(session: Session, license: License, view: View) -> LicenseFactsShown:
    """Return everything that a license's row holds."""
    return all_facts(session, [license], view)[0]


def facts_of(license: License, places: Places, view: View) -> LicenseFactsShown:
    """Return what :func:`facts` does, of a license with so many places."""
    shown = {name: value for name, value in license.model_dump().items() if name in LicenseFactsShown.model_fields}
    shown |= _line(license, places, view.now)
    shown |= {
        "is_provisional": lifecycle.is_provisional(license, view.now),
        "reason": lifecycle.reason(license, view.now).en,
        "sold": origins.of(license.source).sold,
        "decided_elsewhere": [str(fact) for fact in origins.of(license.source).decides],
    }
    return LicenseFactsShown.model_validate(shown)


def all_facts(session: Session, licenses: Sequence[License], view: View) -> list[LicenseFactsShown]:
    """Return everything that the rows of licenses hold."""
    places = _places(session, licenses, view)
    return [facts_of(one, places[one.id], view) for one in licenses]


def _line(license: License, places: Places, now: datetime) -> dict[str, Any]:
    is_floating = places.is_floating
    says = sentences.license_is(
        license, places_taken=places.taken, places=places.bought, now=now, is_floating=is_floating
    )
    own = ("id", "code", "product_id", "customer", "order_id", "expires_at", "grace_until")
    shown = {name: getattr(license, name) for name in own}
    counted = {"floating": is_floating, "places": places.bought, "places_taken": places.taken}
    return shown | counted | {"status": str(lifecycle.status(license, now)), "says": says}


def device_lines(session: Session, devices: Sequence[Device], given: HashedParts | None = None) -> list[DeviceLine]:
    """Return devices with their last contact and, where a fingerprint is given, how each compares with it."""
    contacts = heartbeats.last_contacts_of(session, [device.id for device in devices])
    return [_device(device, contacts.get(device.id), given) for device in devices]


def _device(device: Device, contact: CheckIn | None, given: HashedParts | None) -> DeviceLine:
    return DeviceLine(
        id=device.id,
        license_id=device.license_id,
        name=device.name,
        client_version=(contact.client_version if contact else "") or device.client_version,
        known_parts=sorted(part for part, values in device.parts.items() if values),
        has_place=device.released_at is None,
        weakly_bound=device.is_weakly_bound,
        first_seen_at=device.first_seen_at,
        released_at=device.released_at,
        clock_reset_at=device.clock_reset_at,
        last_contact_at=contact.last_at if contact else None,
        last_status=contact.status if contact else None,
        lease_until=contact.lease_until if contact else None,
        match=match(device, given) if given is not None else None,
    )


def match(device: Device, given: HashedParts) -> MatchShown:
    """Return how a device compares with a given one."""
    found = fingerprints.match(device.parts, given)
    return MatchShown(
        is_same_device=found.is_same_device, agreeing=found.agreeing, needed=found.needed, parts=found.explain()
    )


def marketplace_view(row: MarketplaceView | None) -> ViewShown | None:
    """Return what the marketplace said."""
    if row is None:
        return None
    return ViewShown(status=row.status, expires_at=row.expires_at, asked_at=row.asked_at, answer=read_json(row.answer))
