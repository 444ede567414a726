"""What was ordered, and how an order query reports it; pure values, moments are arguments.

Source: protocol/online-license-and-sdk.md §5.3.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from licsrv.emulator.moments import compact, rfc3339
from licsrv.emulator.periods import PeriodType, after


class OrderType(StrEnum):
    """Why an order was placed."""

    NEW = "NEW"
    TRIAL = "TRIAL"
    TRIAL_TO_FORMAL = "TRIAL_TO_FORMAL"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    RENEW = "RENEW"
    CHANGE = "CHANGE"


class ChargingMode(StrEnum):
    """How a product is paid for."""

    PERIOD = "PERIOD"
    ONE_TIME = "ONE_TIME"
    ON_DEMAND = "ON_DEMAND"
    ON_DEMAND_PKG = "ON_DEMAND_PKG"


@dataclass(frozen=True)
class Item:
    """The product of an order line.

    Args:
        product_id: Differs by period type.
        sku_code: Stays when the period type changes.
        product_name: Goods, specification, edition, charging.
        linear_value: Value of the quantity-type pricing attribute; None when the product has none.
        charging_mode: How it is paid for.
        period_type: Of a period-charged product.
        period_number: How many periods.
    """

    product_id: str = "OFFI000000000000000001"
    sku_code: str = "SKU-STANDARD"
    product_name: str = "Demo CAD,Standard,Professional,Yearly"
    linear_value: int | None = 1
    charging_mode: ChargingMode = ChargingMode.PERIOD
    period_type: PeriodType | None = PeriodType.YEAR
    period_number: int | None = 1

    def end_from(self, start: datetime) -> datetime | None:
        """Return when the item ends that begins at ``start``; None when it never does.

        Raises:
            ControlError: The end lies outside the calendar.
        """
        if self.charging_mode is not ChargingMode.PERIOD or self.period_type is None:
            return None
        return after(start, self.period_type, 1 if self.period_number is None else self.period_number)

    def product_info(self) -> dict[str, object]:
        """Return ``ProductInfo``; its members are known from examples only."""
        info: dict[str, object] = {"productId": self.product_id, "skuCode": self.sku_code}
        if self.linear_value is not None:
            info["linearValue"] = self.linear_value
        return info | {"productName": self.product_name}


@dataclass(frozen=True)
class Buyer:
    """Who ordered.

    GAP: the fields of ``BuyerInfo`` in the order query; those of the older callback (§3.1) are taken.
    """

    customer_id: str = "688055f1aa90f1858"
    customer_name: str = "demo-customer"
    user_id: str = "5d2f1f7b2f0c4d6f"
    user_name: str = "demo-user"
    mobile_phone: str = "13800000000"
    email: str = "buyer@example.com"

    def buyer_info(self) -> dict[str, object]:
        """Return ``BuyerInfo``."""
        return {_camel(name): value for name, value in asdict(self).items() if value}


@dataclass(frozen=True)
class Order:
    """An order with its one order line.

    Args:
        order_id: The marketplace's order id.
        order_line_id: The marketplace's order line id.
        order_type: Why it was placed.
        placed_at: When, which is not when it takes effect.
        item: What was ordered.
        expires_at: The end of the service after it; None when it never ends.
        buyer: Who ordered.
        foreign: It belongs to another seller: a query must not show it.
    """

    order_id: str
    order_line_id: str
    order_type: OrderType
    placed_at: datetime
    item: Item
    expires_at: datetime | None
    buyer: Buyer
    foreign: bool = False

    def order_info(self) -> dict[str, object]:
        """Return ``OrderInfo``."""
        return {
            "orderId": self.order_id,
            "orderType": self.order_type.value,
            "createTime": compact(self.placed_at),
            "orderLine": [self._line()],
            "buyerInfo": self.buyer.buyer_info(),
            "extendParams": [],
        }

    def _line(self) -> dict[str, object]:
        line: dict[str, object] = {"orderLineId": self.order_line_id, "chargingMode": self.item.charging_mode.value}
        if self.item.period_type is not None:
            line |= {"periodType": self.item.period_type.value, "periodNumber": self.item.period_number}
        if self.expires_at is not None:
            line["expireTime"] = compact(self.expires_at)
        return line | {"productInfo": [self.item.product_info()], "extendParams": []}

    def view(self) -> dict[str, object]:
        """Describe the order for the control API."""
        return {
            "order_id": self.order_id,
            "order_line_id": self.order_line_id,
            "order_type": self.order_type.value,
            "placed_at": rfc3339(self.placed_at),
            "expires_at": rfc3339(self.expires_at) if self.expires_at else None,
            "foreign": self.foreign,
            **asdict(self.item),
        }


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
