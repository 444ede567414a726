"""The nine simulated orders the marketplace offers for debugging; pure.

Their ids are documented, their contents are not: what the id says, beginning at the moment of the query.

Source: protocol/online-license-and-sdk.md §5.3.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from licsrv.emulator.online_license.orders import Buyer, ChargingMode, Item, Order, OrderType
from licsrv.emulator.periods import PeriodType

_MONTHLY = Item(product_name="Mock,Standard,Professional,Monthly", period_type=PeriodType.MONTH)
_ONCE = replace(_MONTHLY, charging_mode=ChargingMode.ONE_TIME, period_type=None, period_number=None)

MOCK_ORDERS: dict[str, tuple[OrderType, Item]] = {
    "MOCKPERIODYEARNEW": (OrderType.NEW, replace(_MONTHLY, period_type=PeriodType.YEAR)),
    "MOCKONETIMENEW": (OrderType.NEW, _ONCE),
    "MOCKONDEMAND": (OrderType.NEW, replace(_ONCE, charging_mode=ChargingMode.ON_DEMAND)),
    "MOCKONDEMANDPKG": (OrderType.NEW, replace(_ONCE, charging_mode=ChargingMode.ON_DEMAND_PKG)),
    "MOCKPERIODDAYTRIAL": (OrderType.TRIAL, replace(_MONTHLY, period_type=PeriodType.DAY, period_number=7)),
    "MOCKMONTYTRIALTOFORMAL": (OrderType.TRIAL_TO_FORMAL, _MONTHLY),
    "MOCKMONTYUNSUBSCRIBE": (OrderType.UNSUBSCRIBE, _MONTHLY),
    "MOCKMONTYRENEW": (OrderType.RENEW, _MONTHLY),
    "MOCKMONTYCHANGE": (OrderType.CHANGE, _MONTHLY),
}


def mock_order(order_id: str, now: datetime) -> Order | None:
    """Return a simulated order, or None when no such one exists; its line id ends in ``-000001``."""
    if order_id not in MOCK_ORDERS:
        return None
    order_type, item = MOCK_ORDERS[order_id]
    return Order(
        order_id,
        f"{order_id}-000001",
        order_type,
        placed_at=now,
        item=item,
        expires_at=item.end_from(now),
        buyer=Buyer(),
    )
