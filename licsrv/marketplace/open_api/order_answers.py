"""Read what the marketplace says of an order (protocol/online-license-and-sdk.md §5.3). Pure.

The tables of the pages are incomplete (GAP): members that are missing or of another type are read as not given, and
only an answer that does not name the order line at all is no answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from licsrv.errors import MarketplaceUnansweredError
from licsrv.marketplace import compact_time

_LONGEST = {"id": 64, "product": 128, "word": 32, "customer": 200}
_MONTHS = {"year": 12, "month": 1}
_LONGEST_PERIOD = 1200
_DAYS = {"day": 1, "week": 7}


class OrderType(StrEnum):
    """Why an order was placed; another word counts as OTHER."""

    NEW = "NEW"
    TRIAL = "TRIAL"
    TRIAL_TO_FORMAL = "TRIAL_TO_FORMAL"
    UNSUBSCRIBE = "UNSUBSCRIBE"
    RENEW = "RENEW"
    CHANGE = "CHANGE"
    OTHER = "OTHER"


PERIOD = "PERIOD"
_TYPES = {str(word): word for word in OrderType}


@dataclass(frozen=True, slots=True)
class Order:
    """What was bought with one order line; ``end_is_worked_out`` says that its end was not stated."""

    order_id: str
    order_line_id: str
    type: OrderType
    charging_mode: str
    product_id: str
    amount: int | None
    expires_at: datetime | None
    customer: str
    end_is_worked_out: bool = False
    placed_at: datetime | None = None


def order(members: Mapping[str, object], order_line_id: str) -> Order:
    """Read the answer about an order line; without an id the first line is meant.

    Raises:
        MarketplaceUnansweredError: It says nothing of that line, so asking again may help.
    """
    info = members.get("orderInfo")
    line = _line(info, order_line_id) if isinstance(info, Mapping) else None
    if line is None or not isinstance(info, Mapping):
        raise MarketplaceUnansweredError("The marketplace's answer about an order does not name the order line.")
    product = next(iter(_objects(line.get("productInfo"))), {})
    return Order(
        order_id=_text(info.get("orderId"), "id"),
        order_line_id=_text(line.get("orderLineId"), "id"),
        type=_TYPES.get(_text(info.get("orderType"), "word"), OrderType.OTHER),
        charging_mode=_text(line.get("chargingMode"), "word"),
        product_id=_text(product.get("productId"), "product"),
        amount=_amount(product.get("linearValue")),
        expires_at=_expiry(line, _moment(info.get("createTime"))),
        customer=_customer(info.get("buyerInfo")),
        placed_at=_moment(info.get("createTime")),
        end_is_worked_out=line.get("chargingMode") == PERIOD and _moment(line.get("expireTime")) is None,
    )


def _line(info: Mapping[str, Any], order_line_id: str) -> Mapping[str, Any] | None:
    lines = _objects(info.get("orderLine"))
    found = [line for line in lines if not order_line_id or line.get("orderLineId") == order_line_id]
    return found[0] if found else None


def _objects(value: object) -> Sequence[Mapping[str, Any]]:
    """Return the objects of a list; one object alone counts as a list of one."""
    if isinstance(value, Mapping):
        return [value]
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _text(value: object, kind: str) -> str:
    return value[: _LONGEST[kind]] if isinstance(value, str) else ""


def _amount(value: object) -> int | None:
    """Read how much was bought; a part of a unit counts as nothing said."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 9:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    is_count = isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**9
    return int(value) if is_count else None  # type: ignore[call-overload]


def _moment(value: object) -> datetime | None:
    return compact_time.parse(value, timezone=UTC) if isinstance(value, str) else None


def _expiry(line: Mapping[str, Any], created_at: datetime | None) -> datetime | None:
    """Return the end of what is paid for by period; None for what never ends.

    INFER: a period order without ``expireTime`` ends its period after it was placed; refreshInstance states the exact
    moment later. One whose end cannot be worked out is no answer: it must not become a license without an end.
    """
    if line.get("chargingMode") != PERIOD:
        return None
    ends_at = _moment(line.get("expireTime")) or _period_end(line, created_at)
    if ends_at is None:
        raise MarketplaceUnansweredError("The marketplace's answer does not say when the order's period ends.")
    return ends_at


def _period_end(line: Mapping[str, Any], created_at: datetime | None) -> datetime | None:
    number = _amount(line.get("periodNumber"))
    if created_at is None or number is None or number > _LONGEST_PERIOD:
        return None
    unit = str(line.get("periodType", "")).lower()
    if unit in _DAYS:
        return created_at + timedelta(days=_DAYS[unit] * number)
    months = _MONTHS.get(unit, 0) * number
    return _months_later(created_at, months) if months else None


def _months_later(moment: datetime, months: int) -> datetime:
    """Return the same day some months later; a day that the month does not have becomes the first of the next."""
    years, month = divmod(moment.month - 1 + months, 12)
    try:
        return moment.replace(year=moment.year + years, month=month + 1)
    except ValueError:
        return (moment.replace(year=moment.year + years, month=month + 1, day=1) + timedelta(days=31)).replace(day=1)


def _customer(value: object) -> str:
    """Return the buyer's name; telephone numbers and addresses are nobody's business here."""
    return _text(value.get("customerName"), "customer") if isinstance(value, Mapping) else ""
