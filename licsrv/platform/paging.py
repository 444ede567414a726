"""Pages of a list: ``?after=<cursor>&limit=<n>`` and the answer ``{"items": […], "next": <cursor or null>}``. Pure.

A cursor holds the keys of the last row of a page, so that a page costs the same wherever it is and no row is shown
twice or left out because others came in meanwhile. Callers must not read it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from licsrv.errors import InvalidRequestError
from licsrv.platform.text_limits import is_storable

DEFAULT_LIMIT, MOST = 50, 200
PARAMETERS = ("after", "limit")
_LIMIT = re.compile(r"[1-9][0-9]{0,3}")
_LONGEST_CURSOR = 2000  # a name of 200 characters, four bytes each

Row = TypeVar("Row")
Item = TypeVar("Item")


@dataclass(frozen=True)
class Window:
    """Which page is asked for: at most ``limit`` rows behind the one with the keys ``after``."""

    limit: int = DEFAULT_LIMIT
    after: tuple[str, ...] | None = None

    @property
    def fetched(self) -> int:
        """How many rows to read: one more than are shown tells whether there is another page."""
        return self.limit + 1


@dataclass(frozen=True)
class Page(Generic[Item]):
    """One page, and the cursor of the next; None at the end."""

    items: list[Item]
    next: str | None


def window_of(query: Mapping[str, str], *, keys: int = 1) -> Window:
    """Read which page is asked for.

    Args:
        query: The query parameters.
        keys: How many keys a row of this list is sorted by.

    Raises:
        InvalidRequestError: The limit is no number from 1 to 200, or the cursor is none of this list.
    """
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _LIMIT.fullmatch(text) or int(text) > MOST:
        raise InvalidRequestError(f"limit must be a whole number from 1 to {MOST}.")
    after = query.get("after")
    return Window(int(text), None if after is None else _keys(after, keys))


def page_of(
    rows: Sequence[Row], window: Window, *, keys: Callable[[Row], tuple[str, ...]], item: Callable[[Row], Item]
) -> Page[Item]:
    """Make a page of the rows that were read for a window (``window.fetched`` of them, where there are so many)."""
    shown = rows[: window.limit]
    following = cursor(keys(shown[-1])) if len(rows) > window.limit else None
    return Page([item(row) for row in shown], following)


def cursor(keys: tuple[str, ...]) -> str:
    """Return the cursor of a row."""
    text = json.dumps(keys, separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode("ascii").rstrip("=")


def _keys(text: str, count: int) -> tuple[str, ...]:
    try:
        if len(text) > _LONGEST_CURSOR:
            raise ValueError
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw)
    except (ValueError, binascii.Error, RecursionError):
        found = None
    if (
        not isinstance(found, list)
        or len(found) != count
        or not all(isinstance(key, str) and is_storable(key) for key in found)
    ):
        raise InvalidRequestError("after is no cursor of this list.", action="Begin at the first page.")
    return tuple(found)
