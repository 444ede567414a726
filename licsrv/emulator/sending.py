"""The shape of what carries messages, so that product lines need not know the courier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from licsrv.emulator.deliveries import Delivery, Message


class SendMessage(Protocol):
    """What ``Courier.send`` offers."""

    def __call__(
        self,
        message: Message,
        *,
        watch: Callable[[Delivery], None] | None = None,
        remake: Callable[[], Message] | None = None,
        held: bool = False,
    ) -> Delivery:
        """Put a callback on its way and return at once; needs a running event loop. ``held``: only by a flush."""
