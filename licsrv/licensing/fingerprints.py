"""Devices as fingerprints: parse, hash, match, explain. Pure.

A fingerprint is ``MAC|disk|board|CPU`` (protocol/online-license-and-sdk.md §1.5). Raw values exist in
:class:`DeviceFacts` only, which is never stored or printed. ``client_stub`` implements the same rules on its own, in
Python and in C, on purpose: ``tests/vectors/device_match.json`` binds the witnesses, so do not merge them.

Each part has a weight (docs/licenses.md): a MAC, a disk and a board count 2, the CPU 1, and 4 make the same machine. So
two of MAC, disk and board must agree, and the CPU, which every machine of a model has, never replaces one of them. A
device that was registered with less has to agree in all of it. See docs/adr/0004-device-facts.md.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from itertools import pairwise

from licsrv.errors import InvalidRequestError
from licsrv.licensing.shared_values import SHARED_MACS, SHARED_VALUES

MAX_BYTES = 5 * 1024
MAX_VALUES = 64
"""Values of one part that a license names at most; more were registered under no rule."""
MOST_BOUND = 2
"""Values of one part that a place is bound to; a text that lists what a crowd of machines has is cut down to two."""
NEEDED = 4
"""The weight that makes two devices one."""
SHARED = "shared"
"""The member of hashed parts that holds what identifies no machine; see :func:`hash_parts`."""

INSTALL_IDENTITY = re.compile(r"INSTALL-[0-9A-F]{32}")
"""A random part that a client keeps where its machine has no facts of its own; it travels as a disk."""

_MAC_SEPARATORS = str.maketrans("", "", ":-.")
_MAC = re.compile(r"[0-9A-F]{12}")
_SHARED_VALUE = re.compile("|".join(re.escape(value).replace(r"\#", "[0-9]+") for value in SHARED_VALUES))
_BLANKS = "".join(filter(str.isspace, map(chr, range(0x3001)))) + "\ufeff"  # U+3000 is the last one
_PUNCTUATION = re.compile(r"[ -/:-@\[-`{-~]")
_DIGITS = re.compile(r"[^0-9]")
_LONG = 7  # digits: a run of so many that counts up, or repeats one digit, was typed by a person
_SHORT = 3  # the same where the value is nothing but digits
_STEPS = {0, 1, 9}
_GROUP, _LOCAL = 0x01, 0x02


class Part(StrEnum):
    """The four parts of a fingerprint, in their order."""

    MAC = "mac"
    DISK = "disk"
    BOARD = "board"
    CPU = "cpu"


_PARTS = tuple(Part)
_FORM = "Send MAC|DISK|BOARD|CPU; a part that cannot be read stays empty."
_NO_FACTS = (
    "Give the machine a network adapter or a disk of its own, or ask the vendor whether the product may be bound to an "
    "installation."
)
_WEIGHTS = {Part.MAC: 2, Part.DISK: 2, Part.BOARD: 2, Part.CPU: 1}
_LEAST = 2  # a weight that the CPU alone does not reach
HashedParts = Mapping[str, list[str]]


@dataclass(frozen=True)
class DeviceFacts:
    """What a device said of itself, in normal form; never printed, never stored.

    ``shared`` holds what it said and what identifies no machine: a device that was registered with such a value before
    the value was known to be shared is compared without it.
    """

    values: Mapping[Part, tuple[str, ...]] = field(repr=False)
    shared: Mapping[Part, tuple[str, ...]] = field(default_factory=dict, repr=False)


class Agreement(StrEnum):
    """How one part compares."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOT_GIVEN = "not given"
    NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Match:
    """How a device compares with a known one, part by part. ``agreeing`` and ``needed`` are sums of weights."""

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

    Blanks, line ends and byte order marks around values are dropped, letters upper-cased, MAC addresses reduced to
    their 12 digits, and values that identify no machine ("To be filled by O.E.M.") treated as absent.

    Raises:
        InvalidRequestError: Too long, not four parts, or nothing in it identifies a device.
    """
    if len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _invalid(f"device_info is longer than {MAX_BYTES} bytes.")
    texts = text.split("|")
    if len(texts) != len(_PARTS):
        raise _invalid("device_info must have four parts joined by '|'.")
    named = {part: _values(part, raw) for part, raw in zip(_PARTS, texts, strict=True)}
    if not all(value.isprintable() for values in named.values() for value in values):
        raise _invalid("device_info has characters that cannot be printed.")
    telling = {part: [one for one in values if not is_shared(part, one)] for part, values in named.items()}
    telling[Part.MAC] = _assigned_first(telling[Part.MAC])
    values = {part: tuple(found) for part, found in telling.items() if found}
    if not values:
        raise _invalid("device_info has nothing in it that identifies a device.")
    shared = {part: tuple(one for one in found if is_shared(part, one)) for part, found in named.items()}
    return DeviceFacts(values, {part: found for part, found in shared.items() if found})


def binding(facts: DeviceFacts, *, weakly: bool = False) -> DeviceFacts:
    """Return what a new device's place is bound to: :data:`MOST_BOUND` values of each part, the same in any order.

    An install identity is left out next to facts of the machine, and is enough only where a place may be bound weakly.

    Raises:
        InvalidRequestError: There is nothing but a CPU id, which every machine of the model has.
    """
    own = without_install_identity(facts)
    if not set(own.values) <= {Part.CPU}:
        facts = own
    elif not (weakly and is_weak(facts)):
        raise _invalid(
            "device_info names a CPU only: every machine of that model would be this device.", action=_NO_FACTS
        )
    return DeviceFacts({part: tuple(sorted(values)[:MOST_BOUND]) for part, values in facts.values.items()})


def is_weak(facts: DeviceFacts) -> bool:
    """Whether a device has an install identity and nothing else of its own."""
    own = without_install_identity(facts)
    return own.values != facts.values and set(own.values) <= {Part.CPU}


def without_install_identity(facts: DeviceFacts) -> DeviceFacts:
    """Return a device without the identity that its client made up."""
    disks = tuple(disk for disk in facts.values.get(Part.DISK, ()) if not INSTALL_IDENTITY.fullmatch(disk))
    return _with(facts, Part.DISK, disks)


def _with(facts: DeviceFacts, part: Part, values: tuple[str, ...]) -> DeviceFacts:
    return DeviceFacts({name: found for name, found in {**facts.values, part: values}.items() if found})


def is_shared(part: Part, value: str) -> bool:
    """Whether a value in normal form identifies no machine, because many have it (docs/licenses.md, rule by rule).

    1. nothing but punctuation, or one repeated character; 2. digits that count up or down, or a run of seven of one
    digit; 3. no digit at all; 4. "not …" and "… O.E.M."; 5. one of :data:`SHARED_VALUES`; 6. a MAC that is a group
    address or one of :data:`SHARED_MACS`.
    """
    if part is Part.MAC and _MAC.fullmatch(value):
        return _is_shared_mac(value)
    bare = _PUNCTUATION.sub("", value)
    digits = _DIGITS.sub("", bare)
    return (
        len(set(bare)) <= 1  # 1
        or (_is_typed(digits) and len(digits) >= (_SHORT if digits == bare else _LONG))  # 2
        or not digits  # 3
        or value.startswith("NOT ")  # 4
        or "O.E.M" in value
        or _SHARED_VALUE.fullmatch(value) is not None  # 5
    )


def _is_typed(digits: str) -> bool:
    """Whether digits count up or down by one (9 is followed by 0), or repeat one digit."""
    steps = {(int(after) - int(before)) % 10 for before, after in pairwise(digits)}
    return len(steps) == 1 and steps <= _STEPS


def _is_shared_mac(mac: str) -> bool:
    is_group = bool(int(mac[:2], 16) & _GROUP)
    return is_group or _is_typed_mac(mac) or mac.startswith(SHARED_MACS)


def _is_typed_mac(mac: str) -> bool:
    """Whether its bytes are one step apart, as in 00:11:22:33:44:55 and 00:00:00:00:00:00, or its digits count."""
    steps = {(after - before) % 256 for before, after in pairwise(bytes.fromhex(mac))}
    return len(steps) == 1 or (mac.isdigit() and _is_typed(mac))


def _assigned_first(macs: list[str]) -> list[str]:
    """Leave out locally administered addresses (made by software), unless there is no other."""
    return [mac for mac in macs if not _is_local(mac)] or macs


def _is_local(mac: str) -> bool:
    return _MAC.fullmatch(mac) is not None and bool(int(mac[:2], 16) & _LOCAL)


def lasting(facts: DeviceFacts) -> DeviceFacts:
    """Return a device without what software made up: those values may be others after the next start."""
    macs = tuple(mac for mac in facts.values.get(Part.MAC, ()) if not _is_local(mac))
    return _with(without_install_identity(facts), Part.MAC, macs)


def known_facts(facts: DeviceFacts, known: HashedParts, *, key: bytes) -> DeviceFacts:
    """Return of what a device says now only what it was registered with: nothing else is ever signed for it.

    Otherwise two parts of a registered machine, shown next to two of a stranger, get a license for the stranger.
    """
    found = {
        part: tuple(sorted(one for one in values if _digest(key, f"{part.value}:{one}") in known.get(part.value, ())))
        for part, values in facts.values.items()
    }
    return DeviceFacts({part: values for part, values in found.items() if values})


def _invalid(sentence: str, *, action: str = _FORM) -> InvalidRequestError:
    return InvalidRequestError(sentence, action=action, field="device_info")


def _values(part: Part, raw: str) -> tuple[str, ...]:
    if part is Part.MAC:
        normal = [_normal_mac(text) for text in raw.upper().split(",")]
    elif part is Part.DISK:
        normal = [_trim(text) for text in raw.upper().split(",")]
    else:
        normal = [_trim(raw.upper())]
    return tuple(dict.fromkeys([value for value in normal if value]))


def _normal_mac(text: str) -> str:
    value = _trim(text)
    digits = value.translate(_MAC_SEPARATORS)
    return digits if _MAC.fullmatch(digits) else value


def _trim(text: str) -> str:
    return text.strip(_BLANKS)


def hash_parts(facts: DeviceFacts, *, key: bytes) -> dict[str, list[str]]:
    """Return keyed hashes of all values by part: 128 bits of BLAKE2b (RFC 7693), hex, sorted.

    Without the key (a file next to the signing keys, never in the database) MAC addresses cannot be tried out. The form
    is ours alone: nothing outside this server ever sees it. The member :data:`SHARED` holds the hashes of what
    identifies no machine, to compare without it; it is never stored.
    """
    hashed = {
        part.value: sorted([_digest(key, f"{part.value}:{value}") for value in values])
        for part, values in facts.values.items()
    }
    shared = [_digest(key, f"{part.value}:{value}") for part, values in facts.shared.items() for value in values]
    return hashed | {SHARED: shared} if shared else hashed


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

    The weights of the parts that agree must reach :data:`NEEDED`, or all that the known device has where that is less;
    a CPU alone never suffices. Parts with several values agree when the sets share one, so a dock or a USB adapter
    coming or going changes nothing.
    """
    known = telling(known, given)
    parts = {part: _compare(known.get(str(part), ()), given.get(str(part), ())) for part in Part}
    agreeing = sum(_WEIGHTS[part] for part, agreement in parts.items() if agreement is Agreement.AGREES)
    return Match(parts, agreeing, _needed(known))


