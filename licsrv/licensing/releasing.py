"""Use cases of places: a device gives its own back, frees that of one long unseen, lists them; staff gives one back.

All under the lock of the license, and each noted in the audit with the rules that were asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.licensing import bearers, moves, moving, store
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.issuing import issuing
from licsrv.licensing.moves import MoveRules, Standing
from licsrv.licensing.moving import LastContacts, SeenDevice
from licsrv.licensing.places import limit
from licsrv.licensing.policies import Policies
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.licensing.tables import Device, License
from licsrv.licensing.traces import Step


class MoveTerms(Protocol):
    """What limits moves."""

    @property
    def policies(self) -> Policies:
        """The policies of products."""

    @property
    def last_contacts(self) -> LastContacts:
        """Who checked in when."""


@dataclass(frozen=True)
class Limits:
    """What limits moves, for who issues no licenses."""

    policies: Policies
    last_contacts: LastContacts


@dataclass(frozen=True)
class Released:
    """A place given back."""

    license_id: str
    released_at: datetime
    places_taken: int


def release_device(
    session: Session,
    device: Device,
    *,
    given: HashedParts | None = None,
    terms: MoveTerms | None = None,
    cause: Cause,
    now: datetime,
) -> Released:
    """Give a device's place back. Doing it again changes nothing and says the same.

    Args:
        given: The hashed parts of the calling device, where it sent them: they must be the device's.
        terms: The limits of moves, where a program asks; staff has none.

    Raises:
        DeviceMismatchError: Another device asks.
        MoveLimitError: The program may not give the place back now.
    """
    license = store.license_by_id_for_update(session, device.license_id)
    locked = store.device_for_update(session, device.id)
    if license is None or locked is None:
        raise AssertionError  # foreign keys hold this, and devices are never deleted
    device = locked
    bearers.require_same_device(device.parts, given)
    if device.released_at is not None:
        return Released(license.id, device.released_at, license.places_taken)
    left = _require_move(session, license, device, terms=terms, now=now) if terms is not None else None

    trace = [moving.moves_step(left, now)] if left is not None else []
    free(session, device, by=None, trace=trace, cause=cause, now=now)
    return Released(license.id, now, license.places_taken - 1)


def release_other(
    session: Session, mine: Device, device_id: str, *, given: HashedParts, terms: MoveTerms, cause: Cause, now: datetime
) -> Released:
    """Free the place of another device of the license that was not seen for as long as the policy says.

    The device that asks holds a place itself. Doing it again changes nothing and says the same.

    Raises:
        DeviceMismatchError: Another device asks than the license string is for.
        MoveNotAllowedError: The other device was seen lately, or there is none; or this one holds no place.
        MoveLimitError: The moves of the license are used up.
    """
    license = store.license_by_id_for_update(session, mine.license_id)
    asking, other = (store.device_for_update(session, one) for one in (mine.id, device_id))
    if license is None or asking is None:
        raise AssertionError  # foreign keys hold this, and devices are never deleted
    bearers.require_same_device(asking.parts, given)
    store.update_device(session, mine.id, asked_at=now)
    policy = terms.policies.of(store.policy_text(session, license.product_id))
    is_ours = other is not None and other.license_id == license.id and asking.released_at is None
    if is_ours and other is not None and other.released_at is not None:
        return Released(license.id, other.released_at, license.places_taken)
    found = moving.seen(session, [device_id], terms.last_contacts, now=now) if is_ours else []
    places = limit(license, policy.places)
    left = moving.moves_of(session, license.id, policy.moves, places=places, now=now)
    freed, trace = moving.require_other(found, policy.moves, left, now=now)
    free(session, freed, by=mine.id, trace=trace, cause=cause, now=now)
    return Released(license.id, now, license.places_taken - 1)


@dataclass(frozen=True)
class DeviceShown:
    """A device of a license, as another one is shown it."""

    device_id: str
    name: str
    last_contact_at: datetime
    is_mine: bool
    holds_place: bool
    can_be_released: bool


@dataclass(frozen=True)
class ListedDevices:
    """The devices of a license, and what is left of its moves."""

    license_id: str
    places: int
    places_taken: int
    moves_left: int
    next_move_at: datetime | None
    devices: Sequence[DeviceShown]


def list_devices(
    session: Session, mine: Device, *, given: HashedParts, terms: MoveTerms, now: datetime
) -> ListedDevices:
    """List the devices of the license of a device that holds a place: itself first, then the longest unseen.

    Raises:
        DeviceMismatchError: Another device asks than the license string is for.
        UnauthenticatedError: Its place was given back or released: it is none of this license's devices now.
    """
    bearers.require_same_device(mine.parts, given)
    license = store.license_by_id(session, mine.license_id)
    if license is None or mine.released_at is not None:
        raise bearers.unknown_bearer()
    store.update_device(session, mine.id, asked_at=now)
    policy = terms.policies.of(store.policy_text(session, license.product_id))
    rules, places = policy.moves, limit(license, policy.places)
    left = moving.moves_of(session, license.id, rules, places=places, now=now)

    ids = {mine.id, *store.devices_of_license(session, license.id, limit=moving.MOST_LISTED - 1)}
    found = moving.seen(session, sorted(ids), terms.last_contacts, now=now)

    found.sort(key=lambda one: (one.id != mine.id, not one.has_place, one.seen_at))
    shown = [_shown(one, mine, rules, left=left, now=now) for one in found]
    return ListedDevices(
        license.id, places, license.places_taken, moves_left=left.left, next_move_at=left.next_at, devices=shown
    )


def _shown(one: SeenDevice, mine: Device, rules: MoveRules, *, left: Standing, now: datetime) -> DeviceShown:
    is_mine = one.id == mine.id
    is_free_to_go = not moves.holds(rules, one.file_ends, now) if is_mine else one.is_unseen(rules, now)
    return DeviceShown(
        one.id,
        one.name,
        one.seen_at,
        is_mine=is_mine,
        holds_place=one.has_place,
        can_be_released=is_free_to_go and left.is_open(now),
    )


def free_unseen(
    session: Session, license_id: str, device_ids: Sequence[str], *, terms: MoveTerms, cause: Cause, now: datetime
) -> int:
    """Free the places of those of these devices that were not seen for as long as the policy says; return how many.

    They count as no moves: the policy or staff frees them. What was seen meanwhile keeps its place.
    """
    license = store.license_by_id_for_update(session, license_id)
    if license is None:
        return 0
    rules = terms.policies.of(store.policy_text(session, license.product_id)).moves
    found = moving.seen(session, device_ids, terms.last_contacts, now=now)
    unseen = [one for one in found if one.license_id == license.id and one.is_unseen(rules, now)]
    for one in unseen:
        free(session, one, by=None, trace=[moving.unseen_step(one, rules, now)], cause=cause, now=now)
    return len(unseen)


def restore_device(session: Session, device: Device, *, cause: Cause, now: datetime) -> bool:
    """Give a device the place back that it held; False where it holds one. The caller has looked whether there is room.

    What it was handed out stays called back: it asks for its license again, and gets it.
    """
    license = store.license_by_id_for_update(session, device.license_id)
    locked = store.device_for_update(session, device.id)
    if license is None or locked is None or locked.released_at is None:
        return False
    store.update_device(session, device.id, released_at=None)
    store.move_places(session, license.id, 1)
    detail = {"device": device.id, "name": device.name}
    audit.record(session, Action.DEVICE_RETURNED, subject=license.id, cause=cause, detail=detail, now=now)
    return True


def free(
    session: Session,
    device: Device | SeenDevice,
    *,
    by: str | None,
    trace: Sequence[Step],
    cause: Cause,
    now: datetime,
) -> None:
    """Free the place of a device under the lock of its license, and note who did it by which rules."""
    store.update_device(session, device.id, released_at=now)
    store.move_places(session, device.license_id, -1)
    revocation_lists.list_given_back(session, [device.id], now=now)
    detail = moving.detail(device.id, device.name, by=by, trace=trace)
    audit.record(session, Action.DEVICE_RELEASED, subject=device.license_id, cause=cause, detail=detail, now=now)


def _require_move(session: Session, license: License, device: Device, *, terms: MoveTerms, now: datetime) -> Standing:
    policy = terms.policies.of(store.policy_text(session, license.product_id))
    rules, places = policy.moves, limit(license, policy.places)
    moved = moving.moments_of(session, license.id, rules, places=places, now=now)
    files = [issuing.end_of(claims) for claims in store.claims_held(session, device.id, issuing.FILE)]
    moves.require_move(rules, moved, files, places=places, now=now)
    return moves.standing(rules, moved, places=places, now=now)
