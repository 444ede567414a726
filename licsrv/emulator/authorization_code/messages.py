"""The bodies of this product line's three callbacks; pure.

Source: protocol/authorization-code.md §5.3 to §5.5. The marketplace's spelling (``orderLineId``) is used here only.
"""

from __future__ import annotations

from datetime import datetime

from licsrv.emulator.authorization_code.codes import Order
from licsrv.emulator.moments import compact

Body = dict[str, object]

RENEWAL = "RENEWAL"
UNSUBSCRIBE_RENEWAL_PERIOD = "UNSUBSCRIBE_RENEWAL_PERIOD"


def refresh(
    code: str, order: Order, expires_at: datetime, *, scene: str = RENEWAL, product_id: str | None = None
) -> Body:
    """Report the new end; ``product_id`` only when the renewal changed the product."""
    body: Body = {
        "activity": "refreshLicenseCode",
        "scene": scene,
        "orderId": order.order_id,
        "orderLineId": order.order_line_id,
        "license": code,
        "expireTime": compact(expires_at),
        "testFlag": "0",
    }
    return body if product_id is None else body | {"productId": product_id}


def update_status(code: str, *, frozen: bool) -> Body:
    """Freeze or unfreeze."""
    status = "FREEZE" if frozen else "UNFREEZE"
    return {"activity": "updateLicenseCodeStatus", "license": code, "status": status, "testFlag": "0"}


def release(code: str, order: Order | None) -> Body:
    """Release; with the unsubscribe order when one caused it."""
    body: Body = {"activity": "releaseLicenseCode", "license": code, "testFlag": "0"}
    return body if order is None else body | {"orderId": order.order_id, "orderLineId": order.order_line_id}


def probes(code: str, order: Order, expires_at: datetime) -> list[Body]:
    """Return the saved debug cases the marketplace replays every morning and afternoon (protocol §5.9, §5.10)."""
    cases = [
        refresh(code, order, expires_at, product_id="OFFI000000000000000001"),
        update_status(code, frozen=True),
        release(code, order),
    ]
    return [case | {"testFlag": "1"} for case in cases]
