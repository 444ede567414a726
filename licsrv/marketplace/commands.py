"""The vocabulary into which every product line translates its callbacks, and the words for how they ended. Pure.

One frozen class per thing the marketplace can ask for, in our words: codes, moments in UTC, yes or no. A product line
that asks for something new adds its class here and to ``Command``; one that asks for the same thing under another name
uses the class that is here.

It does not know how messages are spelled (``product_lines``), nor what is done about them (``callbacks``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class ResultCode(StrEnum):
    """What a callback is answered with (protocol/authorization-code.md §5.8, online-license-and-sdk.md §4.1)."""

    SUCCESS = "000000"
    AUTHENTICATION_FAILED = "000001"
    INVALID_PARAMETER = "000002"
    UNKNOWN_LICENSE = "000003"
    IN_PROGRESS = "000004"
    INTERNAL_ERROR = "000005"
    NO_RESOURCE = "000100"
    QUOTA_USED_UP = "000900"
    OUTSIDE_PERIOD = "000901"
    EXPIRY_REQUIRED = "000902"
    FINGERPRINT_REQUIRED = "000903"


RENEWAL, RENEWAL_CHANGE, CONVERSION = "RENEWAL", "RENEWAL_CHANGE", "TRIAL_TO_FORMAL"
UNDONE = "UNSUBSCRIBE_RENEWAL_PERIOD"
"""The scene that takes a renewal back. It names the order of that renewal, or an order of its own: pages disagree
(online-license-and-sdk.md §3.3, corrections A5)."""
RENEWALS = frozenset({RENEWAL, RENEWAL_CHANGE})


@dataclass(frozen=True, slots=True)
class ChangeExpiry:
    """Set the license's last moment; absolute, so doing it twice is doing it once. It may move to an earlier one.

    ``scene`` is kept as received: words that are not documented are stored, not refused.
    """

    code: str
    scene: str
    order_id: str
    order_line_id: str
    product_id: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class ChangeStatus:
    """Freeze the license, or let it be used again."""

    code: str
    frozen: bool


@dataclass(frozen=True, slots=True)
class ReleaseLicense:
    """End the license for good; the order is named when an unsubscription is the cause."""

    code: str
    order_id: str | None
    order_line_id: str | None


@dataclass(frozen=True, slots=True)
class ExpireLicense:
    """End the license's use now; a renewal may still bring it back."""

    code: str
    order_id: str


@dataclass(frozen=True, slots=True)
class ChangeOrder:
    """The license goes on under another order; the order itself says what was bought with it."""

    code: str
    order_id: str
    order_line_id: str


@dataclass(frozen=True, slots=True)
class OpenInstance:
    """Make a license of an order line whose message has only its name; the order is asked for afterwards."""

    order_id: str
    order_line_id: str
    business_id: str


@dataclass(frozen=True, slots=True)
class OpenLicense:
    """Make a license of an order whose message has all its facts; ``source`` is that of the product line's origin."""

    source: str
    order_id: str
    business_id: str
    product_id: str
    customer: str
    amount: int | None
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class QueryInstances:
    """Say of licenses whether they are open."""

    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ApplyForLicense:
    """Issue a license for a device and send it to the marketplace; ``event_id`` names the application."""

    code: str
    event_id: str
    effective_at: datetime
    expires_at: datetime | None
    device_info: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class CheckChange:
    """Say whether a license could be changed to this product and amount; nothing changes by the question.

    ``amount`` is None where the question states none.
    """

    code: str
    product_id: str
    amount: int | None


@dataclass(frozen=True, slots=True)
class NoteOrder:
    """An order was paid; what it is has to be asked."""

    order_id: str
    order_line_id: str


@dataclass(frozen=True, slots=True)
class Probe:
    """Answer success and change nothing: the marketplace replays its debug cases twice a day (protocol §5.10).

    ``codes`` are the licenses that the answer has to name.
    """

    activity: str
    codes: tuple[str, ...] = ()


LicenseCommand: TypeAlias = ChangeExpiry | ChangeStatus | ChangeOrder | ExpireLicense | ReleaseLicense
Command: TypeAlias = (
    LicenseCommand | OpenInstance | OpenLicense | QueryInstances | CheckChange | ApplyForLicense | NoteOrder | Probe
)


@dataclass(frozen=True, slots=True)
class OpenedInstance:
    """An open license, as the marketplace shows it to the buyer."""

    code: str
    memo: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command was carried out and is on disk; ``message`` is what the marketplace's operator reads.

    Args:
        code: SUCCESS, or IN_PROGRESS where what was asked for follows.
        instance: The code of the license that was opened.
        instances: The licenses asked about, those that are open.
    """

    message: str = "success."
    code: ResultCode = ResultCode.SUCCESS
    instance: str | None = None
    instances: Sequence[OpenedInstance] | None = None
