"""What a step claims must be what was observed: these checks precede every sentence of the demo."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Seen = TypeVar("Seen")
_PAUSE = 0.05


class UnexpectedError(Exception):
    """The reality differs from the story; the message says what was expected and what was observed."""


def expect(observed: object, wanted: object, what: str) -> None:
    """Check that something observed is what the story says.

    Raises:
        UnexpectedError: It is not.
    """
    if observed != wanted:
        raise UnexpectedError(f"{what}: expected {wanted!r}, observed {observed!r}.")


def expect_kind(observed: object, kind: type[Seen], what: str) -> Seen:
    """Return something observed if it is of this kind.

    Raises:
        UnexpectedError: It is of another one.
    """
    if not isinstance(observed, kind):
        raise UnexpectedError(f"{what}: expected a {kind.__name__}, observed {observed!r}.")
    return observed


def wait_for(look: Callable[[], Seen], is_good: Callable[[Seen], bool], what: str, *, seconds: float = 15.0) -> Seen:
    """Look again and again until what is seen is good, and return it.

    Raises:
        UnexpectedError: It was not within ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while not is_good(seen := look()):
        if time.monotonic() > deadline:
            raise UnexpectedError(f"{what}: not within {seconds:g} s; observed {seen!r}.")
        time.sleep(_PAUSE)
    return seen
