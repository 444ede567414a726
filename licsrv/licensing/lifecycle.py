"""What a license is and may do at a moment. Pure; the one place where status is worked out.

::

    NOT_ACTIVATED -> ACTIVE <-> EXPIRED
                     ACTIVE <-> FROZEN      the marketplace's word
                     ACTIVE <-> REVOKED     the vendor's word
    any -> RELEASED (final)

Precedence: RELEASED > REVOKED > FROZEN > EXPIRED > ACTIVE > NOT_ACTIVATED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from licsrv.errors import (
    DeviceLimitError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseReleasedError,
    LicenseRevokedError,
)
from licsrv.licensing import fingerprints
from licsrv.licensing.fingerprints import HashedParts, Match


class Status(StrEnum):
    """What a license is at a moment."""

    NOT_ACTIVATED = "NOT_ACTIVATED"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    REVOKED = "REVOKED"
    RELEASED = "RELEASED"


class LicenseFacts(Protocol):
    """The facts that decide; a table row and a plain row both have them."""

    @property
    def activated_at(self) -> datetime | None:
        """When the authority activated it; None while only provisional."""

    @property
    def provisional_until(self) -> datetime | None:
        """Until when it may run although the authority could not be asked."""

    @property
    def expires_at(self) -> datetime | None:
        """Its last moment; None when it never ends."""

    @property
    def grace_until(self) -> datetime | None:
        """Until when it may be used although it has expired: the vendor's word, past its last moment."""

    @property
    def frozen_at(self) -> datetime | None:
        """Since when it is frozen."""

    @property
    def revoked_at(self) -> datetime | None:
        """Since when the vendor has taken it back."""

    @property
    def revoked_reason(self) -> str | None:
        """Why, in words for the customer."""

    @property
    def refused_reason(self) -> str | None:
        """Why the authority did not confirm a provisional license."""

    @property
    def released_at(self) -> datetime | None:
        """Since when it is gone for good."""


def status(license: LicenseFacts, now: datetime) -> Status:
    """Return what the license is at ``now``. At the very moment of its end (or of its grace's) it is over."""
    if license.released_at is not None:
        return Status.RELEASED
    if license.revoked_at is not None:
        return Status.REVOKED
    if license.frozen_at is not None:
        return Status.FROZEN
    over_at = _over_at(license)
    if over_at is not None and now >= over_at:
        return Status.EXPIRED
    if license.activated_at is not None or is_provisional(license, now):
        return Status.ACTIVE
    return Status.NOT_ACTIVATED


def is_provisional(license: LicenseFacts, now: datetime) -> bool:
    """Whether it runs only because the authority could not be asked."""
    return license.activated_at is None and license.provisional_until is not None and now < license.provisional_until


def end_of_use(license: LicenseFacts) -> datetime | None:
    """Return the last moment that may be promised to a device; None when there is none."""
    if license.activated_at is None and license.provisional_until is not None:
        return min(license.provisional_until, license.expires_at or license.provisional_until)
    return _over_at(license)


def is_in_grace(license: LicenseFacts, now: datetime) -> bool:
    """Whether it may be used only because the vendor lets it go on after its last moment."""
    return status(license, now) is Status.ACTIVE and license.expires_at is not None and now >= license.expires_at


def _over_at(license: LicenseFacts) -> datetime | None:
    if license.expires_at is None or license.grace_until is None:
        return license.expires_at
    return max(license.expires_at, license.grace_until)


def reason(license: LicenseFacts, now: datetime) -> str:
    """Return one sentence for the person at the device that says why the software may not run; empty when it may."""
    match status(license, now):
        case Status.RELEASED:
            return "The license was given back to the marketplace and has ended."
        case Status.REVOKED:
            return license.revoked_reason or "The vendor has revoked the license."
        case Status.FROZEN:
            return "The marketplace has frozen the license; renewing it there ends this."
        case Status.EXPIRED:
            return "The license has expired; renew it at the marketplace."
        case Status.NOT_ACTIVATED:
            return license.refused_reason or "The marketplace has not confirmed the license yet."
        case Status.ACTIVE:
            return ""


