"""The table of real events in docs/policies.md: each row is played, and what it says is what happens."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import httpx2
import pytest
from sqlmodel import select

from licsrv.app import Runtime
from licsrv.audit.tables import AuditEntry
from licsrv.licensing import policies, store
from licsrv.licensing.policies import VALUES
from licsrv.licensing.policy_defaults import policies_of
from licsrv.platform.config import Settings
from licsrv.platform.db import reading, transaction
from tests.conftest import StandingClock
from tests.docs.pages import DOCS
from tests.heartbeats.copies import link_of
from tests.licensing.test_activation import add_license, ask

PAGE = DOCS / "policies.md"
MACHINE = "3C:52:82:11:22:33|WD-WX11A5623|PF2QX7R1|BFEBFBFF000906EA"
ANOTHER = "3C:52:82:77:88:99|WD-WX11A9984|PF3AB4K9|BFEBFBFF000906EA"
CARD, DISK, BOARD = "3C:52:82:44:55:66", "WD-WX22B1178", "PF9ZZ8T4"
MONTH = timedelta(days=31)


def changed(machine: str = MACHINE, *, mac: str = "", disk: str = "", board: str | None = None, cpu: str = "") -> str:
    old = machine.split("|")
    return "|".join((mac or old[0], disk or old[1], old[2] if board is None else board, cpu or old[3]))


class Machine:
    """A machine with the license of one place, and the program on it. ``link`` is what its store holds."""

    def __init__(self, client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock) -> None:
        self.client, self.runtime, self.clock = client, runtime, clock
        self.string = self.link = ""

    async def asks(self, device: str) -> str:
        """Ask for the license, and return what the table says of that."""
        answer = await self.client.post("/v1/licenses/string", json=ask("C-1", device))
        if answer.status_code != 200:
            return f"is refused: `{answer.json()['code']}`"
        self.string = answer.json()["license_string"]
        return "works"

    async def contacts(self, device: str) -> str:
        """Check in and ask again: a device that is refused cannot go on."""
        answer = await self.beats(device)
        return await self.asks(device) if answer.status_code in {200, 409} else answer.text

    async def beats(self, device: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.string}"}
        body = {"nonce": "n", "device_info": device, "link": self.link}
        answer = await self.client.post("/v1/heartbeats", json=body, headers=headers)
        if answer.status_code == 200:
            self.link = link_of(answer.json()["lease"])
        return answer

    async def gives_back(self, device: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self.string}"}
        return await self.client.post("/v1/devices/release", json={"device_info": device}, headers=headers)


Event = Callable[[Machine], Awaitable[str]]


def becomes(*devices: str) -> Event:
    """The machine says something else, a month after the last time."""

    async def event(machine: Machine) -> str:
        said = ""
        for device in devices:
            machine.clock.move_to(machine.clock.now() + MONTH)
            said = await machine.contacts(device)
        return said

    return event


async def moves(machine: Machine) -> str:
    for number in range(4):
        device, other = (MACHINE, ANOTHER) if number % 2 == 0 else (ANOTHER, MACHINE)
        machine.clock.move_to(machine.clock.now() + timedelta(days=2))
        assert (await machine.gives_back(device)).status_code == 200
        assert await machine.asks(other) == "works"
    machine.clock.move_to(machine.clock.now() + timedelta(days=2))
    fifth = await machine.gives_back(MACHINE)
    assert fifth.json()["code"] == "MOVE_LIMIT_REACHED"
    return "works"


async def reduced(machine: Machine) -> str:
    with transaction(machine.runtime.database) as session:
        license = store.license_for_update(session, "C-1")
        assert license is not None
        license.device_limit = 2
    assert await machine.asks(ANOTHER) == "works"
    with transaction(machine.runtime.database) as session:
        license = store.license_for_update(session, "C-1")
        assert license is not None
        license.device_limit = 1
    third = "|".join((CARD, DISK, BOARD, "BFEBFBFF000906EA"))
    assert await machine.asks(third) == "is refused: `DEVICE_LIMIT_REACHED`"
    return await machine.contacts(ANOTHER)


async def restored(machine: Machine) -> str:
    links = []
    for _ in range(4):
        await machine.beats(MACHINE)
        links.append(machine.link)
        machine.clock.advance(days=1)
    for backup in (links[1], links[0], links[3]):
        machine.link = backup
        await machine.beats(MACHINE)
        machine.clock.advance(days=1)
    return "works" if await alarms(machine) == 0 else "is taken for a copy"


async def copied(machine: Machine) -> str:
    await machine.beats(MACHINE)
    links = [machine.link] * 2
    for number in range(4):
        machine.clock.advance(hours=12)
        machine.link = links[number % 2]
        said = (await machine.beats(MACHINE)).json()["status"]
        links[number % 2] = machine.link
    return "works" if (said, await alarms(machine)) == ("ACTIVE", 1) else "is not found"


async def alarms(machine: Machine) -> int:
    with reading(machine.runtime.database) as session:
        return len([row for row in session.exec(select(AuditEntry)) if row.action == "DEVICE_CLONED"])


def away(days: int) -> Event:
    async def event(machine: Machine) -> str:
        until = datetime.fromisoformat((await machine.beats(MACHINE)).json()["lease_until"])
        works = machine.clock.now() + timedelta(days=days) < until
        return "works" if works else "stops until the next contact"

    return event


CONTAINER = "02:42:AC:11:00:02|INSTALL-0123456789ABCDEF0123456789ABCDE7||BFEBFBFF000906EA"
REPAIRS: Sequence[str] = (
    changed(disk=DISK), changed(disk=DISK, mac=CARD), changed(disk=DISK, mac=CARD, board=BOARD),
)  # fmt: skip
EVENTS: dict[str, Event] = {
    "The network card is replaced": becomes(changed(mac=CARD)),
    "The disk is replaced": becomes(changed(disk=DISK)),
    "The mainboard is replaced, and the network card on it": becomes(changed(mac=CARD, board=BOARD)),
    "The mainboard alone is replaced": becomes(changed(board=BOARD)),
    "The CPU is replaced": becomes(changed(cpu="BFEBFBFF000A0671")),
    "A BIOS update hides the serial number of the board": becomes(changed(board="Default string")),
    "A dock with a network card of its own is used": becomes(changed(mac=f"{CARD},3C:52:82:11:22:33")),
    "A VPN adds an address": becomes(changed(mac="02:50:41:00:00:01,3C:52:82:11:22:33")),
    "A VPN replaces the address": becomes(changed(mac="02:50:41:00:00:01")),
    "A virtual machine moves to another host": becomes(changed(cpu="178BFBFF00A20F12")),
    "Disk, then network card, then mainboard, a month apart": becomes(*REPAIRS),
    "Disk and network card are replaced at once": becomes(changed(mac=CARD, disk=DISK)),
    "The machine is dead, another one is bought": lambda machine: machine.asks(ANOTHER),
    "The machine gives its place back, another one takes it": moves,
    "The amount is reduced below the devices in use": reduced,
    "The server is away for six days": away(6),
    "The server is away for eight days": away(8),
    "The machine is restored from a backup": restored,
    "The machine is copied, and both copies are used": copied,
    "A container without facts of its own asks": lambda machine: machine.asks(CONTAINER),
}


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of a table of the page, by their first cells."""
    section = PAGE.read_text("utf-8").split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [re.split(r"\s*\|\s*", line.strip("| ")) for line in section.splitlines() if line.startswith("| ")]
    return {cells[0].strip("`"): cells[1:] for cells in rows[2:]}


