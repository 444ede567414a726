"""What a control call may say about an order: values with their rules, before anything is bought; pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime

from licsrv.emulator.clock import require_in_calendar
from licsrv.emulator.errors import ControlError
from licsrv.emulator.online_license.orders import Buyer, ChargingMode, Item, OrderType
from licsrv.emulator.periods import PeriodType

MAX_LINEAR_VALUE = 999_999_999


@dataclass(frozen=True)
class Change:
    """What differs in a further order; None leaves a thing as it was.

    Args:
        product_id: Another product, as when the period type changes.
        sku_code: Another specification.
        linear_value: Another value of the quantity-type pricing attribute.
        period_type: Another period type.
        period_number: How many periods the order adds.
        expires_at: The end, instead of counting periods.
        order_id: Instead of a random one.
        order_line_id: Instead of the order's first line.
    """

    product_id: str | None = None
    sku_code: str | None = None
    linear_value: int | None = None
    period_type: PeriodType | None = None
    period_number: int | None = None
    expires_at: datetime | None = None
    order_id: str | None = None
    order_line_id: str | None = None

    def __post_init__(self) -> None:
        for name in ("product_id", "sku_code", "order_id", "order_line_id"):
            require_text(getattr(self, name), name)
        require_linear_value(self.linear_value)
        if self.expires_at is not None:
            require_in_calendar(self.expires_at)

    def applied_to(self, item: Item) -> Item:
        """Return the item as it is after the order."""
        return replace(
            item,
            product_id=self.product_id or item.product_id,
            sku_code=self.sku_code or item.sku_code,
            linear_value=item.linear_value if self.linear_value is None else self.linear_value,
            period_type=self.period_type or item.period_type,
            period_number=item.period_number if self.period_number is None else self.period_number,
        )


@dataclass(frozen=True)
class Purchase:
    """What is bought.

    Args:
        item: The product.
        buyer: Who buys.
        order_type: ``NEW`` or ``TRIAL``.
        expires_at: The end, instead of counting periods.
        order_id: Instead of a random one.
        order_line_id: Instead of the order's first line.
        license_quota: How many different devices may get a license; None for any number.
        foreign: It belongs to another seller.
        announce: Send ``newInstance``.

    Raises:
        ControlError: A value makes no sense.
    """

    item: Item = field(default_factory=Item)
    buyer: Buyer = field(default_factory=Buyer)
    order_type: OrderType = OrderType.NEW
    expires_at: datetime | None = None
    order_id: str | None = None
    order_line_id: str | None = None
    license_quota: int | None = None
    foreign: bool = False
    announce: bool = True

    def __post_init__(self) -> None:
        for name, value in (("product_id", self.item.product_id), ("sku_code", self.item.sku_code)):
            require_text(value, name)
        require_text(self.order_id, "order_id")
        require_text(self.order_line_id, "order_line_id")
        require_linear_value(self.item.linear_value)
        if self.license_quota is not None and not 0 <= self.license_quota <= MAX_LINEAR_VALUE:
            raise ControlError(f"license_quota must be between 0 and {MAX_LINEAR_VALUE}")
        if self.expires_at is not None:
            require_in_calendar(self.expires_at)


def item_of(mode: ChargingMode | None, values: dict[str, object]) -> Item:
    """Return an item; only a period-charged one has periods.

    Raises:
        ControlError: Periods are given for a product that has none.
    """
    chosen = replace(Item(), charging_mode=mode or ChargingMode.PERIOD, **values)  # type: ignore[arg-type]
    if chosen.charging_mode is ChargingMode.PERIOD:
        return chosen
    if {"period_type", "period_number"} & values.keys():
        raise ControlError("only charging_mode PERIOD has a period_type and a period_number")
    return replace(chosen, period_type=None, period_number=None)


def require_text(value: str | None, name: str) -> None:
    """Accept an absent value, or a text like the marketplace's ids.

    Raises:
        ControlError: It is too long, empty, or would not fit into a path.
    """
    if value is None:
        return
    if not 1 <= len(value) <= 64 or not value.isprintable() or "/" in value or not value.strip("."):
        raise ControlError(f"{name} must be a text of 1 to 64 printable characters without a slash")


def require_linear_value(value: int | None) -> None:
    """Accept an absent value or a number the marketplace could have sold.

    Raises:
        ControlError: It is negative or too high.
    """
    if value is not None and not 0 <= value <= MAX_LINEAR_VALUE:
        raise ControlError(f"linear_value must be between 0 and {MAX_LINEAR_VALUE}")
