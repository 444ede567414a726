"""How an instance comes to be: ``newInstance`` until the merchant has opened it, or the order has failed.

``000004`` means not yet: the marketplace remembers the id it is given, also asks ``queryInstance``, and repeats
``newInstance`` as after any failure. After the last try the order fails and is unsubscribed; a merchant that has named
an instance is asked to release it (INFER).

Source: protocol/online-license-and-sdk.md §3.1, §3.2 and §4.2.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace

from licsrv.emulator.clock import MovableClock
from licsrv.emulator.deliveries import IN_PROGRESS_CODE, Delivery, DeliveryState
from licsrv.emulator.online_license import messages
from licsrv.emulator.online_license.correspondence import Correspondence
from licsrv.emulator.online_license.instances import Instance
from licsrv.emulator.online_license.orders import OrderType

MAX_INSTANCE_ID = 64


class Opening:
    """Opens instances at the merchant's.

    Args:
        clock: The marketplace's clock.
        correspondence: Sends callbacks.
        new_order_id: Gives the id of a further order.
    """

    def __init__(self, clock: MovableClock, correspondence: Correspondence, new_order_id: Callable[[], str]) -> None:
        self._clock = clock
        self._correspondence = correspondence
        self._new_order_id = new_order_id

    def start(self, instance: Instance) -> Delivery:
        """Send ``newInstance`` until it is answered."""

        def write() -> messages.Body:
            instance.business_ids.append(str(uuid.uuid4()))
            return messages.new_instance(instance.purchase, instance.business_ids[-1])

        return self._correspondence.ask_for_instance(write, watch=lambda delivery: self._follow(instance, delivery))

    def query(self, instance: Instance, *, opening: Delivery | None = None) -> Delivery:
        """Send ``queryInstance`` once; an answer that knows the instance opens it."""

        def follow(delivery: Delivery) -> None:
            info = _info_of(instance, delivery)
            if info is None or instance.failed_at:
                return
            instance.app_info = info
            instance.opened_at = instance.opened_at or self._clock.now()
            if opening:
                opening.conclude(DeliveryState.DELIVERED)

        body = messages.query_instance(instance.require_id())
        return self._correspondence.post(body, tries=1, watch=follow)

    def _follow(self, instance: Instance, delivery: Delivery) -> None:
        """Read the answers of the latest try."""
        tried = [each for each in delivery.attempts if each.number == delivery.tries]
        for attempt in tried:
            named = attempt.result.get("instanceId")
            if (attempt.succeeded or attempt.result_code == IN_PROGRESS_CODE) and _is_id(named):
                instance.take_id(str(named))
        if delivery.state is DeliveryState.DELIVERED and not instance.failed_at:
            instance.opened_at = instance.opened_at or self._clock.now()
        elif delivery.state is DeliveryState.GAVE_UP:
            self._give_up(instance)
        elif instance.instance_id and any(each.result_code == IN_PROGRESS_CODE for each in tried):
            self.query(instance, opening=delivery)

    def _give_up(self, instance: Instance) -> None:
        if instance.opened_at or instance.failed_at:
            return
        now = self._clock.now()
        order_id = self._new_order_id()
        refund = replace(
            instance.purchase,
            order_id=order_id,
            order_line_id=f"{order_id}-000001",
            order_type=OrderType.UNSUBSCRIBE,
            placed_at=now,
            expires_at=now,
        )
        instance.failed_at = now
        instance.orders.append(refund)
        if instance.instance_id:
            self._correspondence.post(messages.release_instance(instance.instance_id, refund))


def _info_of(instance: Instance, delivery: Delivery) -> dict[str, object] | None:
    """Return ``appInfo`` of the instance from an answer to ``queryInstance``; empty when it is known without one."""
    listed = delivery.attempts[-1].result.get("info") if delivery.state is DeliveryState.DELIVERED else None
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, Mapping) and item.get("instanceId") == instance.instance_id:
            info = item.get("appInfo")
            return dict(info) if isinstance(info, Mapping) else {}
    return None


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= MAX_INSTANCE_ID
