"""What it means that a license was sold at the marketplace: one origin for each product line that sells. Pure.

The origins are registered when this room is first imported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from licsrv.licensing import origins
from licsrv.licensing.origins import Origin, SoldFact, Use, UserWords
from licsrv.outbox.messages import Message, QueryLicense, ReportUsage
from licsrv.words.sentences import both


class AskedBy(StrEnum):
    """By what the marketplace is asked about a license, and so how the two are reconciled."""

    CODE = "code"
    ORDER = "order"
    NOTHING = "nothing"


@dataclass(frozen=True)
class MarketplaceOrigin(Origin):
    """A product line of the marketplace."""

    asked_by: AskedBy = AskedBy.NOTHING

    def reports(self, use: Use) -> Sequence[Message]:
        """Return the daily query of the license and the usage of the device (authorization-code.md §2.3, §2.4)."""
        return tuple(self._reports(use)) if self.reports_use else ()

    def _reports(self, use: Use) -> Iterator[Message]:
        if use.is_first_of_license:
            yield QueryLicense(use.license_id, code=use.code)
        if use.may_work:
            yield ReportUsage(use.license_id, code=use.code, client_id=use.device_id, day=use.day)


_WORDS = UserWords(
    released=both("The license was given back to the marketplace and has ended.", "许可证已退还云商店，已终止。"),
    frozen=both(
        "The marketplace has frozen the license; renewing it there ends this.",
        "许可证已被云商店冻结，续费后解除。",
    ),
    expired=both("The license has expired; renew it at the marketplace.", "许可证已到期，请在云商店续费。"),
    unconfirmed=both("The marketplace has not confirmed the license yet.", "云商店尚未确认该许可证。"),
    renew="Renew the license at the marketplace.",
    buy="Buy a new license at the marketplace.",
    check_code="Check the code, and that it was received at the marketplace.",
)

# Features are not among what the marketplace sells. A limit set by hand would hide an upgrade that is bought later.
_DECIDES = {
    SoldFact.END: both(
        "The marketplace decides when this license ends: it is renewed there.",
        "该许可证的到期时间由云商店决定，请在云商店续费。",
    ),
    SoldFact.PLACES: both(
        "The marketplace decides how many places this license has: more are bought there.",
        "该许可证的名额由云商店决定，请在云商店增购。",
    ),
    SoldFact.CUSTOMER: both("The marketplace says who bought this license.", "该许可证的客户以云商店为准。"),
    SoldFact.PRODUCT: both(
        "The marketplace decides which product this license is for: another one is bought there.",
        "该许可证的商品由云商店决定，请在云商店另行购买。",
    ),
}

AUTHORIZATION_CODE = MarketplaceOrigin(
    "marketplace",
    both("at the marketplace, as an authorization code", "云商店（授权码）"),
    _WORDS,
    reports_use=True,
    decides=_DECIDES,
    asked_by=AskedBy.CODE,
)
ONLINE_LICENSE = MarketplaceOrigin(
    "online",
    both("at the marketplace, as an online License", "云商店（在线开通 License）"),
    _WORDS,
    decides=_DECIDES,
    asked_by=AskedBy.ORDER,
)
LICENSE_V1 = MarketplaceOrigin(
    "license_v1", both("at the marketplace, as License 1.0", "云商店（License 1.0）"), _WORDS, decides=_DECIDES
)

for _origin in (AUTHORIZATION_CODE, ONLINE_LICENSE, LICENSE_V1):
    origins.register(_origin)


def asked_by(source: str) -> AskedBy:
    """Return by what the marketplace is asked about the licenses of a source."""
    origin = origins.of(source)
    return origin.asked_by if isinstance(origin, MarketplaceOrigin) else AskedBy.NOTHING


def reconciled() -> Sequence[str]:
    """Return the sources of the licenses that the marketplace can be asked about."""
    return [origin.source for origin in origins.registered() if asked_by(origin.source) is not AskedBy.NOTHING]
