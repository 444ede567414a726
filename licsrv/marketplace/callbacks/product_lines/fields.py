"""Read the members of a callback as the guide's tables give them: mandatory or optional, text, at most so long. Pure.

Shared by all product lines. Every refusal is a ``CallbackError`` 000002 that names the member, in the marketplace's
spelling, and never repeats its value. A member that is null counts as absent. It does not know any message.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, tzinfo
from typing import TypeVar

from licsrv.errors import CallbackError
from licsrv.marketplace import compact_time
from licsrv.marketplace.commands import Outcome, ResultCode

Choice = TypeVar("Choice")

LONGEST_MESSAGE = 255
"""The longest ``resultMsg``, in characters."""
LONGEST_ID = 64
"""The longest id of anything: license, instance, order, order line, product, event."""

_FLAGS = {"": False, "0": False, "false": False, "1": True, "true": True}
_LARGEST_EXACT = 2**53
_COUNT = re.compile(r"[0-9]{1,9}")
_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # half surrogates cannot be stored either


def refusal(reason: str) -> CallbackError:
    """Make the ``000002`` for a member that breaks its rule."""
    return CallbackError(ResultCode.INVALID_PARAMETER, reason)


def required_text(body: Mapping[str, object], name: str, *, max_length: int) -> str:
    """Read a mandatory member.

    Raises:
        CallbackError: It is absent, blank, no scalar, longer than ``max_length`` characters, or holds control
            characters.
    """
    value = optional_text(body, name, max_length=max_length)
    if value is None:
        raise refusal(f"{name} is missing.")
    return value


def optional_text(body: Mapping[str, object], name: str, *, max_length: int) -> str | None:
    """Read an optional member; ``None`` when it is absent, null or blank (forms send what was not filled in as "").

    Raises:
        CallbackError: It is there and is no scalar, too long, or holds control characters.
    """
    value = _text_or_none(body, name)
    if value is None:
        return None
    if len(value) > max_length:
        raise refusal(f"{name} is longer than {max_length} characters.")
    if _CONTROL_CHARACTERS.search(value):
        raise refusal(f"{name} holds control characters.")
    return value if value.strip() else None


def required_id(body: Mapping[str, object], name: str) -> str:
    """Read a mandatory member that names something: at most 64 characters, whatever it names."""
    return required_text(body, name, max_length=LONGEST_ID)


def optional_id(body: Mapping[str, object], name: str) -> str | None:
    """Read an optional member that names something."""
    return optional_text(body, name, max_length=LONGEST_ID)


def required_choice(body: Mapping[str, object], name: str, choices: Mapping[str, Choice]) -> Choice:
    """Read a mandatory member that is one of a few words, and return the word's meaning.

    Raises:
        CallbackError: It is absent or another word; case matters.
    """
    word = _text_or_none(body, name)
    if word is None or word not in choices:
        raise refusal(f"{name} is not one of {', '.join(choices)}.")
    return choices[word]


def required_moment(body: Mapping[str, object], name: str, *, timezone: tzinfo) -> datetime:
    """Read a mandatory ``yyyyMMddHHmmss`` member as a moment in UTC.

    Raises:
        CallbackError: It is absent or not such a time.
    """
    moment = compact_time.parse(_text_or_none(body, name) or "", timezone=timezone)
    if moment is None:
        raise refusal(f"{name} is not a time of the form yyyyMMddHHmmss.")
    return moment


def optional_moment(body: Mapping[str, object], name: str, *, timezone: tzinfo) -> datetime | None:
    """Read an optional ``yyyyMMddHHmmss`` member as a moment in UTC; ``None`` when it is absent, null or blank.

    Raises:
        CallbackError: It is there and is not such a time.
    """
    return required_moment(body, name, timezone=timezone) if (_text_or_none(body, name) or "").strip() else None


def optional_count(body: Mapping[str, object], name: str) -> int | None:
    """Read an optional whole number, sent as a number or as digits; ``None`` when it is absent, null or blank.

    Raises:
        CallbackError: It is there and is no whole number from 0 to 999,999,999.
    """
    text = (_text_or_none(body, name) or "").strip()
    if not text:
        return None
    if not _COUNT.fullmatch(text):
        raise refusal(f"{name} is not a whole number.")
    return int(text)


def required_object(body: Mapping[str, object], name: str) -> Mapping[str, object]:
    """Read a mandatory member that is an object.

    Raises:
        CallbackError: It is absent or anything else.
    """
    value = body.get(name)
    if not isinstance(value, Mapping):
        raise refusal(f"{name} is missing or not an object.")
    return value


def answer(result: Outcome | CallbackError) -> dict[str, object]:
    """Give the two members that every response has; a longer message is cut to 255 characters.

    The codes of all product lines agree (protocol/authorization-code.md §5.8, online-license-and-sdk.md §4.1).
    """
    code = result.result_code if isinstance(result, CallbackError) else result.code
    return {"resultCode": str(code), "resultMsg": result.message[:LONGEST_MESSAGE]}


def is_test(body: Mapping[str, object]) -> bool:
    """Say whether ``testFlag`` marks a debug request; absent, null or blank means a real one.

    Pages type it as a string or as a number; JSON's true and false are read likewise.

    Raises:
        CallbackError: It is another word; guessing could let a debug request change a real license.
    """
    return optional_flag(body, "testFlag")


def optional_flag(body: Mapping[str, object], name: str) -> bool:
    """Read an optional yes or no; absent, null and blank mean no.

    Raises:
        CallbackError: It is another word than 0, 1, true and false.
    """
    flag = (_text_or_none(body, name) or "").strip()
    if flag not in _FLAGS:
        raise refusal(f"{name} is not one of 0, 1.")
    return _FLAGS[flag]


def _text_or_none(body: Mapping[str, object], name: str) -> str | None:
    """Return a scalar as text: clients of other languages send ids and times as numbers.

    Raises:
        CallbackError: It is an object, a list, or a number that has no one spelling.
    """
    value = body.get(name)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_EXACT:
        return str(int(value))
    if isinstance(value, int):
        return str(value)
    raise refusal(f"{name} is not a string.")
