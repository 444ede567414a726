"""Where licenses come from, and all that follows from it: who renews one, what its user reads, what is reported.

A license keeps one word of its origin (``License.source``). What the word means is one object, and no other module
compares the word. A seller's room registers an origin for each of its product lines; this room knows the registry and
the licenses that staff add by hand. See docs/product-lines.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from typing import NamedTuple

from licsrv.outbox.messages import Message
from licsrv.words.sentences import Sentence, both


@dataclass(frozen=True)
class UserWords:
    """What the user of a license reads while it may not be used, and what the user can do then.

    A revocation and a refusal carry the words of the person or seller that gave them.
    """

    released: Sentence
    frozen: Sentence
    expired: Sentence
    unconfirmed: Sentence
    renew: str
    buy: str
    check_code: str


class SoldFact(StrEnum):
    """What a sale states of a license."""

    END = "end"
    PLACES = "places"
    FEATURES = "features"
    CUSTOMER = "customer"
    PRODUCT = "product"


class Use(NamedTuple):
    """A device's first check-in of a day."""

    license_id: str
    code: str
    device_id: str
    day: date
    is_first_of_license: bool
    may_work: bool


@dataclass(frozen=True)
class Origin:
    """What a license's source means.

    Args:
        source: The word that licenses keep.
        sold: Where it was sold, for staff.
        words: What its user reads.
        reports_use: Whether its use is reported to a seller.
        decides: What a seller decides of it, so that the vendor cannot change it; a sentence for each says whose word
            it is.
    """

    source: str
    sold: Sentence
    words: UserWords
    reports_use: bool = False
    decides: Mapping[SoldFact, Sentence] = field(default_factory=dict)

    def reports(self, use: Use) -> Sequence[Message]:
        """Return what is reported of a use; nothing, unless a seller's origin says more."""
        return ()


_VENDORS = UserWords(
    released=both("The license was given back and has ended.", "许可证已退还，已终止。"),
    frozen=both("The license is frozen; ask the vendor.", "许可证已被冻结，请联系软件商。"),
    expired=both("The license has expired; renew it with the vendor.", "许可证已到期，请联系软件商续期。"),
    unconfirmed=both("The license has not been confirmed yet.", "许可证尚未确认。"),
    renew="Ask the vendor to renew the license.",
    buy="Ask the vendor for a new license.",
    check_code="Check the code, or ask the vendor.",
)
BY_HAND = Origin("manual", both("elsewhere, added by hand", "其他渠道（手工添加）"), _VENDORS)
MANUAL = BY_HAND.source
_NOT_KNOWN_WHOSE = both(
    "It is not known here who sold this license, so its terms cannot be changed.",
    "不知道该许可证由谁售出，因此不能更改其条款。",
)
_UNKNOWN = replace(BY_HAND, sold=both("elsewhere", "其他渠道"), decides=dict.fromkeys(SoldFact, _NOT_KNOWN_WHOSE))

_registered = {MANUAL: BY_HAND}


def register(origin: Origin) -> Origin:
    """Make an origin known; doing it again changes nothing.

    Raises:
        ValueError: Another origin has this source.
    """
    if _registered.setdefault(origin.source, origin) != origin:
        raise ValueError(f"Two origins have the source {origin.source!r}.")
    return origin


def of(source: str) -> Origin:
    """Return what a source means; one that no room has registered is reported to no seller."""
    return _registered.get(source) or replace(_UNKNOWN, source=source)


def registered() -> Sequence[Origin]:
    """Return every origin."""
    return tuple(_registered.values())


def reporting_use() -> Sequence[str]:
    """Return the sources of licenses whose use is reported."""
    return [origin.source for origin in registered() if origin.reports_use]
