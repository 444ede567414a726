"""JSON objects from outside, read so that whatever was accepted can also be written again; pure."""

from __future__ import annotations

import json

MAX_BYTES = 1024 * 1024
"""A longer body is not read, neither by the open API nor by the control API."""


def parse_object(content: bytes) -> dict[str, object]:
    """Read one JSON object in UTF-8.

    Raises:
        ValueError: It is not UTF-8, not JSON, not an object, too deeply nested, or holds NaN, an infinite number or
            half of a surrogate pair, none of which could be answered or stored.
    """
    try:
        value = json.loads(content.decode(), parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    if not isinstance(value, dict):
        raise ValueError("the JSON is not an object")  # noqa: TRY004 - callers refuse every wrong body alike
    return value


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")
