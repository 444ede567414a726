"""The detail of an audit entry, or the payload of a delivery, as one line of text. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from typing import Any

from licsrv.platform import days, moments

_KNOWN_ON_THE_PAGE = frozenset({"code", "product_id", "order_id", "amount", "issued", "parts", "places"})
_SHORTEST_MOMENT = len("2027-01-31T16:00Z")


def in_words(detail: Any) -> str:
    """Return the detail of an audit entry as one line: ``name=value``, with ``before -> after`` where it changed."""
    if not isinstance(detail, Mapping):
        return str(detail)
    return ", ".join(f"{name}={_value(value)}" for name, value in detail.items() if value not in (None, "", {}, []))


def in_brief(detail: Any) -> str:
    """Return a detail without what the license page shows anyway."""
    if not isinstance(detail, Mapping):
        return str(detail)
    return in_words({name: value for name, value in detail.items() if name not in _KNOWN_ON_THE_PAGE})


def _value(value: Any) -> str:
    if isinstance(value, Mapping) and value.keys() == {"before", "after"}:
        return f"{_value(value['before'])} -> {_value(value['after'])}"
    if isinstance(value, Mapping):
        return "(" + ", ".join(f"{name} {_value(inner)}" for name, inner in value.items()) + ")"
    if isinstance(value, list):
        return "[" + ", ".join(_value(inner) for inner in value) + "]"
    return "none" if value is None else _moment_or_text(str(value))


def _moment_or_text(text: str) -> str:
    try:
        return moments.full(days.read(text).begin(UTC)) if len(text) >= _SHORTEST_MOMENT else text
    except ValueError:
        return text
