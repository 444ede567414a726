"""What a license is and may do now, in one sentence of both languages. Pure."""

from __future__ import annotations

from datetime import datetime

from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import SoldLicense, Status
from licsrv.words import licenses as words
from licsrv.words.sentences import Sentence, moment


def license_is(
    license: SoldLicense, *, places_taken: int, places: int, now: datetime, is_floating: bool = False
) -> Sentence:
    """Say what a license is and may do now.

    Args:
        is_floating: Whether its places are seats of programs.
    """
    if lifecycle.status(license, now) is not Status.ACTIVE:
        return words.UNUSABLE.filled(why=lifecycle.reason(license, now))
    taken = (words.SEATS_TAKEN if is_floating else words.PLACES_TAKEN)(places, taken=places_taken)
    ends_at = lifecycle.end_of_use(license)
    if ends_at is None:
        return words.ENDLESS.filled(places=taken)
    return _usable(license, now).filled(until=moment(ends_at, now), places=taken)


def _usable(license: SoldLicense, now: datetime) -> Sentence:
    if lifecycle.is_provisional(license, now):
        return words.PROVISIONAL
    return words.IN_GRACE if lifecycle.is_in_grace(license, now) else words.USABLE
