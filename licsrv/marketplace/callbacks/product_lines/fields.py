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

_COUNT = re.compile(r"[0-9]{1,9}")
_CONTROL_CHARACTERS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # half surrogates cannot be stored either


def refusal(reason: str) -> CallbackError:
    """Make the ``000002`` for a member that breaks its rule."""
    return CallbackError(ResultCode.INVALID_PARAMETER, reason)


def required_text(body: Mapping[str, object], name: str, *, max_length: int) -> str:
    """Read a mandatory member.

    Raises:
        CallbackError: It is absent, blank, not a string, longer than ``max_length`` characters, or holds control
            characters.
    """
    value = optional_text(body, name, max_length=max_length)
    if value is None:
        raise refusal(f"{name} is missing.")
    return value


def optional_text(body: Mapping[str, object], name: str, *, max_length: int) -> str | None:
    """Read an optional member; ``None`` when it is absent, null or blank (forms send what was not filled in as "").

    Raises:
        CallbackError: It is there and is not a string, too long, or holds control characters.
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
    """Read a mandatory member that is one of a few words, and give what the word stands for.

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
    value = body.get(name)
    if value is None or value == "":
        return None
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if not _COUNT.fullmatch(text):
        raise refusal(f"{name} is not a whole number.")
    return int(text)


def answer(result: Outcome | CallbackError) -> dict[str, object]:
    """Give the two members that every response has; a longer message is cut to 255 characters.

    The codes of all product lines agree (protocol/authorization-code.md §5.8, online-license-and-sdk.md §4.1).
    """
    code = result.result_code if isinstance(result, CallbackError) else result.code
    return {"resultCode": str(code), "resultMsg": result.message[:LONGEST_MESSAGE]}


def is_test(body: Mapping[str, object]) -> bool:
    """Say whether ``testFlag`` marks a debug request; absent means a real one.

    Raises:
        CallbackError: It is neither "0" nor "1"; guessing could let a debug request change a real license.
    """
    flag = _text_or_none(body, "testFlag")
    if flag not in {None, "0", "1"}:
        raise refusal("testFlag is not one of 0, 1.")
    return flag == "1"


def _text_or_none(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise refusal(f"{name} is not a string.")
    return value
