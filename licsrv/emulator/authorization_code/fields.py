"""The field rules of the open API's requests: mandatory, type, length, form; pure.

Every broken rule is 95000001 (protocol/authorization-code.md §3.1). Whether a code exists or may be activated is not
decided here. A member with the value null counts as absent. Unknown members are ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from licsrv.emulator.errors import OpenApiRefusedError
from licsrv.emulator.moments import parse_compact
from licsrv.emulator.open_api_codes import OpenApiCode

MAX_CODES = 100
MAX_USAGES = 100


@dataclass(frozen=True)
class Usage:
    """One report of use: a client's id, or a number of active clients."""

    client_id: str | None
    active_num: int | None


@dataclass(frozen=True)
class UsageOfCode:
    """The reports for one code."""

    code: str
    usages: tuple[Usage, ...]


def code_of(body: Mapping[str, object]) -> str:
    """Return the mandatory ``license``."""
    return _required(body, "license", 64)


def codes_of(body: Mapping[str, object]) -> list[str]:
    """Return the mandatory ``license_list`` of v2."""
    return [_checked_text(item, "license_list", 64) for item in _list(body, "license_list", MAX_CODES)]


def effect_time_of(body: Mapping[str, object]) -> datetime | None:
    """Return the optional ``real_effect_time``, UTC (protocol §2.2)."""
    text = _optional(body, "real_effect_time", 16)
    if text is None:
        return None
    try:
        return parse_compact(text)
    except ValueError as error:
        raise _refuse("real_effect_time", "must be yyyyMMddHHmmss") from error


def check_heartbeat_info(body: Mapping[str, object], *, required: bool) -> None:
    """Check ``heartbeatInfo``, optional today and mandatory in the older text (protocol §2.3)."""
    info = body.get("heartbeatInfo")
    if info is None and not required:
        return
    checked = _object(info, "heartbeatInfo")
    _required(checked, "thirdPartyAccount", 256)
    _optional(checked, "ip", 32)


def usages_of(body: Mapping[str, object]) -> list[UsageOfCode]:
    """Return the mandatory ``usage_info``; ``software_usage_Info`` has that capital letter (protocol §2.4)."""
    return [_usage_of_code(_object(item, "usage_info")) for item in _list(body, "usage_info", MAX_CODES)]


def _usage_of_code(item: Mapping[str, object]) -> UsageOfCode:
    code = _required(item, "license", 64)
    usages = _list(item, "software_usage_Info", MAX_USAGES)
    return UsageOfCode(code, tuple(_usage(_object(usage, "software_usage_Info")) for usage in usages))


def _usage(item: Mapping[str, object]) -> Usage:
    client_id, active_num = _optional(item, "id", 256), item.get("active_num")
    if (client_id is None) == (active_num is None):
        raise _refuse("software_usage_Info", "needs exactly one of id and active_num")
    return Usage(client_id, None if active_num is None else _active_num(active_num))


def _active_num(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 999_999_999:
        raise _refuse("active_num", "must be a whole number of at most 9 digits")
    return value


def _list(body: Mapping[str, object], name: str, longest: int) -> list[object]:
    value = body.get(name)
    if not isinstance(value, list) or not 1 <= len(value) <= longest:
        raise _refuse(name, f"must be a list of 1 to {longest} items")
    return value


def _object(value: object, name: str) -> dict[str, object]:
    if not isinstance(value, dict):
        raise _refuse(name, "must be an object")
    return value


def _required(body: Mapping[str, object], name: str, longest: int) -> str:
    return _checked_text(body.get(name), name, longest)


def _optional(body: Mapping[str, object], name: str, longest: int) -> str | None:
    return None if body.get(name) is None else _checked_text(body[name], name, longest)


def _checked_text(value: object, name: str, longest: int) -> str:
    # GAP: the alphabet of a code; control characters are the only ones refused.
    if not isinstance(value, str) or not 1 <= len(value) <= longest or not value.isprintable():
        raise _refuse(name, f"must be a text of 1 to {longest} characters")
    return value


def _refuse(name: str, rule: str) -> OpenApiRefusedError:
    return OpenApiRefusedError(OpenApiCode.REQUEST_INVALID, f"{name} {rule}")
