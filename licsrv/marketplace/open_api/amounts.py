"""Read how much was bought, wherever the marketplace states it. Pure."""

from __future__ import annotations

MOST = 10**9 - 1


def read(value: object) -> int | None:
    """Return a whole number from 1 to 999,999,999, sent as a number or as digits; None for anything else.

    ``2.0`` is 2. Zero, a negative or a huge number is none: it would make a license without places, or with places
    for everyone.
    """
    if isinstance(value, str):
        digits = value.strip()
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= len(str(MOST)) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    is_whole = isinstance(value, int) or value.is_integer()
    return int(value) if is_whole and 1 <= value <= MOST else None


def is_given(value: object) -> bool:
    """Whether a member says anything; null and blank say nothing."""
    return value is not None and not (isinstance(value, str) and not value.strip())
