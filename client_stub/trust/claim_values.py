"""Read single values out of signed claims: a claim is what it has to be, or the whole text is not believed.

Pure. The module of a license, a lease or a manifest says which claims it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from client_stub.trust.errors import BadClaimsError

LAST_END = 253402300799
"""9999-12-31T23:59:59Z, the last moment that a datetime can hold; "for ever" to some systems."""
LAST_START = 32503679999
"""2999-12-31T23:59:59Z; spans are added to these moments, which must not overflow."""

Claims = Mapping[str, object]


def text(claims: Claims, name: str, *, may_be_empty: bool = False) -> str:
    """Read a text.

    Raises:
        BadClaimsError: It is missing, empty where it may not be, or something else.
    """
    value = claims.get(name)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise BadClaimsError(f"The claim {name} is missing or is not a text.")
    return value


def text_or_nothing(claims: Claims, name: str) -> str:
    """Read a text that may be absent; absent is empty.

    Raises:
        BadClaimsError: It is something else.
    """
    return text(claims, name, may_be_empty=True) if name in claims else ""


def whole_number(claims: Claims, name: str, maximum: int) -> int:
    """Read a number from 0 to ``maximum``.

    Raises:
        BadClaimsError: It is missing, out of range, or something else.
    """
    value = claims.get(name)
    if type(value) is not int or not 0 <= value <= maximum:  # isinstance would take True for 1
        raise BadClaimsError(f"The claim {name} is missing or is not a whole number in range.")
    return value


def moment(claims: Claims, name: str, latest: int = LAST_START) -> datetime:
    """Read Unix seconds as a moment.

    Raises:
        BadClaimsError: It is missing, out of range, or something else.
    """
    return datetime.fromtimestamp(whole_number(claims, name, latest), UTC)


def moment_or_never(claims: Claims, name: str) -> datetime | None:
    """Read Unix seconds as a moment; absent is never.

    Raises:
        BadClaimsError: It is out of range, or something else.
    """
    return moment(claims, name, LAST_END) if name in claims else None


def flag(claims: Claims, name: str) -> bool:
    """Read true or false; absent is false.

    Raises:
        BadClaimsError: It is something else.
    """
    value = claims.get(name, False)
    if not isinstance(value, bool):
        raise BadClaimsError(f"The claim {name} is neither true nor false.")
    return value
