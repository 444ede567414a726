"""Read a JSON object so strictly that every reader sees the same thing. Pure.

``json.loads`` lets the last of two equal members win, knows ``NaN``, makes lone surrogates that no database stores,
and meets deep nesting with a ``RecursionError``. Each of these is a way to make a signature, a check and a store see
three different messages; here each is a ``MalformedJsonError`` with a sentence for the sender.

It does not check which members an object has, nor of what type they are.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import NoReturn, cast

from licsrv.platform.text_limits import is_storable

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BRACKETS_AND_STRINGS = re.compile(r'[\[{\]}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)  # possessive: linear on any input
_INT64_MIN, _INT64_MAX = -(2**63), 2**63 - 1
_LONGEST_INT64 = len(str(_INT64_MIN))


class NumberText(str):
    """A number that fits no type of ours, as it was written."""

    __slots__ = ()


class MalformedJsonError(ValueError):
    """The bytes are not one JSON object that every reader understands alike; the message says why."""


def loads_object(
    body: bytes, *, max_depth: int = 16, max_bytes: int = 65536, keeps_numbers: bool = False
) -> dict[str, object]:
    """Parse one JSON object (RFC 8259) and refuse whatever readers could understand differently.

    Args:
        body: The bytes as received.
        max_depth: How many objects and arrays may be open at once, the outermost one included.
        max_bytes: The longest body that is looked at.
        keeps_numbers: A number beyond 64 bits becomes a ``NumberText`` instead of an error, for messages whose
            unknown members must not matter.

    Raises:
        MalformedJsonError: Too long, not UTF-8, a byte order mark, not JSON, too deeply nested, a member that
            appears twice, NaN or Infinity, a number beyond 64 bits, U+0000 or half of a surrogate pair in a string,
            something after the end, or not an object.
    """
    text = _text(body, max_bytes)
    _check_depth(text, max_depth)
    value = _parse(text, keeps_numbers=keeps_numbers)
    if not isinstance(value, dict):
        raise MalformedJsonError("The body is JSON but not an object.")
    _check_strings(value)
    return value


def _text(body: bytes, max_bytes: int) -> str:
    if len(body) > max_bytes:
        raise MalformedJsonError(f"The body is longer than {max_bytes} bytes.")
    if body.startswith(_BYTE_ORDER_MARK):
        raise MalformedJsonError("The body starts with a byte order mark.")
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedJsonError(f"The body is not UTF-8 (byte {error.start}).") from error


def _check_depth(text: str, max_depth: int) -> None:
    """Count open brackets outside strings before the recursive parser sees the text."""
    depth = 0
    for token in _BRACKETS_AND_STRINGS.finditer(text):
        first = text[token.start()]
        depth += (first in "[{") - (first in "]}")
        if depth > max_depth:
            raise MalformedJsonError(f"The body is nested more than {max_depth} deep.")


def _parse(text: str, *, keeps_numbers: bool) -> object:
    try:
        return cast(
            "object",
            json.loads(
                text,
                object_pairs_hook=_unique_members,
                parse_constant=_refuse_constant,
                parse_int=partial(_kept, _int64) if keeps_numbers else _int64,
                parse_float=partial(_kept, _finite) if keeps_numbers else _finite,
            ),
        )
    except json.JSONDecodeError as error:
        message = f"The body is not JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise MalformedJsonError(message) from error


def _unique_members(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for index, name in enumerate(names) if name in names[:index])
        raise MalformedJsonError(f"The member {_shown(twice)} appears twice.")
    return members


def _shown(name: str) -> str:
    return ascii(name if len(name) <= 40 else name[:40] + "...")


def _refuse_constant(word: str) -> NoReturn:
    raise MalformedJsonError(f"{word} is not a JSON number.")


def _kept(read: Callable[[str], float], digits: str) -> float | NumberText:
    try:
        return read(digits)
    except MalformedJsonError:
        return NumberText(digits)


def _int64(digits: str) -> int:
    # The length is looked at first: int() itself raises on a few thousand digits.
    if len(digits) <= _LONGEST_INT64 and _INT64_MIN <= (number := int(digits)) <= _INT64_MAX:
        return number
    raise MalformedJsonError("A whole number does not fit into 64 bits.")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise MalformedJsonError("A number is too large for 64-bit floating point.")
    return number


def _check_strings(value: object) -> None:
    if not all(map(is_storable, strings_in(value))):
        raise MalformedJsonError("A string holds U+0000 or half of a surrogate pair.")


def strings_in(value: object) -> Iterator[str]:
    """Walk every string of a parsed document, member names included; parsing has bounded its depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, member in value.items():
            yield name
            yield from strings_in(member)
    elif isinstance(value, list):
        for item in value:
            yield from strings_in(item)
