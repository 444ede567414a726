"""What a license grants beyond running at all: features, some with a value or an end of their own.

Pure. Two claims say it. ``feat`` lists names. ``ent`` maps names to ``{"v": text, "exp": seconds}``, both optional;
what it says of a name counts, also where ``feat`` has the name. An entry that cannot be read grants nothing: a limit
that is not understood must not be skipped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from client_stub.trust import claim_values
from client_stub.trust.errors import BadClaimsError

_MEMBERS = {"v", "exp"}


@dataclass(frozen=True)
class Entitlement:
    """One feature of the claim ``ent``; ``value`` is None without one, ``ends_at`` None without an end of its own."""

    name: str
    value: str | None = None
    ends_at: datetime | None = None
    is_readable: bool = True


def read_entitlements(claims: claim_values.Claims) -> tuple[Entitlement, ...]:
    """Read the claim ``ent``; absent is nothing.

    Raises:
        BadClaimsError: It is not an object, so it is not known which features it limits.
    """
    listed = claims.get("ent", {})
    if not isinstance(listed, dict):
        raise BadClaimsError("The claim ent is not an object.")
    return tuple(_read(name, entry) for name, entry in listed.items())


def find(
    name: str, features: tuple[str, ...], entitlements: tuple[Entitlement, ...], *, now: datetime
) -> Entitlement | None:
    """Return what is granted under ``name`` at ``now``, None when nothing is."""
    limited = next((entry for entry in entitlements if entry.name == name), None)
    if limited is None:
        return Entitlement(name) if name in features else None
    has_ended = limited.ends_at is not None and now >= limited.ends_at
    return limited if limited.is_readable and not has_ended else None


def _read(name: str, entry: object) -> Entitlement:
    try:
        if not isinstance(entry, dict) or not entry.keys() <= _MEMBERS:
            raise BadClaimsError("An entry of the claim ent has members that this program does not know.")
        return Entitlement(name, _value(entry), claim_values.moment_or_never(entry, "exp"))
    except BadClaimsError:
        return Entitlement(name, is_readable=False)


def _value(entry: Mapping[str, object]) -> str | None:
    value = claim_values.text(entry, "v", may_be_empty=True) if "v" in entry else None
    if value is not None and "\0" in value:  # a C program reads up to the first NUL
        raise BadClaimsError("The value of an entry of the claim ent holds a character that no text has.")
    return value
