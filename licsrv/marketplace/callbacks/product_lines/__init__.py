"""One module per product line of the marketplace, and the table that sends a callback to the right one. Pure.

A new product line is one module with ``METHOD``, ``ACTIVITIES``, ``parse`` and ``answer``, and one line in
``PRODUCT_LINES``: docs/product-lines.md shows how.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Protocol

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.product_lines import (
    authorization_code,
    fields,
    license_v1,
    online_license,
    order_notification,
)
from licsrv.marketplace.commands import Command, Outcome


class ProductLine(Protocol):
    """What a product line's module has to offer."""

    @property
    def METHOD(self) -> str:  # noqa: N802 - a module's constant, seen through a protocol
        """The HTTP method of its messages: each method is signed in its own way, so none counts for the other."""

    @property
    def ACTIVITIES(self) -> frozenset[str]:  # noqa: N802 - a module's constant, seen through a protocol
        """The values of ``activity`` that are this product line's."""

    def parse(self, body: Mapping[str, object], *, callback_timezone: tzinfo) -> Command:
        """Translate a message into a command, or raise ``CallbackError``."""

    def answer(self, result: Outcome | CallbackError) -> dict[str, object]:
        """Give the members of the response."""


PRODUCT_LINES: tuple[ProductLine, ...] = (authorization_code, online_license, order_notification, license_v1)

_BY_ACTIVITY = {activity: line for line in PRODUCT_LINES for activity in line.ACTIVITIES}


def parse(body: Mapping[str, object], *, callback_timezone: tzinfo, method: str = "POST") -> Command:
    """Translate a callback of any product line into a command.

    Raises:
        CallbackError: ``000002`` when the activity is missing, unknown or of another method, or when its product line
            refuses a member.
    """
    line = _line_of(body.get("activity"))
    if line is None or method != line.METHOD:
        raise fields.refusal("activity is missing or not known.")
    return line.parse(body, callback_timezone=callback_timezone)


def answer(activity: object, result: Outcome | CallbackError) -> dict[str, object]:
    """Give the response in the words of the activity's product line.

    An unknown activity (or a body that could not be read at all: pass ``None``) is answered with the two members that
    all product lines share.
    """
    line = _line_of(activity)
    return line.answer(result) if line is not None else fields.answer(result)


def _line_of(activity: object) -> ProductLine | None:
    return _BY_ACTIVITY.get(activity) if isinstance(activity, str) else None
