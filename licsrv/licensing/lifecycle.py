"""What a license is and may do at a moment. Pure; the one place where status is worked out.

::

    NOT_ACTIVATED -> ACTIVE <-> EXPIRED
                     ACTIVE <-> FROZEN      the marketplace's word
                     ACTIVE <-> REVOKED     the vendor's word
    any -> RELEASED (final)

Precedence: RELEASED > REVOKED > FROZEN > EXPIRED > ACTIVE > NOT_ACTIVATED.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Protocol

from licsrv.errors import (
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseReleasedError,
    LicenseRevokedError,
    RefusalError,
)
from licsrv.licensing import origins
from licsrv.words.sentences import Sentence, both


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
        """The moment at which it ends; None when it never ends."""

    @property
    def grace_until(self) -> datetime | None:
        """Until when it may be used although it has expired: the vendor's word."""

    @property
    def frozen_at(self) -> datetime | None:
        """Since when it is frozen."""

    @property
    def revoked_at(self) -> datetime | None:
        """Since when the vendor has revoked it."""

    @property
    def revoked_reason(self) -> str | None:
        """Why, in words for the customer."""

    @property
    def refused_reason(self) -> str | None:
        """Why the authority did not confirm a provisional license."""

    @property
    def released_at(self) -> datetime | None:
        """Since when it is gone for good."""


class SoldLicense(LicenseFacts, Protocol):
    """The facts of a license, and where it comes from."""

    @property
    def source(self) -> str:
        """The word of its origin; see :mod:`licsrv.licensing.origins`."""


_REVOKED = both("The vendor has revoked the license.", "软件商已撤销该许可证。")
_NONE = both("", "")


def status(license: LicenseFacts, now: datetime) -> Status:
    """Return what the license is at ``now``. The end is exclusive, that of a grace too."""
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


def is_refused(license: LicenseFacts) -> bool:
    """Whether the authority said that there is no such license, and never said otherwise."""
    return license.activated_at is None and license.refused_reason is not None


def end_of_use(license: LicenseFacts) -> datetime | None:
    """Return the moment up to which use may be promised to a device; None when there is no end."""
    if license.activated_at is None and license.provisional_until is not None:
        return min(license.provisional_until, license.expires_at or license.provisional_until)
    return _over_at(license)


def is_in_grace(license: LicenseFacts, now: datetime) -> bool:
    """Whether it may be used only because the vendor grants a grace after its end."""
    return status(license, now) is Status.ACTIVE and license.expires_at is not None and now >= license.expires_at


def _over_at(license: LicenseFacts) -> datetime | None:
    if license.expires_at is None or license.grace_until is None:
        return license.expires_at
    return max(license.expires_at, license.grace_until)


def reason(license: SoldLicense, now: datetime) -> Sentence:
    """Return one sentence for the person at the device that says why the software may not run; empty when it may.

    A revocation and a refusal are said in the words in which they were given, whatever the language.
    """
    words = origins.of(license.source).words
    match status(license, now):
        case Status.RELEASED:
            return words.released
        case Status.REVOKED:
            return _as_given(license.revoked_reason) or _REVOKED
        case Status.FROZEN:
            return words.frozen
        case Status.EXPIRED:
            return words.expired
        case Status.NOT_ACTIVATED:
            return _as_given(license.refused_reason) or words.unconfirmed
        case Status.ACTIVE:
            return _NONE


def _as_given(sentence: str | None) -> Sentence | None:
    return Sentence(en=sentence, zh=sentence) if sentence else None


def require_usable(license: SoldLicense, now: datetime) -> None:
    """Refuse a license that no device may use at this moment.

    Raises:
        LicenseReleasedError: It is gone for good.
        LicenseRevokedError: The vendor has revoked it.
        LicenseFrozenError: Its seller has frozen it.
        LicenseExpiredError: It has ended.
        LicenseNotFoundError: Its seller has not confirmed it.
    """
    refusal = refusal_of(license, now)
    if refusal is not None:
        raise refusal


def refusal_of(license: SoldLicense, now: datetime) -> RefusalError | None:
    """Return what :func:`require_usable` raises; None where the license may be used."""
    found = status(license, now)
    if found is Status.ACTIVE:
        return None
    sentence, words = reason(license, now).en, origins.of(license.source).words
    match found:
        case Status.RELEASED:
            return LicenseReleasedError(sentence, action=words.buy)
        case Status.REVOKED:
            return LicenseRevokedError(sentence, action="Ask the vendor's support.")
        case Status.FROZEN:
            return LicenseFrozenError(sentence, action=words.renew)
        case Status.EXPIRED:
            return LicenseExpiredError(sentence, action=words.renew)
        case Status.NOT_ACTIVATED:
            return LicenseNotFoundError(sentence, action=words.check_code)


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
