"""What support uses in addition to the database: the keys, the terms of licenses, the way to the marketplace."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from licsrv.desk.view import View
from licsrv.errors import MarketplaceUnavailableError
from licsrv.licensing.devices import Terms
from licsrv.licensing.keyring import Keyring


async def no_marketplace(_license_id: str) -> None:
    """Refuse a comparison: there is no marketplace to ask.

    Raises:
        MarketplaceUnavailableError: Always.
    """
    raise MarketplaceUnavailableError("No marketplace is configured.", action="Give licsrv its AK and SK.")


@dataclass(frozen=True)
class SupportTools:
    """What support works with.

    Args:
        compare: Asks the marketplace about a license, within a short time; what differs is written down.
        key_pair: The name of the key pair in the database; empty where there is none.
        clock_difference: How far the marketplace's clock is ahead of this process's, as far as it knows.
        started_in_bulk: ``(session, person, since, until)``: on how many licenses a person started lists alone.
        alive_unfreezes: Whether the marketplace's answer ALIVE means that a license is not frozen.
    """

    keyring: Callable[[], Keyring]
    terms: Terms
    compare: Callable[[str], Awaitable[None]] = no_marketplace
    key_pair: str = ""
    clock_difference: Callable[[], timedelta | None] = lambda: None
    alive_unfreezes: bool = True
    started_in_bulk: Callable[..., int] = lambda *_, **__: 0

    def view(self, now: datetime) -> View:
        """Return what is needed to show licenses."""
        return View(self.terms.policies, now)
