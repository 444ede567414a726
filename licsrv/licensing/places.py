"""Places: how many devices a license has room for, and which device gets one. Pure.

Where places are fixed, each device holds its place until it gives it back. Where they float, a program holds a seat
while it runs (:mod:`licsrv.seats`), and a device needs none: it is only not registered without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Protocol

from licsrv.errors import DeviceLimitError
from licsrv.licensing import fingerprints, lifecycle, traces
from licsrv.licensing.fingerprints import HashedParts, Match
from licsrv.licensing.lifecycle import SoldLicense, Status
from licsrv.licensing.traces import Rule, Step
from licsrv.words import explanations as words
from licsrv.words.sentences import moment

_DEVICES_PER_SEAT, _LEAST_DEVICES = 100, 1000


class PlaceFacts(Protocol):
    """What a license says of its places."""

    @property
    def device_limit(self) -> int | None:
        """Places, where they were set for this license."""

    @property
    def amount(self) -> int | None:
        """The amount bought."""


@dataclass(frozen=True)
class Bought:
    """What a license would say of its places, as before a change."""

    device_limit: int | None
    amount: int | None


class Surplus(StrEnum):
    """What becomes of devices in use when places become fewer."""

    STAFF = "staff"
    KEEP = "keep"
    NEWEST_OUT = "newest-out"


@dataclass(frozen=True)
class PlaceRules:
    """What a product says of places.

    Args:
        limit: Places of each license, or of each unit of its amount; None where the product does not say.
        default: Places of a license for which neither its order nor its product says how many.
        amount_counts: Whether the amount bought counts devices, or seats.
        floating: Whether programs take seats while they run, in place of devices that keep places.
        overdraft: How many more than were bought are admitted.
        overdraft_percent: The same as a share of those bought, rounded down.
        surplus: What becomes of devices in use when places become fewer, one of :class:`Surplus`.
    """

    limit: int | None = None
    default: int = 1
    amount_counts: bool = True
    floating: bool = False
    overdraft: int = 0
    overdraft_percent: int = 0
    surplus: str = Surplus.STAFF

    @property
    def is_reported(self) -> bool:
        """Whether the desk shows licenses with more in use than was bought; an overdraft always is."""
        return self.surplus != Surplus.KEEP or self.floating or bool(self.overdraft or self.overdraft_percent)

    def admitted(self, bought: int) -> int:
        """Return how many places or seats are given, where so many were bought."""
        return bought + self.overdraft + bought * self.overdraft_percent // 100


def limit(license: PlaceFacts, rules: PlaceRules) -> int:
    """Return how many places, or seats, were bought with a license.

    A limit set for this license counts first; then the amount bought times what the product gives for each unit
    (GAP: the protocol does not say what ``amount`` counts; a product can declare that it does not count devices);
    then the product's own limit; then the setting.
    """
    if license.device_limit is not None:
        return license.device_limit
    if license.amount is not None and license.amount > 0 and rules.amount_counts:
        return license.amount * (rules.limit or 1)
    return rules.limit or rules.default


def is_overfull(license: PlaceFacts, rules: PlaceRules, taken: int) -> bool:
    """Whether more devices hold a place than were bought; devices of floating seats hold none."""
    return not rules.floating and taken > limit(license, rules)


@dataclass(frozen=True)
class KnownDevice:
    """A device of the license, as it was first seen; ``text_hash`` is that of its fingerprint when it last asked."""

    id: str
    parts: HashedParts
    has_place: bool
    text_hash: str = ""


@dataclass(frozen=True)
class Admission:
    """A device may use the license: a known one, one that comes back, or (``device_id`` None) a new one."""

    device_id: str | None
    match: Match | None
    takes_place: bool
    trace: Sequence[Step] = ()
    is_beyond: bool = False
    """Whether it takes a place that was not bought."""

    @property
    def is_bound_anew(self) -> bool:
        """Whether a known device is recognised although too few of its registered parts agree; see `_is_same`."""
        return self.device_id is not None and self.match is not None and not self.match.is_same_device


_FIXED = PlaceRules()


@dataclass(frozen=True)
class HeldPlaces:
    """The places of a license and the devices that hold them.

    Args:
        limit: Places, or seats, that were bought.
        taken: Devices that hold a place now; where places float, devices that are registered.
        rules: What the product says of them.
    """

    limit: int
    taken: int
    rules: PlaceRules = _FIXED

    @property
    def most(self) -> int:
        """Devices that are admitted at most."""
        if self.rules.floating:
            return max(self.limit * _DEVICES_PER_SEAT, _LEAST_DEVICES)
        return self.rules.admitted(self.limit)

    @property
    def is_full(self) -> bool:
        """Whether a new device gets no place."""
        return self.taken >= self.most

    @property
    def _is_bought_up(self) -> bool:
        return self.taken >= self.limit and not self.rules.floating

    def decide(
        self,
        license: SoldLicense,
        candidates: Sequence[KnownDevice],
        given: HashedParts,
        *,
        text_hash: str = "",
        now: datetime,
    ) -> Admission:
        """Decide whether a device may use the license.

        Args:
            license: The license.
            candidates: Its devices that share a selective part with this one; others cannot be the same machine.
            given: The device's hashed parts.
            text_hash: The hash of its fingerprint as it was sent.
            now: When it asks.

        Raises:
            LicenseExpiredError: And its relatives: no device may use it, see :func:`lifecycle.require_usable`.
            DeviceLimitError: The device is new (or gave its place back) and every place is taken.

        A refusal carries its trace.
        """
        usable = _license_step(license, now)
        refusal = lifecycle.refusal_of(license, now)
        if refusal is not None:
            raise traces.refused(refusal, [usable])
        compared = [(fingerprints.match(device.parts, given), device) for device in candidates]
        same = [(found, device) for found, device in compared if _is_same(found, device, given, text_hash=text_hash)]
        found, device = max(same, key=lambda pair: (pair[1].has_place, pair[0].agreeing), default=(None, None))
        holding = [found for found, device in compared if device.has_place]
        trace = [usable, _device_step(found, holding)]
        if device is not None and device.has_place:
            trace.append(self._held())
            return Admission(device.id, found, takes_place=False, trace=trace)
        if self.is_full:
            raise traces.refused(self._full(holding), [*trace, self._step()])
        device_id = device.id if device is not None else None
        trace.append(self._step())
        return Admission(device_id, found, takes_place=True, trace=trace, is_beyond=self._is_bought_up)

    def _held(self) -> Step:
        if self.rules.floating:
            return Step(Rule.PLACE, words.FLOATS, values={"places": self.limit})
        return Step(Rule.PLACE, words.HOLDS)

    def _step(self) -> Step:
        says = words.FLOATS if self.rules.floating else words.BEYOND if self._is_bought_up else words.FREE
        values = {"taken": self.taken, "places": self.limit, "most": self.most}
        return Step(Rule.PLACE, words.FULL if self.is_full else says, not self.is_full, values=values)

    def _full(self, compared: Sequence[Match]) -> DeviceLimitError:
        nearest = max(compared, key=lambda found: found.agreeing, default=None)
        return DeviceLimitError(
            f"This license has room for {self.most} device(s), all taken, and this is not one of them.",
            action="Release a device that is no longer used, or buy more places.",
            places=self.limit,
            places_taken=self.taken,
            parts=nearest.explain() if nearest is not None else {},
        )


def _license_step(license: SoldLicense, now: datetime) -> Step:
    if lifecycle.status(license, now) is not Status.ACTIVE:
        return Step(Rule.LICENSE, lifecycle.reason(license, now), is_passed=False)
    ends_at = lifecycle.end_of_use(license)
    if ends_at is None:
        return Step(Rule.LICENSE, words.ENDLESS)
    return Step(Rule.LICENSE, words.USABLE, values={"until": partial(moment, ends_at, now)})


def _device_step(found: Match | None, holding: Sequence[Match]) -> Step:
    if found is not None:
        says = words.KNOWN if found.is_same_device else words.SAME_TEXT
        return Step(Rule.DEVICE, says, values={"parts": partial(traces.agreement, found)})
    nearest = max(holding, key=lambda one: one.agreeing, default=None)
    if nearest is None or not nearest.agreeing:
        return Step(Rule.DEVICE, words.STRANGER)
    return _unlike(nearest)


def mismatch_step(found: Match) -> Step:
    """Return what is said of a device that is not the known one."""
    return _unlike(found, is_passed=False)


def _unlike(found: Match, *, is_passed: bool = True) -> Step:
    values = {"agreeing": found.agreeing, "needed": found.needed, "parts": partial(traces.agreement, found)}
    return Step(Rule.DEVICE, words.UNLIKE, is_passed, values=values)


def _is_same(found: Match, device: KnownDevice, given: HashedParts, text_hash: str) -> bool:
    """Whether a device is the known one.

    A place that was taken under an older rule is not lost by a stricter one: the very same fingerprint is the same
    device, and one whose registered values turned out to be what many machines have is recognised by its CPU, once.
    Then it is bound to what it names now.
    """
    if found.is_same_device:
        return True
    return device.has_place and (
        (bool(text_hash) and device.text_hash == text_hash) or fingerprints.tells_nothing(device.parts, given)
    )
