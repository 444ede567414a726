"""Moments as the marketplace writes them, and as the control API does; pure, reads no clock."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import format_datetime

_COMPACT = re.compile(r"[0-9]{14}")
_SDK_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")


def compact(moment: datetime) -> str:
    """Write a moment as ``yyyyMMddHHmmss`` in UTC (protocol §2.2, §5.3; the zone of callbacks is a GAP, UTC taken)."""
    return moment.astimezone(UTC).strftime("%Y%m%d%H%M%S")


def compact_milliseconds(moment: datetime) -> str:
    """Write a moment as ``yyyyMMddHHmmssSSS`` in UTC (protocol/online-license-and-sdk.md §7.1)."""
    return compact(moment) + f"{moment.microsecond // 1000:03}"


def spaced(moment: datetime) -> str:
    """Write a moment as ``2023-10-27 10:30:15 z`` (protocol/online-license-and-sdk.md §3.6)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S z")


def parse_compact(text: str) -> datetime:
    """Read ``yyyyMMddHHmmss`` as UTC.

    Raises:
        ValueError: It is not fourteen ASCII digits of an existing moment; ``strptime`` alone would take fewer digits.
    """
    if not _COMPACT.fullmatch(text):
        raise ValueError("not yyyyMMddHHmmss")
    return datetime.strptime(text, "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def sdk_date(moment: datetime) -> str:
    """Write a moment as the header ``X-Sdk-Date`` wants it, ``yyyyMMdd'T'HHmmss'Z'``."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def parse_sdk_date(text: str) -> datetime:
    """Read ``X-Sdk-Date``.

    Raises:
        ValueError: It has another form or names no existing moment.
    """
    if not _SDK_DATE.fullmatch(text):
        raise ValueError("not yyyyMMdd'T'HHmmss'Z'")
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def http_date(moment: datetime) -> str:
    """Write a moment for the ``Date`` header (RFC 822 form, protocol §2.1)."""
    return format_datetime(moment.astimezone(UTC).replace(microsecond=0), usegmt=True)


def rfc3339(moment: datetime) -> str:
    """Write a moment for the control API, with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_any(text: str) -> datetime:
    """Read RFC 3339 with a zone, or the marketplace's own ``yyyyMMddHHmmss``.

    Raises:
        ValueError: It is neither, or leaves the calendar in UTC.
    """
    if _COMPACT.fullmatch(text):
        return parse_compact(text)
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError("a moment needs a zone, for instance a final Z")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("outside the calendar") from error
