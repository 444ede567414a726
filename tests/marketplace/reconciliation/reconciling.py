"""A marketplace that answers at once from a table, licenses seeded in bulk, and reconcilers that never sleep."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
from sqlalchemy import insert
from sqlmodel import col, select

from licsrv.licensing.tables import License
from licsrv.marketplace.reconciliation.runner import Reconciler, ReconciliationSettings
from licsrv.marketplace.reconciliation.tables import Difference, ReconciliationRun
from licsrv.platform.db import reading, table_of, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock

ENDS = datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC)
DELETED = {"error_code": "92020005", "error_msg": "license does not exist"}


def compact(moment: datetime) -> str:
    return moment.strftime("%Y%m%d%H%M%S")


def state(status: str = "ALIVE", **members: Any) -> dict[str, Any]:
    """Return the answer about a code as we know it; None leaves a member out."""
    told = {"status": status, "expire_time": compact(ENDS), "product_id": "OFFI1", "amount": 2} | members
    return {name: value for name, value in told.items() if value is not None}


@dataclass
class Shop:
    """The open API. ``codes`` and ``orders`` hold what differs from the usual answer; ``is_down`` answers 502."""

    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    is_down: bool = False
    refuses_our_keys: bool = False
    down_after: int | None = None

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        is_order = request.url.path.endswith("/order/query")
        name = request.url.params["orderId"] if is_order else json.loads(request.read())["license"]
        if self.refuses_our_keys:
            return httpx2.Response(401, json={"error_code": "APIG.0301", "error_msg": "Incorrect IAM"})
        if self.down_after is not None and len(self.asked) >= self.down_after:
            self.is_down = True
        if self.is_down or name in self.silent:
            return httpx2.Response(502, text="bad gateway")
        self.asked.append(name)
        answer = self._order(name) if is_order else self._code(name)
        return httpx2.Response(200, json=answer)

    def _code(self, code: str) -> dict[str, Any]:
        told = self.codes.get(code, state())
        return told if "error_code" in told else {"error_code": "92020000", "data": told}

    def _order(self, order_id: str) -> dict[str, Any]:
        if order_id not in self.orders:
            return {"resultCode": "CBC.0199", "resultMsg": "no such order"}
        return {"resultCode": "MKT.0000", "orderInfo": self.orders[order_id]}

    def sell(self, order_id: str, kind: str = "NEW", product: str = "OFFI1", amount: int = 2, **line: Any) -> None:
        told = {
            "orderLineId": f"{order_id}-000001", "chargingMode": "PERIOD", "periodType": "year", "periodNumber": 1,
            "expireTime": compact(ENDS), "productInfo": [{"productId": product, "linearValue": amount}],
        } | line  # fmt: skip
        line = {name: value for name, value in told.items() if value is not None}
        self.orders[order_id] = {
            "orderId": order_id, "orderType": kind, "createTime": "20260301000000", "orderLine": [line],
        }  # fmt: skip


def name_of(number: int) -> str:
    return f"PL{number:06}"


def seed(runtime: Runtime, count: int, **facts: Any) -> None:
    """Write licenses as the marketplace's usual answer describes them."""
    rows = [
        {
            "id": f"{number:023}", "code": name_of(number), "source": "marketplace", "product_id": "OFFI1",
            "order_id": f"CS{number}", "order_line_id": "", "customer": "", "amount": 2, "places_taken": 0,
            "is_test": False, "created_at": NOW - timedelta(days=30), "activated_at": NOW - timedelta(days=30),
            "expires_at": ENDS, "facts_changed_at": NOW - timedelta(days=30),
        } | facts
        for number in range(1, count + 1)
    ]  # fmt: skip
    with transaction(runtime.database) as session:
        session.execute(insert(table_of(License)), rows)


def change(runtime: Runtime, number: int, **facts: Any) -> None:
    """Change a license behind everybody's back."""
    with transaction(runtime.database) as session:
        license = session.scalars(select(License).where(col(License.code) == name_of(number))).one()
        for name, value in facts.items():
            setattr(license, name, value)
        session.add(license)


def license_of(runtime: Runtime, number: int) -> License:
    with reading(runtime.database) as session:
        license = session.scalars(select(License).where(col(License.code) == name_of(number))).one()
        session.expunge_all()
        return license


def differences(runtime: Runtime, *, closed: bool = False) -> list[Difference]:
    with reading(runtime.database) as session:
        over = col(Difference.closed_at)
        query = select(Difference).where(over.is_not(None) if closed else over.is_(None))
        found = list(session.scalars(query.order_by(col(Difference.license_id), col(Difference.kind))))
        session.expunge_all()
        return found


def found(runtime: Runtime) -> dict[str, set[str]]:
    """Return the kinds of difference that each license has."""
    kinds: dict[str, set[str]] = {}
    for difference in differences(runtime):
        kinds.setdefault(name_of(int(difference.license_id)), set()).add(difference.kind)
    return kinds


def last_run(runtime: Runtime) -> ReconciliationRun:
    with reading(runtime.database) as session:
        run = session.scalars(select(ReconciliationRun).order_by(col(ReconciliationRun.id).desc())).first()
        assert run is not None
        session.expunge_all()
        return run


def reconciler(
    runtime: Runtime, clock: StandingClock, owner: str = "one", per_second: float = 1000, hour: int | None = 2
) -> Reconciler:
    async def sleep(span: timedelta) -> None:
        clock.advance(seconds=span.total_seconds())

    settings = ReconciliationSettings(timedelta(seconds=5), per_second, hour, ZoneInfo("Asia/Shanghai"), True)
    return Reconciler(
        runtime.api, runtime.database, runtime.writer, settings=settings, clock=clock, owner=owner, sleep=sleep
    )
