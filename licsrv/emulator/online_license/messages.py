"""The bodies of this product line's callbacks, members in the order of the documents; pure.

Source: protocol/online-license-and-sdk.md §3 and §6.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import StrEnum

from licsrv.emulator.moments import compact, compact_milliseconds, spaced
from licsrv.emulator.online_license.orders import Item, Order

Body = dict[str, object]

SAMPLE_INSTANCE = "87b94795-0603-4e24-8ae5-69420d60e3c8"
SAMPLE_FINGERPRINT = "00:00:5E:00:53:01|D1|B1|C1"


class Scene(StrEnum):
    """Why an end changes; the last one belongs to SaaS 2.0."""

    TRIAL_TO_FORMAL = "TRIAL_TO_FORMAL"
    RENEWAL = "RENEWAL"
    UNSUBSCRIBE_RENEWAL_PERIOD = "UNSUBSCRIBE_RENEWAL_PERIOD"
    RENEWAL_CHANGE = "RENEWAL_CHANGE"


def new_instance(order: Order, business_id: str) -> Body:
    """Ask for an instance; the business id differs on every request, repeats included."""
    return {"activity": "newInstance", "businessId": business_id} | _line_of(order) | _NORMAL


def query_instance(*instance_ids: str) -> Body:
    """Ask what is known of instances."""
    return {"activity": "queryInstance", "instanceId": ",".join(instance_ids)} | _NORMAL


def refresh_instance(
    instance_id: str,
    order: Order,
    expires_at: datetime,
    *,
    scene: Scene,
    product_id: str | None = None,
    milliseconds: bool = False,
) -> Body:
    """Report the new end; ``product_id`` only when the period type changed it.

    The table gives the end fourteen digits, the example seventeen (``milliseconds``).
    """
    end = compact_milliseconds(expires_at) if milliseconds else compact(expires_at)
    body = {"activity": "refreshInstance", "scene": scene.value} | _line_of(order) | {"instanceId": instance_id}
    product: Body = {} if product_id is None else {"productId": product_id}
    return body | product | {"expireTime": end} | _NORMAL


def update_instance_status(instance_id: str, *, frozen: bool) -> Body:
    """Freeze or unfreeze."""
    status = "FREEZE" if frozen else "UNFREEZE"
    return {"activity": "updateInstanceStatus", "instanceId": instance_id, "status": status} | _NORMAL


def release_instance(instance_id: str, order: Order | None) -> Body:
    """Release; with the unsubscribe order when one caused it."""
    return {"activity": "releaseInstance", "instanceId": instance_id} | (_line_of(order) if order else {}) | _NORMAL


def change_instance_check(instance_id: str, item: Item) -> Body:
    """Ask whether an instance can be changed to an item, before a renewal with change (corrections B1)."""
    return {"activity": "changeInstanceCheck", "instanceId": instance_id, "productInfo": item.product_info()}


def upgrade_instance(instance_id: str, order: Order) -> Body:
    """Report that a further order changed what was bought (SaaS 2.0)."""
    return {"activity": "upgradeInstance", "instanceId": instance_id} | _line_of(order) | _NORMAL


def get_license_async(
    instance_id: str, event_id: str, effective_at: datetime, expires_at: datetime | None, device_fingerprint: str
) -> Body:
    """Apply for a license; like the published example without ``testFlag``."""
    body: Body = {
        "activity": "getLicenseAsync",
        "eventId": event_id,
        "instanceId": instance_id,
        "effectiveTime": spaced(effective_at),
    }
    if expires_at is not None:
        body["expireTime"] = spaced(expires_at)
    return body | ({"deviceFingerprint": device_fingerprint} if device_fingerprint else {})


def order_notify(order: Order, *, test: bool) -> Body:
    """Notify an order; here ``testFlag`` is mandatory."""
    return {"activity": "orderNotify"} | _line_of(order) | {"testFlag": "1" if test else "0"}


def debug_cases(order: Callable[[str], Order]) -> dict[str, Body]:
    """Return a debug case for every scene, about the simulated orders; no instance in it exists.

    Args:
        order: Gives a simulated order.
    """
    new, gone = order("MOCKPERIODYEARNEW"), order("MOCKMONTYUNSUBSCRIBE")
    end = new.expires_at or new.placed_at
    cases: dict[str, Body] = {
        "newInstance": new_instance(new, SAMPLE_INSTANCE),
        "queryInstance": query_instance(SAMPLE_INSTANCE),
        **{
            f"refreshInstance:{scene}": refresh_instance(SAMPLE_INSTANCE, order(order_id), end, scene=scene)
            for scene, order_id in _MOCK_OF_SCENE.items()
        },
        "updateInstanceStatus:FREEZE": update_instance_status(SAMPLE_INSTANCE, frozen=True),
        "updateInstanceStatus:UNFREEZE": update_instance_status(SAMPLE_INSTANCE, frozen=False),
        "releaseInstance": release_instance(SAMPLE_INSTANCE, gone),
        "upgradeInstance": upgrade_instance(SAMPLE_INSTANCE, order("MOCKMONTYCHANGE")),
        "changeInstanceCheck": change_instance_check(SAMPLE_INSTANCE, new.item),
        "getLicenseAsync": get_license_async(
            SAMPLE_INSTANCE,
            "evt-debug",
            effective_at=new.placed_at,
            expires_at=end,
            device_fingerprint=SAMPLE_FINGERPRINT,
        ),
        "orderNotify": order_notify(new, test=True),
    }
    return {name: case | {"testFlag": "1"} for name, case in cases.items()}


_MOCK_OF_SCENE = {
    Scene.TRIAL_TO_FORMAL: "MOCKMONTYTRIALTOFORMAL",
    Scene.RENEWAL: "MOCKMONTYRENEW",
    Scene.UNSUBSCRIBE_RENEWAL_PERIOD: "MOCKMONTYUNSUBSCRIBE",
    Scene.RENEWAL_CHANGE: "MOCKMONTYCHANGE",
}
_NORMAL: Body = {"testFlag": "0"}


def _line_of(order: Order) -> Body:
    return {"orderId": order.order_id, "orderLineId": order.order_line_id}
