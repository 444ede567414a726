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

from licsrv.errors import MarketplaceUnansweredError, MarketplaceUnreadableError
from licsrv.marketplace import compact_time
from licsrv.marketplace.open_api import amounts

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


PERIOD, ONE_TIME = "PERIOD", "ONE_TIME"
_MODES = frozenset({PERIOD, ONE_TIME, "ON_DEMAND", "ON_DEMAND_PKG"})
_ENDING = frozenset({OrderType.UNSUBSCRIBE})
"""Types of orders that grant nothing, so that their end does not matter."""
_TYPES = {str(word): word for word in OrderType}


@dataclass(frozen=True, slots=True)
class Order:
    """What was bought with one order line.

    ``expires_at`` is None only for an order that says explicitly that it was bought once and states no end.
    ``end_is_worked_out``: the end was not stated. ``unread``: members that were given and cannot be read.
    """

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
    unread: tuple[str, ...] = ()


def order(members: Mapping[str, object], order_line_id: str) -> Order:
    """Read the answer about an order line; without an id the first line is meant.

    Raises:
        MarketplaceUnansweredError: It says nothing of that line, so asking again may help.
        MarketplaceUnreadableError: It does not say readably when what was bought ends.
    """
    info = members.get("orderInfo")
    line = _line(info, order_line_id) if isinstance(info, Mapping) else None
    if line is None or not isinstance(info, Mapping):
        raise MarketplaceUnansweredError("The marketplace's answer about an order does not name the order line.")
    product = next(iter(_objects(line.get("productInfo"))), {})
    type = _TYPES.get(_text(info.get("orderType"), "word"), OrderType.OTHER)
    placed_at = _moment(info.get("createTime"))
    stated, amount = _moment(line.get("expireTime")), amounts.read(product.get("linearValue"))
    expires_at = stated if stated is not None or type in _ENDING else _unstated_end(line, placed_at)
    return Order(
        order_id=_text(info.get("orderId"), "id"),
        order_line_id=_text(line.get("orderLineId"), "id"),
        type=type,
        charging_mode=_mode(line),
        product_id=_text(product.get("productId"), "product"),
        amount=amount,
        expires_at=expires_at,
        customer=_customer(info.get("buyerInfo")),
        placed_at=placed_at,
        end_is_worked_out=stated is None and expires_at is not None,
        unread=("linearValue",) if amount is None and amounts.is_given(product.get("linearValue")) else (),
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


def _moment(value: object) -> datetime | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return compact_time.parse(value.strip(), timezone=UTC) if isinstance(value, str) else None


def _mode(line: Mapping[str, Any]) -> str:
    return _text(line.get("chargingMode"), "word").strip().upper()


def _unstated_end(line: Mapping[str, Any], placed_at: datetime | None) -> datetime | None:
    """Return the end of what was bought where no readable ``expireTime`` states it; None for what was bought once.

    1. An end that is given and cannot be read is no answer: the license may be shorter than anything assumed here.
    2. A period ends so long after the order was placed (INFER; refreshInstance states the exact moment later).
    3. ``ONE_TIME`` says explicitly that no end was bought.
    4. Anything else is no answer: an unknown mode, a period that cannot be worked out, pay per use (whose right of use
       lasts until a freeze or a release, so an offline license without an end would outlive it).

    Raises:
        MarketplaceUnreadableError: No answer, naming the member.
    """
    if amounts.is_given(line.get("expireTime")):  # 1
        raise _unreadable("expireTime")
    mode = _mode(line)
    if mode not in _MODES:  # 4
        raise _unreadable("chargingMode")
    ends_at = _period_end(line, placed_at)  # 2
    if ends_at is not None:
        return ends_at
    if mode == ONE_TIME and not amounts.is_given(line.get("periodType")):  # 3
        return None
    raise _unreadable("expireTime")  # 4


def _unreadable(member: str) -> MarketplaceUnreadableError:
    return MarketplaceUnreadableError(
        f"The marketplace's answer about the order does not say readably when what was bought ends ({member}).",
        members=(member,),
    )


def _period_end(line: Mapping[str, Any], created_at: datetime | None) -> datetime | None:
    number = amounts.read(line.get("periodNumber"))
    if created_at is None or number is None or number > _LONGEST_PERIOD:
        return None
    unit = str(line.get("periodType", "")).strip().lower()
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
    """Return the buyer's name; telephone numbers and addresses are not kept."""
    return _text(value.get("customerName"), "customer") if isinstance(value, Mapping) else ""
