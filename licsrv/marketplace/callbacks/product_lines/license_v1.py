"""The retired product line License 1.0: GET requests with an ``authToken`` (online-license-and-sdk.md §7).

Translates the parameters into a command, and a result into an answer. Pure: the token has been checked before
(``auth_token``), and what a command changes is decided after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TypeAlias

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.product_lines import fields
from licsrv.marketplace.commands import (
    ChangeExpiry,
    Command,
    ExpireLicense,
    OpenLicense,
    Outcome,
    Probe,
    ReleaseLicense,
)
from licsrv.marketplace.origins import LICENSE_V1

METHOD = "GET"
_RENEWAL, _CONVERSION = "RENEWAL", "TRIAL_TO_FORMAL"
_LONGEST_CUSTOMER_ID = 100
_LONGEST_PERIOD = 10
_TYPED_IN = "debug-license"

Body: TypeAlias = Mapping[str, object]


def parse(body: Body, *, callback_timezone: tzinfo) -> Command:
    """Translate the parameters of a request into a command; further parameters are ignored.

    Raises:
        CallbackError: ``000002`` naming the parameter that is wrong, or for an activity that is not of this line.
    """
    activity = body.get("activity")
    if not isinstance(activity, str) or activity not in _PARSERS:
        raise fields.refusal("activity is missing or not known.")
    if fields.is_test(body):
        return Probe(activity, (_TYPED_IN,) if activity == "getLicense" else ())
    return _PARSERS[activity](body, callback_timezone)


def answer(result: Outcome | CallbackError) -> dict[str, object]:
    """Give the members of the response.

    ``license`` is what the buyer types into the software: the code with which it asks for its license string. The
    page does not say what it has to look like (GAP), so it is the instance's own id: one name for one thing.
    """
    members = fields.answer(result)
    if isinstance(result, Outcome) and result.instance is not None:
        members |= {"license": result.instance, "instanceId": result.instance}
    return members


def _open(body: Body, timezone: tzinfo) -> OpenLicense:
    """§7.1 getLicense. Who the buyer is there, the SKU and the period are checked and not kept.

    ``expireTime`` is sent only for products that are sold by period. Without it and without a period, the license was
    bought once.
    """
    fields.required_text(body, "customerId", max_length=_LONGEST_CUSTOMER_ID)
    fields.optional_id(body, "skuCode")
    period = fields.optional_text(body, "periodType", max_length=_LONGEST_PERIOD)
    expires_at = fields.optional_moment(body, "expireTime", timezone=timezone)
    if period is not None and expires_at is None:
        raise fields.refusal("expireTime is missing for a license that is bought by period.")
    return OpenLicense(
        source=LICENSE_V1.source,
        order_id=fields.required_id(body, "orderId"),
        business_id=fields.required_id(body, "businessId"),
        product_id=fields.required_id(body, "productId"),
        customer=fields.optional_id(body, "customerName") or "",
        amount=fields.optional_count(body, "amount") or None,
        expires_at=expires_at,
    )


def _change_expiry(body: Body, timezone: tzinfo) -> ChangeExpiry:
    """§7.1 refreshLicense. The period says nothing that the end does not: it is checked and not kept."""
    fields.optional_text(body, "periodType", max_length=_LONGEST_PERIOD)
    fields.optional_count(body, "periodNumber")
    return ChangeExpiry(
        code=fields.required_id(body, "instanceId"),
        scene=_CONVERSION if fields.optional_flag(body, "trialToFormal") else _RENEWAL,
        order_id=fields.required_id(body, "orderId"),
        order_line_id="",
        product_id=fields.optional_id(body, "productId"),
        expires_at=fields.required_moment(body, "expireTime", timezone=timezone),
    )


def _expire(body: Body, _timezone: tzinfo) -> ExpireLicense:
    """§7.1 expireLicense."""
    return ExpireLicense(fields.required_id(body, "instanceId"), fields.required_id(body, "orderId"))


def _release(body: Body, _timezone: tzinfo) -> ReleaseLicense:
    """§7.1 releaseLicense."""
    return ReleaseLicense(fields.required_id(body, "instanceId"), fields.required_id(body, "orderId"), None)


_PARSERS: dict[str, Callable[[Body, tzinfo], Command]] = {
    "getLicense": _open,
    "refreshLicense": _change_expiry,
    "expireLicense": _expire,
    "releaseLicense": _release,
}

ACTIVITIES = frozenset(_PARSERS)
"""The activities of this product line (§7.1)."""
