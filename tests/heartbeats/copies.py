"""Machines that check in, lose answers, are restored, share a store and are copied: histories drawn from a seed.

Clients are played by the rules that they promise: before each check-in the newest link of the store is read, of two
answers the later one is kept, and the link of an answer that took longer than two minutes is not.
"""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

import httpx2
from sqlmodel import Session

from licsrv.heartbeats.tables import DeviceBranch
from licsrv.licensing import clones
from licsrv.licensing.clones import WINDOW, Branch, Caller, Event, Presented
from licsrv.licensing.tables import Device
from tests.conftest import DEVICE, NOW, StandingClock

SLOWEST_KEPT = timedelta(minutes=2)
END_OF_TIME = datetime.max.replace(tzinfo=NOW.tzinfo)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class Server(Protocol):
    """Answers a check-in with a link; links of one server can be compared."""

    def check_in(self, link: Any, now: datetime) -> tuple[Any, Event | None]: ...


@dataclass
class PureServer:
    """The rules alone, for one device."""

    branches: dict[str, Branch] = field(default_factory=dict)
    last_at: datetime | None = None
    made: int = 0

    def check_in(self, link: Any, now: datetime) -> tuple[Any, Event | None]:
        self.made += 1
        branch, event = f"{self.made:08x}", None
        if self.branches or not clones.goes_on(link, self.last_at, now=now):
            step = clones.follow(
                self.branches, link, caller=Caller(), last_at=self.last_at, new_id=branch, now=now
            )  # fmt: skip
            self.branches, branch, event = dict(step.branches), step.branch, step.event
        elif link is not None:
            branch = link.branch
        self.last_at = now
        return Presented(now, branch), event


def claims_of(lease: str) -> dict[str, Any]:
    """Return what a lease says, unverified."""
    claims: dict[str, Any] = json.loads(base64.urlsafe_b64decode(lease.split(".")[1] + "=="))
    return claims


def link_of(lease: str) -> str:
    """Return the link of a lease."""
    return str(claims_of(lease)["link"])


def later(one: Any, other: Any) -> Any:
    """Return the link that a client keeps of two."""
    if one is None or other is None:
        return one or other
    return max(one, other, key=lambda link: (link.at, link.branch) if isinstance(link, Presented) else link)


@dataclass
class Flight:
    """A check-in under way: what was presented when, and the answer once the server has given it."""

    presented: Any
    sent_at: datetime
    answer: Any = None
    lost_at: datetime = END_OF_TIME
    is_answered: bool = False


@dataclass
class Saved:
    """A backup: what was in the stores, and on which line of the machine's life it was made."""

    stores: list[Any]
    line: int
    ancestry: frozenset[int]


class Life:
    """One machine, its stores (one for each user) and its backups.

    A restored backup begins a new line. The machine goes back to every backup that was made on the way to where it is,
    of any age, also to a newer one after an older one (the wrong backup first, then the right one). What was saved on a
    line that it has left for good does not come back: who goes on with two saved states in turn has two copies.
    """

    def __init__(self, server: Server, dice: random.Random) -> None:
        self.server, self.dice, self.now = server, dice, NOW + timedelta(microseconds=dice.randrange(10**6))
        self.stores: list[Any] = [None] * dice.choice([1, 1, 1, 2, 3])
        self.flights: list[tuple[int, Flight]] = []
        self.backups: list[Saved] = []
        self.line, self.lines, self.ancestry = 0, 1, frozenset({0})
        self.image: Saved | None = None
        self.events: list[Event] = []

    def live(self, steps: int) -> list[Event]:
        happenings: list[tuple[int, Callable[[], None]]] = [
            (30, self.send), (30, self.arrive), (30, self.deliver), (6, self.lose), (4, self.save), (3, self.restore),
            (3, self.reset), (2, self.ask_without_store), (2, self.clock_set_back),
        ]  # fmt: skip
        weights = [weight for weight, _ in happenings]
        longest, pauses = self.dice.choice([1, 7, 40]), self.dice.choice([0.02, 0.1, 0.3])
        for _ in range(steps):
            self.now += self.dice.randint(0, longest) * timedelta(seconds=self.dice.random() * 10)
            if self.dice.random() < pauses:
                self.now += self.dice.choice([MINUTE, 6 * MINUTE, HOUR, DAY, 9 * DAY]) * self.dice.random()
            self.dice.choices(happenings, weights)[0][1]()
        return self.events

    def send(self) -> None:
        store = self.dice.randrange(len(self.stores))
        self.flights.append((store, Flight(self.stores[store], self.now)))

    def arrive(self) -> None:
        """The server answers one of the questions under way, in any order; some arrive very late."""
        waiting = [flight for _, flight in self.flights if not flight.is_answered and self.now < flight.lost_at]
        if waiting:
            flight = self.dice.choice(waiting)
            flight.answer, event = self.server.check_in(flight.presented, self.now)
            flight.is_answered = True
            self.events += [event] if event is not None else []

    def deliver(self) -> None:
        ready = [one for one in self.flights if one[1].is_answered]
        if ready:
            store, flight = one = self.dice.choice(ready)
            self.flights.remove(one)
            if self.now - flight.sent_at <= SLOWEST_KEPT:
                self.stores[store] = later(self.stores[store], flight.answer)

    def lose(self) -> None:
        if self.flights:
            self.flights.remove(self.dice.choice(self.flights))

    def save(self) -> None:
        self.backups.append(Saved(list(self.stores), self.line, self.ancestry))
        if self.image is None and self.dice.random() < 0.3:
            self.image = self.backups[-1]

    def restore(self) -> None:
        own = [saved for saved in self.backups if saved.line in self.ancestry]
        if own:
            self._go_to(self.dice.choice(own))

    def reset(self) -> None:
        """A machine of a classroom is set to its image."""
        if self.image is not None and self.image.line in self.ancestry:
            self._go_to(self.image)

    def ask_without_store(self) -> None:
        self.events += [event for _, event in [self.server.check_in(None, self.now)] if event is not None]

    def clock_set_back(self) -> None:
        """The server's clock is set back a little, as between replicas."""
        if self.dice.random() < 0.2:
            self.now -= self.dice.random() * 3 * timedelta(seconds=1)

    def _go_to(self, saved: Saved) -> None:
        self.flights = [one for one in self.flights if not one[1].is_answered]
        for _, flight in self.flights:  # its program is gone: the server may still hear the question, nobody the answer
            flight.lost_at = min(flight.lost_at, flight.sent_at + WINDOW)
            flight.sent_at = NOW - DAY
        self.stores, self.line = list(saved.stores), self.lines
        self.ancestry, self.lines = saved.ancestry | {self.line}, self.lines + 1


