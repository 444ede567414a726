"""The product line 在线开通License: instances that the marketplace orders, licenses that travel back through it.

Translates a message into a command, and a result into an answer, after protocol/online-license-and-sdk.md §3 and §4.
Pure: the signature has been checked before, and what a command changes is decided after.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import TypeAlias

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.product_lines import fields, shared_messages
from licsrv.marketplace.commands import (
    ApplyForLicense,
    ChangeExpiry,
    ChangeOrder,
    ChangeStatus,
    CheckChange,
    Command,
    OpenInstance,
    Outcome,
    Probe,
    QueryInstances,
    ReleaseLicense,
)

METHOD = "POST"
_NAMED_BY = "instanceId"

# NORMAL is the word of an older generation (§3.4, §9).
_STATUS = {"FREEZE": True, "UNFREEZE": False, "NORMAL": False}
_MOST_INSTANCES = 100
_LONGEST_LIST = _MOST_INSTANCES * (fields.LONGEST_ID + 1)  # the table says 100 characters, the text 100 ids (§3.2)
_LONGEST_TIME = 32
_LONGEST_FINGERPRINT = 5 * 1024  # 5 KB by one page, 1024 by another (§9): the longer one is taken
_UTC_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]{1,6})? ?[zZ]?")
_NOT_TYPED_IN = "debug-instance"

Body: TypeAlias = Mapping[str, object]


def parse(body: Body, *, callback_timezone: tzinfo) -> Command:
    """Translate a message of this product line into a command.

    Unknown members are ignored, as are those of the older, fatter newInstance (§3.1). A debug request (``testFlag``
    "1") is a ``Probe`` before any other rule.

    Raises:
        CallbackError: ``000002`` naming the member that is wrong, or for an activity of no or another product line.
    """
    activity = body.get("activity")
    if not isinstance(activity, str) or activity not in _PARSERS:
        raise fields.refusal("activity is missing or not known.")
    if fields.is_test(body):
        return _probe(activity, body)
    return _PARSERS[activity](body, callback_timezone)


def answer(result: Outcome | CallbackError) -> dict[str, object]:
    """Give the members of the response; newInstance and queryInstance have one more than the others (§3.1, §3.2)."""
    members = fields.answer(result)
    if isinstance(result, CallbackError):
        return members
    if result.instance is not None:
        members["instanceId"] = result.instance
    if result.instances is not None:
        # There is no page for each license, so the mandatory address is empty; the state is in the memo.
        members["info"] = [
            {"instanceId": opened.code, "appInfo": {"frontEndUrl": "", "memo": opened.memo}}
            for opened in result.instances
        ]
    return members


def _probe(activity: str, body: Body) -> Probe:
    """A debug newInstance has to answer an id, a debug queryInstance the ids it asked for (§3)."""
    if activity == "newInstance":
        return Probe(activity, (fields.optional_id(body, "businessId") or _NOT_TYPED_IN,))
    if activity == "queryInstance":
        return Probe(activity, _codes(body))
    return Probe(activity)


def _open(body: Body, _timezone: tzinfo) -> OpenInstance:
    """§3.1."""
    return OpenInstance(
        order_id=fields.required_id(body, "orderId"),
        order_line_id=fields.required_id(body, "orderLineId"),
        business_id=fields.required_id(body, "businessId"),
    )


def _query(body: Body, _timezone: tzinfo) -> QueryInstances:
    """§3.2."""
    return QueryInstances(_codes(body))


def _codes(body: Body) -> tuple[str, ...]:
    text = fields.required_text(body, "instanceId", max_length=_LONGEST_LIST)
    codes = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if len(codes) > _MOST_INSTANCES:
        raise fields.refusal(f"instanceId names more than {_MOST_INSTANCES} instances.")
    if not codes or any(len(code) > fields.LONGEST_ID for code in codes):
        raise fields.refusal(f"instanceId is not a list of ids of at most {fields.LONGEST_ID} characters.")
    return codes


def _change_expiry(body: Body, timezone: tzinfo) -> ChangeExpiry:
    """§3.3."""
    return shared_messages.change_expiry(body, _NAMED_BY, timezone)


def _change_status(body: Body, _timezone: tzinfo) -> ChangeStatus:
    """§3.4."""
    return shared_messages.change_status(body, _NAMED_BY, _STATUS)


def _release(body: Body, _timezone: tzinfo) -> ReleaseLicense:
    """§3.5."""
    return shared_messages.release(body, _NAMED_BY)


def _apply(body: Body, _timezone: tzinfo) -> ApplyForLicense:
    """§3.6."""
    return ApplyForLicense(
        code=fields.required_id(body, "instanceId"),
        event_id=fields.required_id(body, "eventId"),
        effective_at=_required_time(body, "effectiveTime"),
        expires_at=_optional_time(body, "expireTime"),
        device_info=fields.optional_text(body, "deviceFingerprint", max_length=_LONGEST_FINGERPRINT),
    )


def _upgrade(body: Body, _timezone: tzinfo) -> ChangeOrder:
    """§3.7."""
    return ChangeOrder(
        code=fields.required_id(body, "instanceId"),
        order_id=fields.required_id(body, "orderId"),
        order_line_id=fields.required_id(body, "orderLineId"),
    )


def _check_change(body: Body, _timezone: tzinfo) -> CheckChange:
    """Read the question before a renewal with change (corrections B1): the product is an object of its own."""
    product = fields.required_object(body, "productInfo")
    return CheckChange(
        code=fields.required_id(body, _NAMED_BY),
        product_id=fields.required_id(product, "productId"),
        amount=fields.optional_count(product, "linearValue"),
    )


def _required_time(body: Body, name: str) -> datetime:
    moment = _optional_time(body, name)
    if moment is None:
        raise fields.refusal(f"{name} is missing.")
    return moment


def _optional_time(body: Body, name: str) -> datetime | None:
    """Read ``2023-10-27 10:30:15 z``, or the ``T`` form, in UTC (§3.6)."""
    text = fields.optional_text(body, name, max_length=_LONGEST_TIME)
    if text is None:
        return None
    match = _UTC_TIME.fullmatch(text.strip())
    try:
        return datetime.fromisoformat(f"{match[1]} {match[2]}").replace(tzinfo=UTC) if match else _refuse_time(name)
    except ValueError:
        return _refuse_time(name)


def _refuse_time(name: str) -> datetime:
    raise fields.refusal(f"{name} is not a time of the form yyyy-MM-dd HH:mm:ss z.")


_PARSERS: dict[str, Callable[[Body, tzinfo], Command]] = {
    "newInstance": _open,
    "queryInstance": _query,
    "refreshInstance": _change_expiry,
    "updateInstanceStatus": _change_status,
    "releaseInstance": _release,
    "getLicenseAsync": _apply,
    "upgradeInstance": _upgrade,
    "changeInstanceCheck": _check_change,
}

ACTIVITIES = frozenset(_PARSERS)
"""The activities of this product line (§3, corrections B1)."""