def require_usable(license: LicenseFacts, now: datetime) -> None:
    """Refuse a license that no device may use at this moment.

    Raises:
        LicenseReleasedError: It is gone for good.
        LicenseRevokedError: The vendor has taken it back.
        LicenseFrozenError: The marketplace has frozen it.
        LicenseExpiredError: Its last moment has passed.
        LicenseNotFoundError: The authority has not confirmed it.
    """
    sentence = reason(license, now)
    match status(license, now):
        case Status.RELEASED:
            raise LicenseReleasedError(sentence, action="Buy a new license at the marketplace.")
        case Status.REVOKED:
            raise LicenseRevokedError(sentence, action="Ask the vendor's support.")
        case Status.FROZEN:
            raise LicenseFrozenError(sentence, action="Renew the license at the marketplace.")
        case Status.EXPIRED:
            raise LicenseExpiredError(sentence, action="Renew the license at the marketplace.")
        case Status.NOT_ACTIVATED:
            raise LicenseNotFoundError(sentence, action="Check the code, and that it was received at the marketplace.")
        case Status.ACTIVE:
            return


def accepts_expiry(
    current: datetime | None,
    current_stated_at: datetime | None,
    new: datetime | None,
    *,
    stated_at: datetime,
    may_shorten: bool,
) -> bool:
    """Whether a statement about a license's end replaces what is known.

    Messages arrive late, doubled and out of order: an older statement never replaces a newer one, and one that by its
    nature only extends (a renewal) never shortens, because then it is a late one of an earlier renewal.
    """
    if current_stated_at is not None and stated_at < current_stated_at:
        return False
    return may_shorten or current is None or (new is not None and new > current)


def accepts_freeze(current_stated_at: datetime | None, *, stated_at: datetime) -> bool:
    """Whether a statement about freezing replaces what is known: the one stated later counts."""
    return current_stated_at is None or stated_at >= current_stated_at


class ProductFacts(Protocol):
    """What the vendor says of a product."""

    @property
    def device_limit(self) -> int | None:
        """Places of each license, or of each unit of its amount."""

    @property
    def amount_is_places(self) -> bool:
        """Whether the amount bought counts devices."""


def places(*, device_limit: int | None, amount: int | None, product: ProductFacts | None, default: int) -> int:
    """Return how many devices a license has room for.

    A limit set for this license counts first; then the amount bought times what the product gives for each unit
    (GAP: the protocol does not say what ``amount`` counts; a product can declare that it does not count devices);
    then the product's own limit; then the setting.
    """
    if device_limit is not None:
        return device_limit
    per_unit = product.device_limit if product is not None else None
    if amount is not None and amount > 0 and (product is None or product.amount_is_places):
        return amount * (per_unit or 1)
    return per_unit or default


@dataclass(frozen=True)
class KnownDevice:
    """A device of the license, as it was first seen."""

    id: str
    parts: HashedParts
    has_place: bool


@dataclass(frozen=True)
class Admission:
    """A device may use the license: a known one, one that comes back, or (``device_id`` None) a new one."""

    device_id: str | None
    match: Match | None
    takes_place: bool


def decide_activation(
    license: LicenseFacts,
    candidates: Sequence[KnownDevice],
    given: HashedParts,
    *,
    places_taken: int,
    places: int,
    now: datetime,
) -> Admission:
    """Decide whether a device may use the license.

    Args:
        candidates: The license's devices that share a selective part with it; others cannot be the same machine.
        given: The device's hashed parts.
        places_taken: Devices that hold a place now.
        places: Devices that may.

    Raises:
        LicenseExpiredError: And its relatives: no device may use it, see :func:`require_usable`.
        DeviceLimitError: The device is new (or gave its place back) and every place is taken.
    """
    require_usable(license, now)
    compared = [(fingerprints.match(device.parts, given), device) for device in candidates]
    same = [(found, device) for found, device in compared if found.is_same_device]
    if same:
        found, device = max(same, key=lambda pair: (pair[1].has_place, pair[0].agreeing))
        if device.has_place:
            return Admission(device.id, found, takes_place=False)
    if places_taken >= places:
        raise _full(places_taken, places, [found for found, device in compared if device.has_place])
    if same:
        return Admission(device.id, found, takes_place=True)
    return Admission(None, None, takes_place=True)


def _full(taken: int, places: int, compared: Sequence[Match]) -> DeviceLimitError:
    nearest = max(compared, key=lambda found: found.agreeing, default=None)
    return DeviceLimitError(
        f"This license has room for {places} device(s), all taken, and this is not one of them.",
        action="Release a device that is no longer used, or buy more places.",
        places=places,
        places_taken=taken,
        parts=nearest.explain() if nearest is not None else {},
    )