@dataclass
class Copy:
    """One of several copies of a machine: its store, and how it checks in."""

    link: Any
    loses: float
    beats: list[datetime] = field(default_factory=list)


@dataclass(frozen=True)
class Beat:
    """A check-in of a copy, and whether its answer arrived."""

    copy: int
    at: datetime
    is_kept: bool


def copied(server: Server, dice: random.Random, *, loses: float) -> Iterator[tuple[Beat, Event | None]]:
    """Play two copies of a machine with any rhythms, from a copy made at any moment of its life on."""
    now, link = NOW, None
    for _ in range(dice.choice([1, 1, 2, 5])):
        link, _ = server.check_in(link, now)
        now += dice.choice([MINUTE, HOUR, DAY]) * (0.5 + dice.random())
    copies = [Copy(link, loses), Copy(link, loses)]
    if dice.random() < 0.3:  # the copy is an older backup
        copies[0].link, _ = server.check_in(link, now)
    rhythms = [dice.choice([MINUTE, 15 * MINUTE, HOUR, DAY]) for _ in copies]
    due = [now + rhythm * dice.random() for rhythm in rhythms]
    for _ in range(60):
        number = min(range(2), key=due.__getitem__)
        one, now = copies[number], due[number]
        if now - NOW > 25 * DAY:
            return
        answer, event = server.check_in(one.link, now)
        is_kept = dice.random() >= one.loses
        one.link = answer if is_kept else one.link
        due[number] = now + rhythms[number] * (0.9 + 0.2 * dice.random())
        yield Beat(number, now, is_kept), event


def is_promised(beats: list[Beat]) -> bool:
    """Whether two copies must be proven by the last of these check-ins.

    Check-ins of one copy in a row are its turn. Where the last answer of each turn arrived, and the next turn began
    five minutes later or more, the fourth turn in a row proves them.
    """
    turns: list[list[Beat]] = []
    for beat in beats:
        if turns and turns[-1][-1].copy == beat.copy:
            turns[-1].append(beat)
        else:
            turns.append([beat])
    if len(turns) < 4:
        return False
    for first, second, third, fourth in zip(turns, turns[1:], turns[2:], turns[3:], strict=False):
        clean = all(turn[-1].is_kept for turn in (first, second, third))
        apart = second[0].at - first[-1].at >= WINDOW and third[0].at - second[-1].at >= WINDOW
        if clean and apart and fourth:
            return True
    return False


# --- Over the wire


@dataclass
class Machine:
    """A machine with its store; a copy of it is another one."""

    client: httpx2.AsyncClient
    string: str
    name: str = "CAD-WS-07"
    link: str = ""
    device: str = DEVICE

    async def beats(self) -> dict[str, Any]:
        client = {"version": "3.2.1", "name": self.name}
        body = {"nonce": "n", "device_info": self.device, "client": client} | ({"link": self.link} if self.link else {})
        headers = {"Authorization": f"Bearer {self.string}"}
        answer = await self.client.post("/v1/heartbeats", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        claims = claims_of(answer.json()["lease"])
        self.link = claims["link"]
        return claims

    def copy(self, name: str) -> Machine:
        return replace(self, name=name)


async def forked(machine: Machine, clock: StandingClock) -> Machine:
    """Copy a machine, and let both check in until they are proven."""
    other = machine.copy("CAD-WS-08")
    for _ in range(2):
        clock.advance(hours=23)
        await machine.beats()
        clock.advance(hours=1)
        await other.beats()
    return other


# --- On record


def remember_copies(session: Session, device_id: str, *, now: datetime) -> tuple[str, str]:
    """Put two proven copies of a device on record; return what they are called."""
    device, branches = session.get_one(Device, device_id), ("0000000a", "0000000b")
    for number, branch in enumerate(branches):
        row = DeviceBranch(
            device_id=device_id, branch=branch, license_id=device.license_id, family=branches[0], head=now, since=now,
            origin=now, left_at=now if number else None, proven_at=now, name=f"COPY-{number}", network="192.0.2.0/24",
        )  # fmt: skip
        session.add(row)
    device.is_branched = True
    return branches
