"""What an authorization code is at the marketplace, and what may happen to it; pure, moments are arguments.

Source: protocol/authorization-code.md §1.3, §1.4 and §2.2.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

from licsrv.emulator.clock import later
from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.moments import rfc3339
from licsrv.emulator.open_api_codes import OpenApiCode
from licsrv.emulator.settings import FrozenReading


class CodeStatus(StrEnum):
    """The three words a query answers with."""

    ALIVE = "ALIVE"
    EXPIRED = "EXPIRED"
    RELEASED = "RELEASED"


class CodeState(StrEnum):
    """The state of a code, for the person at the control API."""

    NOT_RECEIVED = "NOT_RECEIVED"
    NOT_ACTIVATED = "NOT_ACTIVATED"
    ACTIVE = "ACTIVE"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    RELEASED = "RELEASED"


class OrderKind(StrEnum):
    """Why an order was placed."""

    PURCHASE = "purchase"
    RENEWAL = "renewal"
    UNSUBSCRIBE_RENEWAL = "unsubscribe_renewal"
    UNSUBSCRIBE = "unsubscribe"


@dataclass(frozen=True)
class Order:
    """An order line that concerns a code."""

    order_id: str
    order_line_id: str
    kind: OrderKind
    placed_at: datetime

    def view(self) -> dict[str, object]:
        """Describe the order for the control API."""
        return {
            "order_id": self.order_id,
            "order_line_id": self.order_line_id,
            "kind": self.kind.value,
            "placed_at": rfc3339(self.placed_at),
        }


@dataclass(frozen=True)
class Renewal:
    """What a renewal replaced, so that it can be undone."""

    previous_expires_at: datetime | None
    previous_product_id: str


@dataclass
class DayOfUse:
    """What was reported about the use of a code on one day (protocol §2.4)."""

    ids: set[str] = field(default_factory=set)
    active_num: int | None = None

    def view(self) -> dict[str, object]:
        """Describe the day for the control API."""
        return {"ids": sorted(self.ids), "active_num": self.active_num}


@dataclass
class AuthorizationCode:
    """One purchased entitlement, as the marketplace keeps it.

    Args:
        code: The authorization code.
        product_id: Of the product bought.
        amount: Value of the quantity-type pricing attribute.
        bought_at: When the order was placed; nothing can take effect before.
        orders: Every order that concerns it, the purchase first.
        days: How long it lasts from activation; None when ``expires_at`` was set at the purchase.
        expires_at: Its end; None while it counts from an activation that has not happened.
        received_at: When the buyer received it.
        test: A test code of the seller center.
    """

    code: str
    product_id: str
    amount: int
    bought_at: datetime
    orders: list[Order]
    days: int | None
    expires_at: datetime | None
    received_at: datetime | None
    test: bool = False
    activated_at: datetime | None = None
    effective_at: datetime | None = None
    frozen_at: datetime | None = None
    released_at: datetime | None = None
    renewals: list[Renewal] = field(default_factory=list)
    queries: int = 0
    last_queried_at: datetime | None = None
    usage: dict[date, DayOfUse] = field(default_factory=dict)

    def state(self, now: datetime) -> CodeState:
        """Return the code's state at this moment."""
        if self.released_at:
            return CodeState.RELEASED
        if self.frozen_at:
            return CodeState.FROZEN
        if self.is_expired(now):
            return CodeState.EXPIRED
        if self.activated_at:
            return CodeState.ACTIVE
        return CodeState.NOT_ACTIVATED if self.received_at else CodeState.NOT_RECEIVED

    def is_expired(self, now: datetime) -> bool:
        """Say whether its end has come; the end itself belongs to the time after (INFER)."""
        return self.expires_at is not None and now >= self.expires_at

    def status(self, now: datetime, *, frozen_reads_as: FrozenReading) -> CodeStatus:
        """Return the word a query answers with."""
        if self.released_at:
            return CodeStatus.RELEASED
        if self.is_expired(now):
            return CodeStatus.EXPIRED
        return CodeStatus(frozen_reads_as.value) if self.frozen_at else CodeStatus.ALIVE

    def require_activatable(self, now: datetime, effective_at: datetime | None) -> None:
        """Check that it may be activated now.

        Raises:
            OpenApiRefusedError: Activated already, frozen, expired or released (92020003); not received by the buyer
                (92020004); or to take effect before the order was placed (92020002, INFER).
        """
        if self.state(now) not in {CodeState.NOT_ACTIVATED, CodeState.NOT_RECEIVED}:
            raise OpenApiRefusedError(OpenApiCode.ILLEGAL_STATE, f"{self.code} is {self.state(now).value}")
        if self.received_at is None:
            raise OpenApiRefusedError(OpenApiCode.NOT_RECEIVED)
        # Effect times carry whole seconds, so the order's moment is compared without its fraction.
        if effective_at is not None and effective_at < self.bought_at.replace(microsecond=0):
            raise OpenApiRefusedError(OpenApiCode.INVALID_PARAMETER, "real_effect_time is earlier than the order")

    def activate(self, now: datetime, effective_at: datetime | None) -> None:
        """Start the service; days count from the time of effect, or from now (INFER, protocol §1.3)."""
        self.activated_at = now
        self.effective_at = effective_at or now
        if self.days is not None and self.expires_at is None:
            self.expires_at = later(self.effective_at, timedelta(days=self.days))

    def view(self, now: datetime) -> dict[str, object]:
        """Describe the code for the control API; ``activated`` and ``checked`` are the seller center's two ticks."""
        return {
            "code": self.code,
            "state": self.state(now).value,
            "product_id": self.product_id,
            "amount": self.amount,
            "test": self.test,
            "days": self.days,
            "bought_at": rfc3339(self.bought_at),
            "received_at": _moment(self.received_at),
            "activated": self.activated_at is not None,
            "activated_at": _moment(self.activated_at),
            "effective_at": _moment(self.effective_at),
            "expires_at": _moment(self.expires_at),
            "frozen_at": _moment(self.frozen_at),
            "released_at": _moment(self.released_at),
            "checked": self.queries > 0,
            "queries": self.queries,
            "last_queried_at": _moment(self.last_queried_at),
            "usage": {day.isoformat(): use.view() for day, use in sorted(self.usage.items())},
            "orders": [order.view() for order in self.orders],
        }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