def test_every_row_of_the_table_is_played() -> None:
    assert list(table("What happens in real life")) == list(EVENTS)


@pytest.mark.parametrize("event", list(EVENTS))
async def test_what_the_table_says_is_what_happens(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock, event: str
) -> None:
    if not runtime.database.is_sqlite:
        return  # the rules are the same; the engines are compared elsewhere
    add_license(runtime, "C-1", device_limit=1)
    machine = Machine(client, runtime, clock)
    if not event.startswith("A container"):
        assert await machine.asks(MACHINE) == "works"

    assert await EVENTS[event](machine) == table("What happens in real life")[event][0]


def test_the_table_of_values_is_complete_and_says_the_defaults(settings: Settings) -> None:
    base = policies_of(settings).base
    rows = table("Values")

    assert list(rows) == list(VALUES)
    for value in VALUES.values():
        number = value.of(base)
        word = ("yes" if number else "no") if isinstance(number, bool) else str(number)
        assert rows[value.name][0].strip("`") == (f"LICSRV_{value.setting}" if value.setting else word)


def test_what_the_page_advises_can_be_set(settings: Settings) -> None:
    base = policies_of(settings).base
    for who, (stated, _) in table("Which one to choose").items():
        pairs = [pair.partition("=") for pair in re.findall(r"`([a-z_.]+=\w+)`", stated)]
        given = {name: policies.read_word(name, word) for name, _, word in pairs}
        assert policies.changed({}, given, base) == given, who
        assert given or stated == "nothing"
