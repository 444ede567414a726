"""Generated machines, what happens to them, and a license with one place that recognises them or does not. Pure.

The place decides and learns by the functions of the service, under a policy; only the tables are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random

from licsrv.errors import DeviceLimitError
from licsrv.licensing import bindings, fingerprints
from licsrv.licensing.fingerprints import HashedParts
from licsrv.licensing.places import HeldPlaces, KnownDevice
from licsrv.licensing.policies import Policy
from tests.conftest import NOW
from tests.licensing.test_lifecycle import ACTIVE

KEY = b"k" * 32
ENDLESS = replace(ACTIVE, expires_at=None)
CPUS = ("BFEBFBFF000906EA", "178BFBFF00A20F12", "BFEBFBFF000A0671")
PLACEHOLDERS = ("", "To be filled by O.E.M.", "Default string", "0000000000", "QM00001", "None", "123456789")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Machine:
    """A machine as it is now; ``added`` and ``instead`` are addresses that come and go, ``board`` may be hidden."""

    macs: tuple[str, ...]
    disks: tuple[str, ...]
    board: str
    cpu: str
    added: tuple[str, ...] = ()
    instead: tuple[str, ...] = ()
    hides_board: str | None = None

    @property
    def text(self) -> str:
        """What it says of itself."""
        macs = self.instead or (*self.added, *self.macs)
        board = self.board if self.hides_board is None else self.hides_board
        return f"{','.join(macs)}|{','.join(self.disks)}|{board}|{self.cpu}"

    @property
    def settled(self) -> Machine:
        """The machine without what comes and goes."""
        return replace(self, added=(), instead=(), hides_board=None)


def mac(random: Random) -> str:
    return f"{random.choice(('3C:52:82', '04:7C:16', 'B4:2E:99'))}:" + ":".join(
        f"{random.randrange(256):02X}" for _ in range(3)
    )


def software_mac(random: Random) -> str:
    return "02:50:41:" + ":".join(f"{random.randrange(256):02X}" for _ in range(3))


def serial(random: Random, kind: str) -> str:
    return f"{kind}-{random.randrange(10**6):06d}{random.choice('ABCDEFGH')}{random.randrange(1000):03d}"


def machine(random: Random, cpu: str | None = None) -> Machine:
    macs = tuple(mac(random) for _ in range(random.choice((1, 1, 2))))
    disks = tuple(serial(random, "WD") for _ in range(random.choice((1, 1, 2))))
    return Machine(macs, disks, serial(random, "PF"), cpu or random.choice(CPUS))


def repaired(random: Random, old: Machine) -> Machine:
    """The machine with one lasting part replaced: a card, a disk, or the board (or its serial, by a BIOS update)."""
    part = random.choice(("mac", "disk", "board"))
    if part == "mac":
        return replace(old, macs=(mac(random), *old.macs[1:]))
    if part == "disk":
        return replace(old, disks=(serial(random, "WD"), *old.disks[1:]))
    return replace(old, board=serial(random, "PF"))


def passing(random: Random, old: Machine) -> Machine:
    """The machine with one thing that comes and goes: a dock, a VPN, a hidden serial, another host under a VM."""
    match random.choice(("dock", "vpn", "vpn instead", "bios", "migration")):
        case "dock":
            return replace(old, added=(mac(random),))
        case "vpn":
            return replace(old, added=(software_mac(random),))
        case "vpn instead":
            return replace(old, instead=(software_mac(random),))
        case "bios":
            return replace(old, hides_board=random.choice(PLACEHOLDERS))
        case _:
            return replace(old, cpu=random.choice(CPUS))


@dataclass
class Place:
    """The one place of a license, and the device that holds it."""

    policy: Policy
    parts: HashedParts
    text_hash: str = ""
    learned_at: list[datetime] = field(default_factory=list)

    @classmethod
    def taken_by(cls, text: str, policy: Policy) -> Place:
        """Let a device take the place."""
        facts = fingerprints.binding(fingerprints.parse(text))
        parts = fingerprints.hash_parts(fingerprints.DeviceFacts(facts.values), key=KEY)
        return cls(policy, parts, fingerprints.hash_text(text, key=KEY))

    def admits(self, text: str, at: datetime) -> bool:
        """Let a device ask, and the one that holds the place learn what it shows."""
        facts = fingerprints.parse(text)
        given = fingerprints.hash_parts(facts, key=KEY)
        found = not set(fingerprints.selective_parts(self.parts)).isdisjoint(fingerprints.lookup_parts(given))
        known = [KnownDevice("device", self.parts, has_place=True, text_hash=self.text_hash)] if found else []
        text_hash = fingerprints.hash_text(text, key=KEY)
        try:
            HeldPlaces(1, 1).decide(ENDLESS, known, given, text_hash=text_hash, now=at)
        except DeviceLimitError:
            return False
        self.text_hash = text_hash
        self._learn(facts, given, at)
        return True

    def _learn(self, facts: fingerprints.DeviceFacts, given: HashedParts, at: datetime) -> None:
        lasting = fingerprints.hash_parts(fingerprints.lasting(facts), key=KEY)
        learned = bindings.learn(fingerprints.telling(self.parts, given), lasting)
        budget = self.policy.recognition.budget
        if learned and sum(moment > at - budget.span for moment in self.learned_at) < budget.parts:
            self.parts = learned.parts
            self.learned_at.append(at)
            self.text_hash = self.text_hash if learned.is_last else ""


def life(random: Random, *, events: int, apart: tuple[int, int]) -> Iterator[tuple[str, datetime]]:
    """Yield what a machine says and when, in a life in which one part changes at a time.

    What comes and goes is gone, and was not there at a contact, before the next thing happens.

    Args:
        apart: The least and the most days between two repairs.
    """
    now, at = machine(random), NOW
    if random.random() < 0.3:
        now = replace(now, added=(mac(random),))  # registered in its dock
    yield now.text, at
    for _ in range(events):
        now, end = now.settled, at + random.randint(*apart) * DAY
        while at < end:
            at += DAY
            yield now.text, at
            if random.random() < 0.2 and at < end:
                at += DAY
                yield passing(random, now).text, at
                at += DAY
                yield now.text, at
        now = repaired(random, now)
        yield now.text, at


def pair(random: Random) -> tuple[Machine, Machine]:
    """Two machines of one fleet: the same CPU and image, placeholders, and up to one further part shared.

    A machine that is known by one part alone shares none: the part is all that it is.
    """
    cpu = random.choice(CPUS)
    one, other = machine(random, cpu), machine(random, cpu)
    if random.random() < 0.3:
        word = random.choice(PLACEHOLDERS)
        one, other = replace(one, board=word), replace(other, board=word)
    if random.random() < 0.2:
        disks = (random.choice(PLACEHOLDERS),)
        one, other = replace(one, disks=disks), replace(other, disks=disks)
    own = [part for part in ("macs", "disks", "board") if not set(_values(one, part)) & set(PLACEHOLDERS)]
    if len(own) > 1 and random.random() < 0.8:
        part = random.choice(own)
        shared = _values(one, part)[-1]
        value = shared if part == "board" else (*_values(other, part)[:1], shared)
        other = replace(other, **{part: value})  # type: ignore[arg-type]
    return one, other


def _values(of: Machine, part: str) -> tuple[str, ...]:
    found = getattr(of, part)
    return found if isinstance(found, tuple) else (found,)
