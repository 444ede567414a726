"""The product line 授权码 2.0: three callbacks about codes that the marketplace hands out.

Translates a message into a command, and a result into an answer, after protocol/authorization-code.md §5.3 to §5.8.
Pure: the signature has been checked before, and what a command changes is decided after.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import tzinfo
from typing import TypeAlias

from licsrv.errors import CallbackError
from licsrv.marketplace.callbacks.product_lines import fields, shared_messages
from licsrv.marketplace.commands import ChangeExpiry, ChangeStatus, Command, Outcome, Probe, ReleaseLicense

METHOD = "POST"
_NAMED_BY = "license"
_STATUS = {"FREEZE": True, "UNFREEZE": False}

Body: TypeAlias = Mapping[str, object]


def parse(body: Body, *, callback_timezone: tzinfo) -> Command:
    """Translate a message of this product line into a command.

    Unknown members are ignored (§2.7). A debug request (``testFlag`` "1") is a ``Probe`` before any other rule: it
    carries whatever sample values the merchant typed in once (§5.10).

    Args:
        body: The parsed message.
        callback_timezone: How ``expireTime`` is read. GAP: no page says; other times of the guide are UTC.

    Raises:
        CallbackError: ``000002`` naming the member that is wrong, or for an activity of no or another product line.
    """
    activity = body.get("activity")
    if not isinstance(activity, str) or activity not in _PARSERS:
        raise fields.refusal("activity is missing or not known.")
    if fields.is_test(body):
        return Probe(activity)
    return _PARSERS[activity](body, callback_timezone)


def answer(result: Outcome | CallbackError) -> dict[str, object]:
    """Give the members of the response (§5.6)."""
    return fields.answer(result)


def _change_expiry(body: Body, timezone: tzinfo) -> ChangeExpiry:
    """§5.3."""
    return shared_messages.change_expiry(body, _NAMED_BY, timezone)


def _change_status(body: Body, _timezone: tzinfo) -> ChangeStatus:
    """§5.4."""
    return shared_messages.change_status(body, _NAMED_BY, _STATUS)


def _release(body: Body, _timezone: tzinfo) -> ReleaseLicense:
    """§5.5."""
    return shared_messages.release(body, _NAMED_BY)


_PARSERS: dict[str, Callable[[Body, tzinfo], Command]] = {
    "refreshLicenseCode": _change_expiry,
    "updateLicenseCodeStatus": _change_status,
    "releaseLicenseCode": _release,
}

ACTIVITIES = frozenset(_PARSERS)
"""The activities of this product line (§5.2)."""
