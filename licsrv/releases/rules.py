"""Which version a client is offered, and whether it must take it. Pure.

A version is offered when all of this holds: it is newer than the client's; it is on the client's channel and platform,
exactly (a version for two channels is published on both); its moment has come; it is no pre-release, or the channel is
not ``stable``, or the client runs a pre-release already; its roll-out has reached the device; and the license's
maintenance covers the day on which it was published. The newest of them is offered.
"""

from __future__ import annotations

import calendar
import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import LicenseFacts, Status
from licsrv.releases.versions import Version

STABLE = "stable"
EVERYONE = 100
_BUCKETS = 100
_HASH_BITS = 64


@dataclass(frozen=True, slots=True)
class Candidate:
    """A published version, as far as the decision needs it. ``rollout_percent``: 0 is held back, 100 is everyone."""

    id: str
    version: Version
    minimum: Version | None
    rollout_percent: int
    published_at: datetime


# The candidates of each channel and platform, oldest version first.
Catalogue = Mapping[tuple[str, str], Sequence[Candidate]]


class Publicity(Protocol):
    """Since when, and until when, a version is offered at all."""

    @property
    def published_at(self) -> datetime:
        """Its publication date, which may be to come."""

    @property
    def withdrawn_at(self) -> datetime | None:
        """Since when it is offered no longer."""


@dataclass(frozen=True)
class Holder:
    """The device that asks with its license. ``maintained_until`` None: maintenance never ends."""

    device_id: str
    maintained_until: datetime | None


@dataclass(frozen=True)
class Client:
    """Who asks: what runs where, and with which license; None when it does not say."""

    version: Version
    channel: str
    platform: str
    holder: Holder | None


@dataclass(frozen=True)
class Choice:
    """The version to offer; ``forced`` when the client is too old to stay as it is."""

    release_id: str
    forced: bool


def state(release: Publicity, now: datetime) -> str:
    """Return what people call the state of a version: published, scheduled or withdrawn."""
    if release.withdrawn_at is not None:
        return "withdrawn"
    return "scheduled" if release.published_at > now else "published"


def choose(catalogue: Catalogue, client: Client, *, now: datetime) -> Choice | None:
    """Return the newest version that the client may have, unless it has that already."""
    candidates = catalogue.get((client.channel, client.platform), ())
    first_newer = bisect_right(candidates, client.version, key=_version_of)
    for candidate in reversed(candidates[first_newer:]):
        if is_applicable(candidate, client, now):
            forced = candidate.minimum is not None and client.version < candidate.minimum
            return Choice(candidate.id, forced)
    return None


def _version_of(candidate: Candidate) -> Version:
    return candidate.version


def is_applicable(candidate: Candidate, client: Client, now: datetime) -> bool:
    """Whether a version is for this client, whatever it runs now."""
    if candidate.published_at > now:
        return False
    if candidate.version.is_prerelease and client.channel == STABLE and not client.version.is_prerelease:
        return False
    if client.holder is None:
        return candidate.rollout_percent >= EVERYONE
    return _covers(client.holder, candidate) and is_rolled_out(
        candidate.id, client.holder.device_id, percent=candidate.rollout_percent
    )


def _covers(holder: Holder, candidate: Candidate) -> bool:
    return holder.maintained_until is None or candidate.published_at < holder.maintained_until


def is_rolled_out(release_id: str, device_id: str, *, percent: int) -> bool:
    """Whether a roll-out to so many per cent of the devices has reached this one.

    Each device has a fixed place for each version, so one that is in stays in while the percentage grows, and it is
    not always the same ones who go first.
    """
    if percent <= 0 or percent >= EVERYONE:
        return percent > 0
    digest = hashlib.sha256(f"{release_id}:{device_id}".encode()).digest()
    place = int.from_bytes(digest[: _HASH_BITS // 8], "big") * _BUCKETS >> _HASH_BITS
    return place < percent


def may_upgrade(license: LicenseFacts, *, device_has_place: bool, now: datetime) -> bool:
    """Whether a license is alive for a device that wants a new version.

    A freeze is no end: it is lifted again, and the version that mends something should be there by then.
    """
    return device_has_place and lifecycle.status(license, now) in {Status.ACTIVE, Status.FROZEN}


class MaintainedLicense(Protocol):
    """What of a license decides how long new versions are for it; a table row and a plain row both have it."""

    @property
    def created_at(self) -> datetime:
        """When it became known here."""

    @property
    def activated_at(self) -> datetime | None:
        """When the authority activated it; None while only provisional."""

    @property
    def expires_at(self) -> datetime | None:
        """Its last moment; None when it never ends."""

    @property
    def maintenance_until(self) -> datetime | None:
        """The last moment set for this license alone; None when its product's rule holds."""


def maintenance_end(license: MaintainedLicense, months: int | None) -> datetime | None:
    """Return the last moment at which a version may have been published to be for this license; None: there is none.

    Args:
        license: A provisional one counts from when it became known here.
        months: What the product gives from the activation on; None: new versions as long as the license lasts.
    """
    if license.maintenance_until is not None:
        return license.maintenance_until
    if months is None:
        return license.expires_at
    return add_months(license.activated_at or license.created_at, months)


def add_months(moment: datetime, months: int) -> datetime:
    """Return the same day and time so many months later; the last day of a month that is too short for it."""
    years, month = divmod(moment.month - 1 + months, 12)
    year = moment.year + years
    last = calendar.monthrange(year, month + 1)[1]
    return moment.replace(year=year, month=month + 1, day=min(moment.day, last))
