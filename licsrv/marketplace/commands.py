"""The vocabulary into which every product line translates its callbacks, and the words for how they ended.

One frozen class per thing the marketplace can ask for, in our words: codes, moments in UTC, yes or no. A product line
that asks for something new adds its class here and to ``Command``; one that asks for the same thing under another name
uses the class that is here.

It does not know how messages are spelled (``product_lines``), nor what is done about them (``callbacks``).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias


class ResultCode(StrEnum):
    """What a callback is answered with (protocol/authorization-code.md §5.8)."""

    SUCCESS = "000000"
    AUTHENTICATION_FAILED = "000001"
    INVALID_PARAMETER = "000002"
    UNKNOWN_LICENSE = "000003"
    IN_PROGRESS = "000004"
    INTERNAL_ERROR = "000005"


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
class Probe:
    """Answer success and change nothing: the marketplace replays its debug cases twice a day (protocol §5.10)."""

    activity: str


Command: TypeAlias = ChangeExpiry | ChangeStatus | ReleaseLicense | Probe


@dataclass(frozen=True, slots=True)
class Outcome:
    """A command was carried out and is on disk; ``message`` is what the marketplace's operator reads."""

    message: str = "success."
