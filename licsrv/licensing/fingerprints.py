"""Devices as fingerprints: parse, hash, match, explain. Pure.

A fingerprint is ``MAC|disk|board|CPU`` (protocol/online-license-and-sdk.md §1.5). Raw values live in
:class:`DeviceFacts` only, which nobody stores or prints. The same rules stand in ``client_stub`` a second time on
purpose: ``tests/vectors/device_match.json`` binds the witnesses, so do not merge them.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b

from licsrv.errors import InvalidRequestError

MAX_BYTES = 5 * 1024
MAX_VALUES = 64
MOST_BOUND = 8
"""Values of one part that a place is bound to; a text that lists what a crowd of machines has is cut down to a few."""
NEEDED = 2

_MAC_SEPARATORS = str.maketrans("", "", ":-.")
_MAC = re.compile(r"[0-9A-F]{12}")
# Values that many machines share because nobody filled them in: matching on them would let strangers in.
_MEANINGLESS = frozenset(
    {
        "", "0", "00000000", "000000000000", "FFFFFFFFFFFF", "NONE", "N/A", "NA", "NULL", "UNKNOWN",
        "DEFAULT STRING", "TO BE FILLED BY O.E.M.", "NOT SPECIFIED", "NOT APPLICABLE",
        "SYSTEM SERIAL NUMBER", "BASE BOARD SERIAL NUMBER",
    }
)  # fmt: skip


class Part(StrEnum):
    """The four parts of a fingerprint, in their order."""

    MAC = "mac"
    DISK = "disk"
    BOARD = "board"
    CPU = "cpu"


_PARTS = tuple(Part)
HashedParts = Mapping[str, list[str]]


@dataclass(frozen=True)
class DeviceFacts:
    """What a device said of itself, in normal form; never printed, never stored."""

    values: Mapping[Part, tuple[str, ...]] = field(repr=False)


class Agreement(StrEnum):
    """How one part compares."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_GIVEN = "not given"
    NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Match:
    """How a device compares with a known one, part by part."""

    parts: Mapping[Part, Agreement]
    agreeing: int
    needed: int

    @property
    def is_same_device(self) -> bool:
        """Whether enough parts agree."""
        return self.agreeing >= self.needed > 0

    def explain(self) -> dict[str, str]:
        """Return the verdict of each part in words that fit an answer, a page or an audit entry."""
        return {str(part): str(agreement) for part, agreement in self.parts.items()}


