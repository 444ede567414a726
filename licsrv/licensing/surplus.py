"""What becomes of devices in use beyond a reduced number of places, where a product says that the newest ones go.

A change marks its licenses, and this sweep works them off in short transactions, so a change costs the same however
many devices it concerns. Doing it again changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import Session

from licsrv.audit import Cause
from licsrv.licensing import releasing, store
from licsrv.licensing.places import PlaceRules, Surplus, limit
from licsrv.licensing.policies import Policies
from licsrv.licensing.tables import License

LOOKED_AT = 500
"""Marked licenses that one look reads."""
_AT_ONCE = 100
_CAUSE = Cause("policy", reason="Fewer places than devices in use.")


def find(session: Session, policies: Policies, *, after: str) -> tuple[Sequence[str], str | None]:
    """Return licenses with devices to release, and where the next look goes on; None at the end. Nothing is locked."""
    stated = {product_id: policies.shown(text).places for product_id, text in store.all_policy_texts(session).items()}
    going = [product_id for product_id, rules in stated.items() if rules.surplus == Surplus.NEWEST_OUT]
    rows = store.lowered_licenses(session, going, after=after, limit=LOOKED_AT) if going else []
    found = [row.id for row in rows if _beyond(row, stated[row.product_id]) > 0]
    return found, rows[-1].id if len(rows) == LOOKED_AT else None


def _beyond(license: License, rules: PlaceRules) -> int:
    """Return how many devices hold a place beyond those that are admitted; those of floating seats hold none."""
    return 0 if rules.floating else license.places_taken - rules.admitted(limit(license, rules))


def release(session: Session, license_id: str, policies: Policies, *, now: datetime) -> bool:
    """Release the newest devices of a license, of very many the first; whether there are more."""
    license = store.license_by_id_for_update(session, license_id)
    if license is None or license.released_at is not None:
        return False
    rules = policies.of(store.policy_text(session, license.product_id)).places
    beyond = _beyond(license, rules) if rules.surplus == Surplus.NEWEST_OUT else 0
    if beyond <= 0:
        return False
    for device in store.newest_devices(session, license.id, limit=min(beyond, _AT_ONCE)):
        releasing.release_device(session, device, cause=_CAUSE, now=now)
    return beyond > _AT_ONCE
