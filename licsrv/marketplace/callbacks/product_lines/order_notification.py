"""Order notification: the marketplace reports every paid order of any product (online-license-and-sdk.md §6).

No product line in itself; its message comes to the same address and is signed alike. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.product_lines import fields
from licsrv.marketplace.commands import Command, NoteOrder, Outcome, Probe

METHOD = "POST"
_ACTIVITY = "orderNotify"

ACTIVITIES = frozenset({_ACTIVITY})
"""The only activity."""


def parse(body: Mapping[str, object], *, callback_timezone: tzinfo) -> Command:
    """Translate a notification into a command; ``testFlag`` is mandatory, and absent it counts as "0", its default.

    Raises:
        CallbackError: ``000002`` naming the member that is wrong.
    """
    if fields.is_test(body):
        return Probe(_ACTIVITY)
    return NoteOrder(fields.required_id(body, "orderId"), fields.required_id(body, "orderLineId"))


def answer(result: Outcome | CallbackError) -> dict[str, object]:
    """Give the members of the response."""
    return fields.answer(result)
