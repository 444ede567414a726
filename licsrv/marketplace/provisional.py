"""Whether a code gets a provisional license while the marketplace does not answer, and within which budgets.

Pure. A provisional license is generosity towards a buyer during an outage. Without a budget it is a free license for
everyone who invents codes while the marketplace is down.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from licsrv.errors import MarketplaceBusyError, MarketplaceError, MarketplaceUnansweredError

BUDGET_SPAN = timedelta(hours=24)


@dataclass(frozen=True)
class Budgets:
    """How many provisional licenses are given within :data:`BUDGET_SPAN`; 0 gives none.

    Args:
        per_network: Of a /24 of IPv4 or a /64 of IPv6.
    """

    per_address: int
    per_network: int
    in_all: int


@dataclass(frozen=True)
class Granted:
    """How many were given within the last :data:`BUDGET_SPAN`."""

    address: int
    network: int
    in_all: int


def exhausted(budgets: Budgets, granted: Granted) -> str | None:
    """Return which budget is used up, in one word; None while there is room in all of them."""
    if granted.in_all >= budgets.in_all:
        return "all"
    if granted.network >= budgets.per_network:
        return "network"
    return "address" if granted.address >= budgets.per_address else None


def is_outage(error: MarketplaceError) -> bool:
    """Whether an error means that the marketplace itself did not answer.

    Too many calls at once, a rate limit and an undocumented code are load or answers. A refused key pair counts as an
    outage: the question about the code was not answered, the seller's configuration is at fault and not the buyer.
    """
    if isinstance(error, MarketplaceUnansweredError):
        return error.is_outage
    return not isinstance(error, MarketplaceBusyError)
