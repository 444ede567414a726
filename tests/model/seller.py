"""The marketplace of the model: it sells codes, answers the open API from its books, and has messages to deliver.

It keeps what was sold, not what the service should make of it. A message waits until the machine delivers it: late, in
another order, or again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import httpx2

from tests.model.model import RENEWAL, UNDONE, Message, Word

_SUCCESS, _ILLEGAL, _UNKNOWN, _NO_ORDER = "92020000", "92020003", "92020005", "CBC.0150"


@dataclass
class Sold:
    """A code that was sold."""

    code: str
    product: str
    amount: int
    days: int
    end: datetime | None = None
    is_frozen: bool = False
    is_released: bool = False
    renewals: list[tuple[datetime, str, str]] = field(default_factory=list)

    def word(self, now: datetime) -> Word:
        """What a query is answered. A frozen code is not alive."""
        assert self.end is not None
        is_over = self.is_frozen or self.end <= now
        status = "RELEASED" if self.is_released else "EXPIRED" if is_over else "ALIVE"
        return Word(status, self.end, self.product, self.amount)


@dataclass
class Seller(httpx2.AsyncBaseTransport):
    """The marketplace's books and its open API."""

    now: Callable[[], datetime]
    sold: dict[str, Sold] = field(default_factory=dict)
    waiting: list[Message] = field(default_factory=list)
    delivered: list[Message] = field(default_factory=list)
    told: list[tuple[str, Word]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    is_away: bool = False
    loses: int = 0
    count: int = 0

    # What buyers do.

    def sell(self, product: str, *, amount: int, days: int) -> Sold:
        self.count += 1
        sold = self.sold[f"PL{self.count:010}"] = Sold(f"PL{self.count:010}", product, amount, days)
        return sold

    def renew(self, sold: Sold, days: int, product: str = "") -> Message:
        assert sold.end is not None
        order = self._order()
        sold.renewals.append((sold.end, sold.product, order))
        sold.end = max(sold.end, self.now()) + timedelta(days=days)
        sold.product = product or sold.product
        return self._about_end(sold, RENEWAL, order, product)

    def take_back(self, sold: Sold, *, by_its_own_order: bool) -> Message:
        """Take the latest renewal back; its message names the renewal's order, or one of its own."""
        before, product, order = sold.renewals.pop()
        was, sold.end, sold.product = sold.product, before, product
        return self._about_end(
            sold, UNDONE, self._order() if by_its_own_order else order, product if was != product else ""
        )

    def freeze(self, sold: Sold, is_frozen: bool) -> Message:
        sold.is_frozen = is_frozen
        body = {"activity": "updateLicenseCodeStatus", "license": sold.code}
        return self._say(sold, body | {"status": "FREEZE" if is_frozen else "UNFREEZE"}, is_freeze=is_frozen)

    def release(self, sold: Sold) -> Message:
        sold.is_released = True
        return self._say(sold, {"activity": "releaseLicenseCode", "license": sold.code})

    def _order(self) -> str:
        self.count += 1
        return f"CS{self.count:08}"

    def _about_end(self, sold: Sold, scene: str, order: str, product: str) -> Message:
        assert sold.end is not None
        body = {
            "activity": "refreshLicenseCode", "expireTime": f"{sold.end:%Y%m%d%H%M%S}", "license": sold.code,
            "orderId": order, "orderLineId": f"{order}-1", "scene": scene,
        }  # fmt: skip
        if product:
            body["productId"] = product
        return self._say(sold, body, scene=scene, end=sold.end, product=product)

    def _say(self, sold: Sold, body: Mapping[str, Any], **facts: Any) -> Message:
        self.count += 1
        self.waiting.append(Message(f"m{self.count}", sold.code, str(body["activity"]), body=body, **facts))
        return self.waiting[-1]

    # What the service asks.

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self.is_away:
            raise httpx2.ConnectError("away")
        content = await request.aread()
        answer = self._answer(request.url.path, json.loads(content) if content else {})
        if self.loses:
            self.loses -= 1
            raise httpx2.ReadError("lost")
        return httpx2.Response(200, json=answer)

    def _answer(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        match path.rpartition("/")[2]:
            case "activate":
                return self._activate(body["license"])
            case "heartbeat":
                return self._query(body["license"])
            case "software-usage-info":
                return self._note_use(body)
            case _:
                return {"resultCode": _NO_ORDER, "resultMsg": "no"}

    def _activate(self, code: str) -> Mapping[str, Any]:
        sold = self.sold.get(code)
        if sold is None or sold.end is not None:
            return {"error_code": _UNKNOWN if sold is None else _ILLEGAL, "error_msg": "no"}
        sold.end = self.now() + timedelta(days=sold.days)
        info = {"status": "ALIVE", **_facts(sold)}
        return {"error_code": _SUCCESS, "error_msg": "", "data": {"license_code_info": json.dumps(info)}}

    def _query(self, code: str) -> Mapping[str, Any]:
        sold = self.sold[code]
        if not self.loses:
            self.told.append((code, sold.word(self.now())))
        data = {"license_code": code, "status": sold.word(self.now()).status, **_facts(sold)}
        return {"error_code": _SUCCESS, "error_msg": "", "data": data}

    def _note_use(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        self.used |= {(one["license"], used["id"]) for one in body["usage_info"] for used in one["software_usage_Info"]}
        return {"error_code": _SUCCESS, "error_msg": "", "data": {}}


def _facts(sold: Sold) -> Mapping[str, Any]:
    assert sold.end is not None
    return {"expire_time": f"{sold.end:%Y%m%d%H%M%S}", "product_id": sold.product, "amount": sold.amount}