def is_same_device(known: HashedParts, given: HashedParts) -> bool:
    """Return what :func:`match` would find, without the explanation that only a refusal needs."""
    known = telling(known, given)
    agreeing = 0
    for part, weight in _WEIGHTS.items():
        values, others = known.get(part), given.get(part)
        if values and others and (values == others or not set(values).isdisjoint(others)):
            agreeing += weight
    return agreeing >= _needed(known)


def telling(known: HashedParts, given: HashedParts) -> HashedParts:
    """Return a known device without what the given one says and identifies no machine."""
    shared = given.get(SHARED)
    if not shared:
        return known
    return {part: left for part, values in known.items() if (left := [one for one in values if one not in shared])}


def tells_nothing(known: HashedParts, given: HashedParts) -> bool:
    """Whether all that a device was registered with, but for its CPU, turned out to be what many machines have.

    False where the CPU is another one.
    """
    left = telling(known, given)
    cpu = left.get(Part.CPU.value)
    return set(left) <= {Part.CPU.value} and (not cpu or not set(cpu).isdisjoint(given.get(Part.CPU.value, ())))


def _needed(known: HashedParts) -> int:
    weight = sum(weight for part, weight in _WEIGHTS.items() if known.get(part))
    return max(min(NEEDED, weight), _LEAST)


def _compare(known: list[str] | tuple[()], given: list[str] | tuple[()]) -> Agreement:
    if not known:
        return Agreement.NOT_KNOWN
    if not given:
        return Agreement.NOT_GIVEN
    return Agreement.DIFFERS if set(known).isdisjoint(given) else Agreement.AGREES
