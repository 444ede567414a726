"""The messages that two product lines have alike, but for the member that names the license. Pure.

Authorization codes: protocol/authorization-code.md §5.3 to §5.5, ``license``. Online licenses:
online-license-and-sdk.md §3.3 to §3.5, ``instanceId``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo

from licsrv.marketplace.callbacks.product_lines import fields
from licsrv.marketplace.commands import ChangeExpiry, ChangeStatus, ReleaseLicense

Body = Mapping[str, object]


def change_expiry(body: Body, named_by: str, timezone: tzinfo) -> ChangeExpiry:
    """Read an update of the expiry.

    Scenes that are not documented are taken: the sample knows TRIAL_TO_FORMAL, and more may come.

    Raises:
        CallbackError: ``000002`` naming the member that is wrong.
    """
    return ChangeExpiry(
        code=fields.required_id(body, named_by),
        scene=fields.required_id(body, "scene"),
        order_id=fields.required_id(body, "orderId"),
        order_line_id=fields.required_id(body, "orderLineId"),
        product_id=fields.optional_id(body, "productId"),
        expires_at=fields.required_moment(body, "expireTime", timezone=timezone),
    )


def change_status(body: Body, named_by: str, words: Mapping[str, bool]) -> ChangeStatus:
    """Read a freeze or its end; ``words`` says which word of ``status`` freezes.

    Raises:
        CallbackError: ``000002`` naming the member that is wrong.
    """
    return ChangeStatus(code=fields.required_id(body, named_by), frozen=fields.required_choice(body, "status", words))


def release(body: Body, named_by: str) -> ReleaseLicense:
    """Read a release; it names an order only where an unsubscription is the cause.

    Raises:
        CallbackError: ``000002`` naming the member that is wrong.
    """
    return ReleaseLicense(
        code=fields.required_id(body, named_by),
        order_id=fields.optional_id(body, "orderId"),
        order_line_id=fields.optional_id(body, "orderLineId"),
    )
