"""Read, normalise, hash and compare device texts (``MAC|disk|board|CPU``).

Three witnesses: server, emulator and this client each implement these rules on their own, on purpose;
``tests/vectors/device_match.json`` binds them. Do not replace this module by an import.

Pure. Gathering the facts from a real machine is the host program's work. Source:
protocol/online-license-and-sdk.md §1.5; the normal form, the values that identify no machine and the weights of
the parts are our own, because the marketplace defines none.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field

from client_stub.trust import base64url
from client_stub.trust.device_match import DeviceMatch, Part, PartVerdict
from client_stub.trust.errors import InvalidDeviceInfoError
from client_stub.trust.shared_values import SHARED_MACS, SHARED_VALUES

MAXIMUM_BYTES = 5 * 1024
HASH_BYTES = 6

_MAC_SEPARATORS = str.maketrans("", "", ":-.")
_MAC_DIGITS = re.compile(r"[0-9A-F]{12}")

_BLANKS = "".join(letter for letter in map(chr, range(0x10000)) if letter.isspace()) + "\N{ZERO WIDTH NO-BREAK SPACE}"
_SHARED_VALUE = re.compile("|".join(re.escape(value).replace(r"\#", "[0-9]+") for value in SHARED_VALUES))
_PUNCTUATION = frozenset(string.punctuation + " ")
_FEWEST_DIGITS, _FEWEST_AMONG_OTHERS = 3, 7
_GROUP_BIT, _LOCAL_BIT = 1, 2

_WEIGHT = {Part.MAC: 2, Part.DISK: 2, Part.BOARD: 2, Part.CPU: 1}
_WEIGHT_THAT_SUFFICES = 4
_MORE_THAN_THE_CPU = 2

_MULTI_VALUED = frozenset({Part.MAC, Part.DISK})


@dataclass(frozen=True)
class DeviceInfo:
    """One machine: per part the values in normal form, first seen first; a part without values is left out.

    ``shared`` holds what it names and what identifies no machine; see :func:`is_shared`.
    """

    values: Mapping[Part, tuple[str, ...]]
    shared: Mapping[Part, tuple[str, ...]] = field(default_factory=dict)

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

        Same machine when the weights of the parts that agree come to 4, or to all that is bound where that is less. The
        CPU alone never suffices. What is bound and identifies no machine does not count: a license of former times may
        say it.
        """
        bound = self._without_shared(device)
        presented = bind(device, self.salt).hashes
        parts = {part: _verdict(bound.get(part), presented.get(part)) for part in Part}
        agreeing = sum(_WEIGHT[part] for part, verdict in parts.items() if verdict is PartVerdict.MATCHES)
        return DeviceMatch(parts, agreeing, self._required(bound))

    def _without_shared(self, device: DeviceInfo) -> Mapping[Part, frozenset[str]]:
        left = {
            part: hashes.difference(hash_value(part, value, self.salt) for value in device.shared.get(part, ()))
            for part, hashes in self.hashes.items()
        }
        return {part: hashes for part, hashes in left.items() if hashes}

    def _required(self, bound: Mapping[Part, frozenset[str]]) -> int:
        if not self.hashes:
            return 0
        return max(_MORE_THAN_THE_CPU, min(_WEIGHT_THAT_SUFFICES, sum(_WEIGHT[part] for part in bound)))


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

    named = {part: _normal_values(part, raw) for part, raw in zip(Part, raw_parts, strict=True)}
    shared = {part: tuple(value for value in values if is_shared(part, value)) for part, values in named.items()}
    telling = {part: _telling(part, values) for part, values in named.items()}
    return DeviceInfo(_filled(telling), _filled(shared))


def normal_value(part: Part, raw: str) -> str:
    """Return one value in normal form: nothing blank around it, upper case, a MAC without its separators.

    Line ends and byte order marks are blank, too: a text that was read from a file has them.

    A trailing dot is kept: the marketplace's own sample has a disk serial that ends in one.
    """
    value = raw.strip(_BLANKS).upper()
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
    return tuple(value for value in values if value)


def _filled(values: Mapping[Part, tuple[str, ...]]) -> Mapping[Part, tuple[str, ...]]:
    return {part: found for part, found in values.items() if found}


def _telling(part: Part, values: tuple[str, ...]) -> tuple[str, ...]:
    """Leave what identifies a machine; of MACs those that software made up only where there is no other."""
    left = tuple(value for value in values if not is_shared(part, value))
    if part is not Part.MAC:
        return left
    return tuple(value for value in left if not _has_bit(value, _LOCAL_BIT)) or left


def is_shared(part: Part, value: str) -> bool:
    """Say whether a value in normal form identifies no machine, because many have it.

    A MAC: a group address, digits or bytes that count or repeat, or one that a product gives to every PC. Anything
    else: nothing but punctuation, one repeated character, no digit at all, digits that count or repeat (three, or seven
    next to other characters), "not …", "… O.E.M.", or a value of the list.
    """
    if part is Part.MAC and _MAC_DIGITS.fullmatch(value):
        return _has_bit(value, _GROUP_BIT) or _is_typed_mac(value) or value.startswith(SHARED_MACS)
    bare = "".join(character for character in value if character not in _PUNCTUATION)
    digits = "".join(character for character in bare if character in string.digits)
    fewest = _FEWEST_DIGITS if digits == bare else _FEWEST_AMONG_OTHERS
    return (
        not digits
        or len(set(bare)) == 1
        or (len(digits) >= fewest and _counts_or_repeats(digits))
        or value.startswith("NOT ")
        or "O.E.M" in value
        or bool(_SHARED_VALUE.fullmatch(value))
    )


def _has_bit(value: str, bit: int) -> bool:
    return bool(_MAC_DIGITS.fullmatch(value)) and int(value[1], 16) & bit != 0


def _is_typed_mac(mac: str) -> bool:
    raw = bytes.fromhex(mac)
    return _counts_or_repeats(mac) or all((raw[at] - raw[at - 1] - raw[1] + raw[0]) % 256 == 0 for at in range(1, 6))


def _counts_or_repeats(text: str) -> bool:
    if text == text[0] * len(text):
        return True
    upwards = "0123456789" * (len(text) // 10 + 2)
    return text in upwards or text[::-1] in upwards


def _verdict(bound: frozenset[str] | None, presented: frozenset[str] | None) -> PartVerdict:
    if not bound or not presented:
        return PartVerdict.ABSENT
    return PartVerdict.DIFFERS if bound.isdisjoint(presented) else PartVerdict.MATCHES
