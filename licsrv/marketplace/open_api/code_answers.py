"""What the license calls of the open API are asked with and answer, as values (protocol §2.2 to §2.4).

Pure and tolerant: large parts of these answers are documented nowhere (GAP, §11), so whatever is missing or odd
becomes ``None`` (or ``UNKNOWN``), the raw answer is kept as well, and nothing here raises for an answer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from licsrv.marketplace import compact_time
from licsrv.marketplace.open_api import amounts
from licsrv.platform.strict_json import MalformedJsonError, loads_object, strings_in

MAX_CODES = 100
"""Codes per usage report (§2.4)."""
MAX_CLIENT_IDS = 100
"""Client ids per code in a usage report (§2.4)."""
LONGEST_CLIENT_ID = 256

_INFO = "license_code_info"
_FAILURES_PREFIX = "check_fail_"  # GAP: the page cuts the member's name off after this
_WORD = re.compile(r"""[^\s,;:'"\[\]{}]+""")
_LONGEST_PRODUCT, _LONGEST_ORDER = 128, 64


class ReportedStatus(StrEnum):
    """The marketplace's word on a code (§1.4); ``UNKNOWN`` for a missing or new word, which ``raw`` still has."""

    ALIVE = "ALIVE"
    EXPIRED = "EXPIRED"
    RELEASED = "RELEASED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Activation:
    """A code was activated. ``expires_at`` is an estimate; the query's is authoritative (§2.2).

    ``raw`` is ``license_code_info`` as it came; ``unread`` names members that were given and cannot be read.
    """

    status: ReportedStatus
    expires_at: datetime | None
    product_id: str | None
    order_id: str | None
    amount: int | None
    raw: str
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CodeState:
    """The authoritative state of a code; ``raw`` is the whole ``data`` of the answer (§2.3).

    ``unread`` names members that were given and cannot be read.
    """

    status: ReportedStatus
    expires_at: datetime | None
    activated_at: datetime | None
    product_id: str | None
    order_id: str | None
    amount: int | None
    raw: dict[str, object] = field(hash=False)
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """The clients that used a code today; an id is at most 256 characters."""

    code: str
    client_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsageResult:
    """A usage report was taken, apart from ``failed_codes``.

    ``complete`` is false when the answer lists failures that do not name a code of the report; see ``raw`` then.
    """

    failed_codes: tuple[str, ...]
    complete: bool
    raw: dict[str, object] = field(hash=False)


def activation(data: object) -> Activation:
    """Read the answer of activate v1, whose ``license_code_info`` is JSON inside a string (§2.2)."""
    given = data.get(_INFO) if isinstance(data, dict) else None
    info = _object(given)
    return Activation(
        status=_status(info),
        expires_at=_moment(info, "expire_time"),
        product_id=_id(info, "product_id", _LONGEST_PRODUCT),
        order_id=_id(info, "order_id", _LONGEST_ORDER),
        amount=amounts.read(info.get("amount")),
        raw=given if isinstance(given, str) else _rendered(given),
        unread=_unread(info),
    )


def code_state(data: object) -> CodeState:
    """Read the answer of heartbeat v1 (§2.3).

    GAP: the table breaks off after ``activate_time``. INFER: by analogy with activate the expiry is ``expire_time``,
    and ``order_id`` and ``amount`` have the same names; a nested ``license_code_info`` is looked into as well.
    """
    raw = _object(data)
    info = {**_object(raw.get(_INFO)), **raw}
    return CodeState(
        status=_status(info),
        expires_at=_moment(info, "expire_time"),
        activated_at=_moment(info, "activate_time"),
        product_id=_id(info, "product_id", _LONGEST_PRODUCT),
        order_id=_id(info, "order_id", _LONGEST_ORDER),
        amount=amounts.read(info.get("amount")),
        raw=raw,
        unread=_unread(info),
    )


def usage_result(data: object, codes: Sequence[str]) -> UsageResult:
    """Find which codes of the report failed (§2.4).

    GAP: neither the name of the member nor its items are known. Every word of any string under any ``check_fail_…``
    member that is one of the reported codes counts as failed; that covers lists, objects and JSON in a string.
    """
    raw = _object(data)
    failures = [value for name, value in raw.items() if name.startswith(_FAILURES_PREFIX)]
    named = {word for failure in failures for text in strings_in(failure) for word in _WORD.findall(text)}
    failed = tuple(code for code in codes if code in named)
    return UsageResult(failed, complete=bool(failed) or not any(failures), raw=raw)


def usage_payload(usages: Sequence[Usage]) -> dict[str, object]:
    """Write a usage report; mind the capital I of ``software_usage_Info`` (§2.4).

    Raises:
        ValueError: More than 100 codes, or a code with no, more than 100, or too long client ids.
    """
    if len(usages) > MAX_CODES:
        raise ValueError(f"A usage report takes at most {MAX_CODES} codes.")
    return {"usage_info": [_usage_item(usage) for usage in usages]}


def _usage_item(usage: Usage) -> dict[str, object]:
    if not 1 <= len(usage.client_ids) <= MAX_CLIENT_IDS:
        raise ValueError(f"A usage report takes 1 to {MAX_CLIENT_IDS} client ids for a code.")
    if any(not 1 <= len(client_id) <= LONGEST_CLIENT_ID for client_id in usage.client_ids):
        raise ValueError(f"A client id has 1 to {LONGEST_CLIENT_ID} characters.")
    return {"license": usage.code, "software_usage_Info": [{"id": client_id} for client_id in usage.client_ids]}


def _object(value: object) -> dict[str, object]:
    """Take an object, or a string that holds one; anything else is an empty object."""
    if isinstance(value, dict):
        return value
    try:
        return loads_object(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else {}
    except MalformedJsonError:
        return {}


def _rendered(value: object) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _status(info: Mapping[str, object]) -> ReportedStatus:
    word = (_text(info, "status") or "").upper()
    return ReportedStatus.__members__.get(word, ReportedStatus.UNKNOWN)


def _moment(info: Mapping[str, object], name: str) -> datetime | None:
    return compact_time.parse(_text(info, name) or "", timezone=UTC)


def _text(info: Mapping[str, object], name: str) -> str | None:
    """Take a string, or a whole number as its digits; blank is absent."""
    value = info.get(name)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() or None if isinstance(value, str) else None


def _id(info: Mapping[str, object], name: str, longest: int) -> str | None:
    """Take an id that has room where it is kept; a longer one than any page knows is read as not given."""
    text = _text(info, name)
    return text if text is None or (len(text) <= longest and text.isprintable()) else None


def _unread(info: Mapping[str, object]) -> tuple[str, ...]:
    read = {"expire_time": _moment(info, "expire_time"), "amount": amounts.read(info.get("amount"))}
    return tuple(name for name, value in read.items() if value is None and amounts.is_given(info.get(name)))
