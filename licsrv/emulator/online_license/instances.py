"""What an instance is at the marketplace, from its purchase to its release; values and their views only.

Source: protocol/online-license-and-sdk.md §3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from licsrv.emulator.errors import ControlError
from licsrv.emulator.moments import rfc3339
from licsrv.emulator.online_license.orders import Item, Order


class InstanceState(StrEnum):
    """The state of an instance, for the person at the control API."""

    OPENING = "OPENING"
    FAILED = "FAILED"
    OPEN = "OPEN"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    RELEASED = "RELEASED"


@dataclass(frozen=True)
class Renewal:
    """What a renewal replaced, so that it can be undone."""

    order: Order
    previous_expires_at: datetime | None
    previous_item: Item


@dataclass
class Instance:
    """A purchase, and the merchant's instance for it.

    Args:
        orders: Every order that concerns it, the purchase first.
        item: What holds now.
        expires_at: When it ends; None when it never does.
        license_quota: How many different devices may get a license; None for any number.
        instance_id: The merchant's name for it; None until the merchant gives one.
        opened_at: When the merchant said that it is there.
        failed_at: When the marketplace gave the order up.
        problems: What the merchant did that the documents forbid.
    """

    orders: list[Order]
    item: Item
    expires_at: datetime | None
    license_quota: int | None = None
    trial: bool = False
    instance_id: str | None = None
    opened_at: datetime | None = None
    failed_at: datetime | None = None
    frozen_at: datetime | None = None
    released_at: datetime | None = None
    renewals: list[Renewal] = field(default_factory=list)
    business_ids: list[str] = field(default_factory=list)
    app_info: dict[str, object] | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def purchase(self) -> Order:
        """The order that bought it."""
        return self.orders[0]

    def state(self, now: datetime) -> InstanceState:
        """Return its state at this moment."""
        if self.released_at:
            return InstanceState.RELEASED
        if self.failed_at:
            return InstanceState.FAILED
        if not self.opened_at:
            return InstanceState.OPENING
        if self.frozen_at:
            return InstanceState.FROZEN
        ended = self.expires_at is not None and now >= self.expires_at
        return InstanceState.EXPIRED if ended else InstanceState.OPEN

    def require_id(self) -> str:
        """Return the merchant's name for it.

        Raises:
            ControlError: The merchant has not given one yet.
        """
        if self.instance_id is None:
            raise ControlError(f"order {self.purchase.order_id} has no instance yet", status=409)
        return self.instance_id

    def require_unreleased(self) -> str:
        """Return the merchant's name for it, unless it is released.

        Raises:
            ControlError: No instance yet, or released already.
        """
        if self.released_at:
            raise ControlError(f"{self.instance_id} is released", status=409)
        return self.require_id()

    def take_id(self, instance_id: str) -> None:
        """Remember the merchant's name; another one on a repeat is a mistake that is written down."""
        if self.instance_id is None:
            self.instance_id = instance_id
        elif self.instance_id != instance_id:
            self.problems.append(f"a repeat of newInstance was answered with another instanceId, {instance_id[:64]}")

    def view(self, now: datetime) -> dict[str, object]:
        """Describe it for the control API."""
        return {
            "instance_id": self.instance_id,
            "order_id": self.purchase.order_id,
            "state": self.state(now).value,
            "trial": self.trial,
            "product_id": self.item.product_id,
            "sku_code": self.item.sku_code,
            "linear_value": self.item.linear_value,
            "charging_mode": self.item.charging_mode.value,
            "license_quota": self.license_quota,
            "expires_at": _moment(self.expires_at),
            "opened_at": _moment(self.opened_at),
            "failed_at": _moment(self.failed_at),
            "frozen_at": _moment(self.frozen_at),
            "released_at": _moment(self.released_at),
            "business_ids": list(self.business_ids),
            "app_info": self.app_info,
            "problems": list(self.problems),
            "orders": [order.view() for order in self.orders],
        }


def _moment(moment: datetime | None) -> str | None:
    return rfc3339(moment) if moment else None
