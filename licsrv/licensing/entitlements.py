"""Entitlements: features with an optional value and an end of their own. Pure.

A product and a license name them as texts: ``draw``, ``export=3``, ``solver until 2027-03-31T16:00:00Z``. Licenses sign
them as ``feat``, the names of those without an end of their own, and ``ent``: for each name with a value (``v``) or an
end (``exp``) what it says. So a program that knows only ``feat`` never goes on using a feature that has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any

from licsrv.licensing.signing import seconds
from licsrv.platform import days

_UNTIL = re.compile(r" +until +", re.IGNORECASE)
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)
_FORM = "Write it as `draw`, `export=3` or `solver until 2027-03-31`, without commas."
_LAST = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Entitlement:
    """A feature that a license grants.

    Args:
        value: What the vendor says with it, for the program to read; None where it is only granted.
        ends_at: When it is over before its license is; None where it lasts as long.
    """

    name: str
    value: str | None = None
    ends_at: datetime | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it says nothing but its name."""
        return self.value is None and self.ends_at is None

    @property
    def text(self) -> str:
        """It as it is stored and shown."""
        value = f"={self.value}" if self.value is not None else ""
        until = f" until {self.ends_at:%Y-%m-%dT%H:%M:%SZ}" if self.ends_at is not None else ""
        return f"{self.name}{value}{until}"

    def covers(self, other: Entitlement) -> bool:
        """Whether it gives at least what another one of its name gives.

        Of two whole numbers the greater one gives more; of other values neither does.
        """
        if (self.ends_at or _LAST) < (other.ends_at or _LAST):
            return False
        return self.value == other.value or _is_greater(self.value, other.value)


def _is_greater(value: str | None, other: str | None) -> bool:
    if value is None or other is None or not (_NUMBER.fullmatch(value) and _NUMBER.fullmatch(other)):
        return False
    return int(value) > int(other)


def read(text: str) -> Entitlement:
    """Read an entitlement as it is stored.

    What cannot be read is one name as a whole: no program asks for it, so it grants nothing.
    """
    try:
        return _parsed(text)
    except ValueError:
        return Entitlement(text)


def canonical(text: str, zone: tzinfo | None = None) -> str:
    """Return an entitlement that a person typed as it is stored.

    Args:
        zone: Where a typed day ends; None refuses a day: programs state moments.

    Raises:
        ValueError: It cannot be read.
    """
    return _parsed(text, zone).text


def _parsed(text: str, zone: tzinfo | None = None) -> Entitlement:
    granted, *ends = _UNTIL.split(text.strip())
    name, has_value, value = (part.strip() for part in granted.partition("="))
    if not name or (has_value and not value) or "," in text or len(ends) > 1 or _is_loose(granted):
        raise ValueError(_FORM)
    end = _end(ends[0], zone) if ends else None
    return Entitlement(name, value if has_value else None, end)


def _is_loose(granted: str) -> bool:
    """Whether it is an end without a feature, or a feature without its end."""
    words = granted.lower().split()
    return bool(words) and "until" in (words[0], words[-1])


def _end(text: str, zone: tzinfo | None) -> datetime:
    typed = days.read(text)
    if zone is None and not isinstance(typed.value, datetime):
        raise ValueError("Write the end of a feature as a moment, such as 2027-03-31T16:00:00Z.")
    return typed.end(zone or UTC).replace(microsecond=0)  # as claims have it


def twice(texts: Iterable[str]) -> str | None:
    """Return the name of a feature that is stated more than once."""
    seen: set[str] = set()
    for text in texts:
        name = read(text).name
        if name in seen:
            return name
        seen.add(name)
    return None


def of_license(own: Sequence[str] | None, of_product: Sequence[str]) -> list[str]:
    """Return what a license grants, in the order of its product; what the product no longer has is left out.

    Where the license only names a feature, its product says the value and the end.
    """
    if own is None:
        return list(of_product)
    stated = {found.name: found for found in map(read, own)}
    granted = ((stated.get(read(text).name), text) for text in of_product)
    return [text if found.is_plain else found.text for found, text in granted if found is not None]


def choices(own: Sequence[str] | None, of_product: Sequence[str]) -> list[tuple[str, bool]]:
    """Return every feature of a product as a license of it has or would have it, and whether it is granted."""
    granted = {read(text).name: text for text in of_license(own, of_product)}
    named = ((read(text).name, text) for text in of_product)
    return [(granted.get(name, text), name in granted) for name, text in named]


def unknown(own: Iterable[str], of_product: Iterable[str]) -> list[str]:
    """Return the names that the product does not have."""
    known = {read(text).name for text in of_product}
    return [name for name in (read(text).name for text in own) if name not in known]


def exceeds(had: Iterable[Entitlement], has: Iterable[str]) -> bool:
    """Whether something that was granted is granted no more, or with less."""
    granted = {found.name: found for found in map(read, has)}
    return any(one.name not in granted or not granted[one.name].covers(one) for one in had)


def claims(texts: Iterable[str], *, at: datetime) -> dict[str, Any]:
    """Return the claims of what is granted at a moment; what has ended is left out."""
    granted = [one for one in map(read, texts) if one.ends_at is None or one.ends_at > at]
    more = {one.name: _says(one) for one in granted if not one.is_plain}
    return {"feat": [one.name for one in granted if one.ends_at is None]} | ({"ent": more} if more else {})


def _says(one: Entitlement) -> dict[str, Any]:
    value: dict[str, Any] = {"v": one.value} if one.value is not None else {}
    return value | ({"exp": seconds(one.ends_at)} if one.ends_at is not None else {})


def of_claims(said: Mapping[str, Any]) -> list[Entitlement]:
    """Return what a license that was signed here grants."""
    more: Mapping[str, Mapping[str, Any]] = said.get("ent", {})
    return [_granted(name, more.get(name, {})) for name in dict.fromkeys([*said["feat"], *more])]


def _granted(name: str, says: Mapping[str, Any]) -> Entitlement:
    end = says.get("exp")
    return Entitlement(name, says.get("v"), datetime.fromtimestamp(end, UTC) if end is not None else None)
