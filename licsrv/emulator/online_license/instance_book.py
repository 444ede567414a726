"""Every instance and every order the marketplace knows, and how one is found; decides nothing."""

from __future__ import annotations

import secrets
import string
from datetime import datetime

from licsrv.emulator.errors import ControlError, OpenApiRefusedError
from licsrv.emulator.online_license.instances import Instance
from licsrv.emulator.online_license.mock_orders import mock_order
from licsrv.emulator.online_license.orders import Order
from licsrv.emulator.open_api_codes import CommerceCode

ALPHABET = string.ascii_uppercase + string.digits


class InstanceBook:
    """Keeps instances in memory."""

    def __init__(self) -> None:
        self._instances: list[Instance] = []

    def all(self) -> list[Instance]:
        """Return every instance, the oldest first."""
        return list(self._instances)

    def add(self, instance: Instance) -> None:
        """Keep a new instance."""
        self._instances.append(instance)

    def clear(self) -> None:
        """Forget every instance."""
        self._instances.clear()

    def get(self, name: str) -> Instance:
        """Return an instance by the merchant's id or by one of its orders.

        Raises:
            ControlError: There is none.
        """
        for instance in self._instances:
            if instance.instance_id == name or any(order.order_id == name for order in instance.orders):
                return instance
        raise ControlError(f"there is no instance {name}, and no order of that name", status=404)

    def orders(self) -> list[Order]:
        """Return every order, instance by instance."""
        return [order for instance in self._instances for order in instance.orders]

    def order(self, order_id: str, now: datetime) -> Order:
        """Return an order, also a simulated one.

        Raises:
            ControlError: There is none.
        """
        found = self._find(order_id) or mock_order(order_id, now)
        if found is None:
            raise ControlError(f"there is no order {order_id}", status=404)
        return found

    def query(self, order_id: str, order_line_id: str | None, now: datetime) -> Order:
        """Return an order for the open API, the simulated ones included.

        Raises:
            OpenApiRefusedError: It belongs to another seller (CBC.0150); no such order or line (CBC.0199, a GAP).
        """
        found = self._find(order_id) or mock_order(order_id, now)
        if found is None:
            raise OpenApiRefusedError(CommerceCode.OTHER_PARAMETER_ERROR, "no such order")
        if found.foreign:
            raise OpenApiRefusedError(CommerceCode.NOT_ALLOWED, "another seller's order")
        if order_line_id not in {None, found.order_line_id}:
            raise OpenApiRefusedError(CommerceCode.OTHER_PARAMETER_ERROR, "the order has no such line")
        return found

    def new_order_id(self, wanted: str | None, now: datetime) -> str:
        """Return an order id that is free.

        Raises:
            ControlError: The wanted one is taken.
        """
        if wanted is None:
            return f"CS{now:%y%m%d%H%M}{''.join(secrets.choice(ALPHABET) for _ in range(5))}"
        if self._find(wanted) is not None:
            raise ControlError(f"there is an order {wanted} already", status=409)
        return wanted

    def _find(self, order_id: str) -> Order | None:
        return next((order for order in self.orders() if order.order_id == order_id), None)