def parse(text: str) -> DeviceFacts:
    """Read a fingerprint into its normal form.

    Blanks around values are dropped, letters upper-cased, MAC addresses reduced to their 12 digits, and values that
    identify nothing ("To be filled by O.E.M.") treated as absent.

    Raises:
        InvalidRequestError: Too long, not four parts, too many values, or nothing in it identifies a device.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _invalid(f"device_info is longer than {MAX_BYTES} bytes.")
    if not text.isprintable():
        raise _invalid("device_info has characters that cannot be printed.")
    texts = text.split("|")
    if len(texts) != len(_PARTS):
        raise _invalid("device_info must have four parts joined by '|'.")
    values = {}
    for part, raw in zip(_PARTS, texts, strict=True):
        if found := _values(part, raw):
            values[part] = found
            if len(found) > MAX_VALUES:
                raise _invalid(f"device_info has more than {MAX_VALUES} values in one part.")
    if not values:
        raise _invalid("device_info has nothing in it that identifies a device.")
    return DeviceFacts(values)


def binding(facts: DeviceFacts) -> DeviceFacts:
    """Return what a new device's place is bound to: the first :data:`MOST_BOUND` values of each part.

    Raises:
        InvalidRequestError: There is nothing but a CPU id, which every machine of the model has.
    """
    if set(facts.values) == {Part.CPU}:
        raise _invalid("device_info names a CPU only: every machine of that model would be this device.")
    return DeviceFacts({part: values[:MOST_BOUND] for part, values in facts.values.items()})


def known_facts(facts: DeviceFacts, known: HashedParts, *, key: bytes) -> DeviceFacts:
    """Return of what a device says now only what it was registered with: nothing else is ever signed for it.

    Otherwise who shows two parts of a registered machine beside two of a stranger gets a license for the stranger.
    """
    found = {
        part: tuple(value for value in values if _digest(key, f"{part.value}:{value}") in known.get(part.value, ()))
        for part, values in facts.values.items()
    }
    return DeviceFacts({part: values for part, values in found.items() if values})


def _invalid(sentence: str) -> InvalidRequestError:
    return InvalidRequestError(
        sentence, action="Send MAC|DISK|BOARD|CPU; a part that cannot be read stays empty.", field="device_info"
    )


def _values(part: Part, raw: str) -> tuple[str, ...]:
    if part is Part.MAC:
        normal = [_normal_mac(text) for text in raw.upper().split(",")]
    elif part is Part.DISK:
        normal = [text.strip() for text in raw.upper().split(",")]
    else:
        normal = [raw.strip().upper()]
    return tuple(dict.fromkeys([value for value in normal if value not in _MEANINGLESS]))


def _normal_mac(text: str) -> str:
    digits = text.strip().translate(_MAC_SEPARATORS)
    return digits if _MAC.fullmatch(digits) else text.strip()


def hash_parts(facts: DeviceFacts, *, key: bytes) -> dict[str, list[str]]:
    """Return keyed hashes of all values by part: 128 bits of BLAKE2b (RFC 7693), hex, sorted.

    Without the key (a file beside the signing keys, never in the database) nobody can try out MAC addresses. The form
    is ours alone: nothing outside this server ever sees it.
    """
    return {
        part.value: sorted([_digest(key, f"{part.value}:{value}") for value in values])
        for part, values in facts.values.items()
    }


def hash_text(text: str, *, key: bytes) -> str:
    """Return the keyed hash of a fingerprint as it was sent.

    A device mostly says the same words every day, and who says the very same words need not be compared part by part.
    """
    return _digest(key, f"text:{text}")


def _digest(key: bytes, text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16, key=key).hexdigest()


def fingerprint(hashed: HashedParts) -> str:
    """Return one text for the whole of a device's hashed parts: equal when all parts are."""
    text = ";".join(f"{part}={','.join(hashed.get(str(part), ()))}" for part in Part)
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode("ascii")).digest()).decode("ascii").rstrip("=")


def selective_parts(hashed: HashedParts) -> list[str]:
    """Return the hashes by which a known device can be found.

    The CPU id is the same in every machine of a model, so it would find thousands; two agreeing parts always include
    another one. Only a device that has nothing else can be found by its CPU.
    """
    found = [value for part in (Part.MAC, Part.DISK, Part.BOARD) for value in hashed.get(str(part), ())]
    return found or list(hashed.get(str(Part.CPU), ()))


def lookup_parts(hashed: HashedParts) -> list[str]:
    """Return the hashes to look for when a device presents itself: all of them.

    Its CPU then finds only devices that are known by nothing else.
    """
    return [value for values in hashed.values() for value in values]


def match(known: HashedParts, given: HashedParts) -> Match:
    """Compare a device with a known one.

    Of the parts that the known device has, two must agree; one, where it has only one. Parts with several values
    agree when the sets share one, so a dock or a USB adapter coming or going changes nothing.
    """
    parts = {part: _compare(known.get(str(part), ()), given.get(str(part), ())) for part in Part}
    agreeing = sum(agreement is Agreement.AGREES for agreement in parts.values())
    return Match(parts, agreeing, min(NEEDED, len([part for part in Part if known.get(str(part))])))


def is_same_device(known: HashedParts, given: HashedParts) -> bool:
    """Say whether :func:`match` would find the same device, without the explanation that only a refusal needs."""
    agreeing = 0
    for part, values in known.items():
        others = given.get(part)
        if others and (values == others or not set(values).isdisjoint(others)):
            agreeing += 1
    return agreeing >= min(NEEDED, len(known)) > 0


def _compare(known: list[str] | tuple[()], given: list[str] | tuple[()]) -> Agreement:
    if not known:
        return Agreement.NOT_KNOWN
    if not given:
        return Agreement.NOT_GIVEN
    return Agreement.DIFFERS if set(known).isdisjoint(given) else Agreement.AGREES
