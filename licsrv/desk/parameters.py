"""Query parameters of the desk's operations. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

from licsrv.errors import InvalidRequestError
from licsrv.platform.paging import Window
from licsrv.platform.text_limits import is_storable

HIGHEST = 2**31 - 1
"""The highest number of a row: on PostgreSQL it has four bytes."""
Word = TypeVar("Word", bound=StrEnum)


def text_of(query: Mapping[str, str], name: str) -> str | None:
    """Return a query parameter that can be looked up; None if it is missing or empty.

    Raises:
        InvalidRequestError: It holds a character that PostgreSQL cannot store.
    """
    value = query.get(name)
    if value is not None and not is_storable(value):
        raise InvalidRequestError(f"{name} has characters that cannot be stored.")
    return value or None


def word_of(query: Mapping[str, str], name: str, words: type[Word]) -> Word | None:
    """Return a query parameter that is one of a few words, in any case; None if it is missing or empty.

    Raises:
        InvalidRequestError: It is another word.
    """
    text = text_of(query, name)
    if text is None:
        return None
    for word in words:
        if word.upper() == text.upper():
            return word
    raise InvalidRequestError(f"{name} is one of {', '.join(words)}.")


def number_of(text: str) -> int | None:
    """Return the number of a row; None for a text that no row has as its number."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(HIGHEST))):
        return None
    return int(text) if int(text) <= HIGHEST else None


def number_after(window: Window, *, first: int = HIGHEST) -> int:
    """Return the number at which a page begins; ``first`` for the first page.

    Raises:
        InvalidRequestError: The cursor is not one of this list.
    """
    number = number_of(window.after[0]) if window.after is not None else first
    if number is None:
        raise InvalidRequestError("after is no cursor of this list.", action="Begin at the first page.")
    return number
