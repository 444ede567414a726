"""Read, normalise, hash and compare device texts (``MAC|disk|board|CPU``).

Three witnesses: server, emulator and this client each implement these rules on their own, on purpose;
``tests/vectors/device_match.json`` binds them. Do not replace this module by an import.

Pure. Gathering the facts from a real machine is the host program's work. Source:
protocol/online-license-and-sdk.md §1.5; the normal form, the list of values that identify nothing and the rule of two
parts are our own, because the marketplace defines none.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass

from client_stub.trust import base64url
from client_stub.trust.device_match import DeviceMatch, Part, PartVerdict
from client_stub.trust.errors import InvalidDeviceInfoError

MAXIMUM_BYTES = 5 * 1024
HASH_BYTES = 6
PARTS_THAT_MUST_AGREE = 2

_MAC_SEPARATORS = str.maketrans("", "", ":-.")
_MAC_DIGITS = re.compile(r"[0-9A-F]{12}")

# What firmware, drivers and operating systems report when they know nothing. One list for all four parts: twelve
# zeros say as little about a disk as about a network card.
_IDENTIFIES_NOTHING = frozenset(
    {
        "",
        "0",
        "00000000",
        "000000000000",
        "FFFFFFFFFFFF",
        "NONE",
        "N/A",
        "NA",
        "NULL",
        "UNKNOWN",
        "DEFAULT STRING",
        "TO BE FILLED BY O.E.M.",
        "NOT SPECIFIED",
        "NOT APPLICABLE",
        "SYSTEM SERIAL NUMBER",
        "BASE BOARD SERIAL NUMBER",
    }
)


_MULTI_VALUED = frozenset({Part.MAC, Part.DISK})


@dataclass(frozen=True)
class DeviceInfo:
    """One machine: per part the values in normal form, first seen first; a part without values is left out."""

    values: Mapping[Part, tuple[str, ...]]

    @property
    def identifies_nothing(self) -> bool:
        """True when no part has a value."""
        return not self.values


@dataclass(frozen=True)
class DeviceBinding:
    """A machine as a license describes it: salted, shortened hashes per part instead of raw facts."""

    salt: bytes
    hashes: Mapping[Part, frozenset[str]]

    def compare(self, device: DeviceInfo) -> DeviceMatch:
        """Compare ``device`` with the bound one.

        Same machine when at least two of the parts that the bound device has agree, or all of them when it has fewer.
        """
        presented = bind(device, self.salt).hashes
        parts = {part: _verdict(self.hashes.get(part), presented.get(part)) for part in Part}
        agreeing = sum(verdict is PartVerdict.MATCHES for verdict in parts.values())
        return DeviceMatch(parts, agreeing, min(PARTS_THAT_MUST_AGREE, len(self.hashes)))


def parse(text: str) -> DeviceInfo:
    """Read a device text into its normal form.

    Raises:
        InvalidDeviceInfoError: Longer than 5 KiB as UTF-8, not encodable, or not exactly four parts.
    """
    if _size(text) > MAXIMUM_BYTES:
        raise InvalidDeviceInfoError("The device information is longer than 5 KiB.")
    raw_parts = text.split("|")
    if len(raw_parts) != len(Part):
        raise InvalidDeviceInfoError("The device information does not have exactly four parts separated by '|'.")

    normal = {part: _normal_values(part, raw) for part, raw in zip(Part, raw_parts, strict=True)}
    return DeviceInfo({part: values for part, values in normal.items() if values})


def normal_value(part: Part, raw: str) -> str:
    """Return one value in normal form: no blanks around it, upper case, a MAC without its separators.

    A trailing dot is kept: the marketplace's own sample has a disk serial that ends in one.
    """
    value = raw.strip().upper()
    if part is Part.MAC:
        digits = value.translate(_MAC_SEPARATORS)
        return digits if _MAC_DIGITS.fullmatch(digits) else value
    return value


def hash_value(part: Part, value: str, salt: bytes) -> str:
    """Hash one value in normal form: base64url of the first six bytes of HMAC-SHA256(salt, ``part:VALUE``)."""
    digest = hmac.new(salt, f"{part}:{value}".encode(), hashlib.sha256).digest()
    return base64url.encode(digest[:HASH_BYTES])


def bind(device: DeviceInfo, salt: bytes) -> DeviceBinding:
    """Hash every value of ``device`` with ``salt``."""
    hashes = {part: frozenset(hash_value(part, value, salt) for value in device.values[part]) for part in device.values}
    return DeviceBinding(salt, hashes)


def _size(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError as error:
        raise InvalidDeviceInfoError("The device information is not valid text.") from error


def _normal_values(part: Part, raw: str) -> tuple[str, ...]:
    raw_values = raw.split(",") if part in _MULTI_VALUED else [raw]
    values = dict.fromkeys(normal_value(part, value) for value in raw_values)
    return tuple(value for value in values if value not in _IDENTIFIES_NOTHING)


def _verdict(bound: frozenset[str] | None, presented: frozenset[str] | None) -> PartVerdict:
    if not bound or not presented:
        return PartVerdict.ABSENT
    return PartVerdict.DIFFERS if bound.isdisjoint(presented) else PartVerdict.MATCHES
