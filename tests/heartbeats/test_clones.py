"""Copies of one machine are told from restored backups, lost answers, and several users of one machine."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx2
import pytest

from licsrv import upkeep
from licsrv.app import build_runtime, create_app
from licsrv.audit.tables import AuditEntry
from licsrv.heartbeats import service
from licsrv.heartbeats.links import links_of
from licsrv.heartbeats.rules import Beat
from licsrv.heartbeats.service import Granted
from licsrv.heartbeats.tables import DeviceBranch
from licsrv.licensing import fingerprints
from licsrv.licensing.clones import FORGOTTEN_AFTER, MOST_BRANCHES, Event
from licsrv.licensing.issuing import strings
from licsrv.licensing.policies import Policies
from licsrv.licensing.tables import Device
from licsrv.platform.config import Settings
from licsrv.platform.db import transaction
from licsrv.runtime import Runtime
from tests import products, soak
from tests.conftest import NOW, OTHER_DEVICE, StandingClock
from tests.heartbeats.copies import DAY, HOUR, MINUTE, Life, Machine, PureServer, Server, copied, forked, is_promised
from tests.heartbeats.test_check_in import add_license, rows, string_for

# --- Laws


def lives(server: Callable[[], Server], seeds: range) -> None:
    """A machine that is one is never proven to be two."""
    for seed in seeds:
        assert Event.PROVEN not in Life(server(), random.Random(seed)).live(120), f"seed {seed}"


def copies(server: Callable[[], Server], seeds: range) -> int:
    """Two copies are proven when it is promised; return how often that was."""
    promised = 0
    for seed in seeds:
        dice, beats, is_proven = random.Random(seed), [], False
        for beat, event in copied(server(), dice, loses=dice.choice([0, 0, 0.1, 0.4])):
            beats.append(beat)
            is_proven = is_proven or event is Event.PROVEN
            if is_promised(beats):
                promised += 1
                assert is_proven, f"seed {seed}, after {len(beats)} check-ins"
                break
    return promised


@soak.rounds(everyday=60, short=1_000, whole=10_000)
def test_a_machine_that_is_one_is_never_proven_to_be_two(rounds: int) -> None:
    lives(PureServer, range(rounds))


@soak.rounds(everyday=60, short=1_000, whole=10_000)
def test_two_copies_are_proven_by_the_fourth_turn(rounds: int) -> None:
    assert copies(PureServer, range(rounds)) > rounds / 8


@soak.rounds(everyday=40, short=1_000, whole=10_000)
def test_copies_in_turn_are_proven_by_the_second_check_in_of_the_second_or_the_third_within_minutes(
    rounds: int,
) -> None:
    for seed in range(rounds):
        dice = random.Random(seed)
        period = dice.choice([13.5 * MINUTE, HOUR, DAY]) * (1 + dice.random())
        behind = period * dice.choice([0.001, 0.3, 0.5, 0.7, 0.999])
        server, proven_at = PureServer(), None
        link, _ = server.check_in(None, NOW)
        holds = [link, link]
        for number in range(6):
            at = NOW + period * (1 + number // 2) + behind * (number % 2)
            holds[number % 2], event = server.check_in(holds[number % 2], at)
            proven_at = number if event is Event.PROVEN and proven_at is None else proven_at
        is_apart = min(behind, period - behind) >= 5 * MINUTE
        assert (proven_at or 99) <= (3 if is_apart else 5), f"seed {seed}"


@dataclass
class RealServer:
    """The use case on a database, for one device of its own."""

    runtime: Runtime
    string: str
    device: str

    def check_in(self, link: Any, now: datetime) -> tuple[Any, Event | None]:
        key = self.runtime.keyring().device_key
        text_hash = fingerprints.hash_text(self.device, key=key)
        beat = Beat(strings.digest(self.string), text_hash, self.device, client_version="1", link=link or "")
        with transaction(self.runtime.database) as session:
            (answer,) = service.check_in(
                session, [beat], day=now.date(), policies=Policies(), keyring=self.runtime.keyring(), now=now
            )  # fmt: skip
        assert isinstance(answer, Granted)
        return answer.link, answer.event


@pytest.mark.parametrize("law", [lives, copies])
@soak.rounds(everyday=1, short=10, whole=100)
async def test_the_laws_hold_on_both_databases(
    client: httpx2.AsyncClient, runtime: Runtime, law: Callable[..., object], rounds: int
) -> None:
    add_license(runtime, "C-1", device_limit=rounds + 1)
    devices = [f"02:00:00:00:00:{number % 200:02X}|D{number}|B{number}|C" for number in range(rounds)]
    servers = iter([RealServer(runtime, await string_for(client, "C-1", device), device) for device in devices])

    law(lambda: next(servers), range(rounds))


# --- Over the wire


async def a_machine(client: httpx2.AsyncClient, runtime: Runtime, action: str = "warn") -> Machine:
    with transaction(runtime.database) as session:
        products.describe(session, "CAD", {"clones.action": action})
    add_license(runtime, "C-1", product_id="CAD", device_limit=3)
    machine = Machine(client, await string_for(client, "C-1"))
    await machine.beats()
    return machine


def audited(runtime: Runtime) -> list[Any]:
    return [json.loads(row.detail) for row in rows(runtime, AuditEntry) if row.action == "DEVICE_CLONED"]


async def test_a_device_that_goes_on_from_its_last_lease_leaves_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime)
    for hours in (1, 23, 24, 400):
        clock.advance(hours=hours)
        await machine.beats()

    assert rows(runtime, DeviceBranch) == []
    assert len(machine.link) < 40


async def test_two_copies_are_audited_once_with_both_of_them(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime)
    other = await forked(machine, clock)

    [detail] = audited(runtime)
    assert {copy["name"] for copy in detail["copies"]} == {"CAD-WS-07", "CAD-WS-08"}
    assert {copy["version"] for copy in detail["copies"]} == {"3.2.1"}
    assert {copy["network"] for copy in detail["copies"]} == {"127.0.0.0/24"}
    assert 'licsrv_device_forks_total{event="proven"} 1.0' in runtime.metrics.text().decode()
    for _ in range(3):
        clock.advance(hours=12)
        assert [(await one.beats())["status"] for one in (machine, other)] == ["ACTIVE"] * 2, "a warning stops nothing"
    assert len(audited(runtime)) == 1


async def test_no_network_is_kept_where_no_address_is_logged(settings: Settings, clock: StandingClock) -> None:
    runtime = build_runtime(settings.model_copy(update={"log_addresses": "none"}), clock=clock)
    transport = httpx2.ASGITransport(app=create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        await forked(await a_machine(client, runtime), clock)
    assert {row.network for row in rows(runtime, DeviceBranch)} == {""}
    await runtime.close()


async def test_proven_copies_stop_where_the_policy_refuses(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime, action="refuse")
    other = await forked(machine, clock)

    clock.advance(minutes=6)
    for one in (machine, other, Machine(client, machine.string)):
        claims = await one.beats()
        assert (claims["status"], claims["next"] - claims["iat"]) == ("REVOKED", 3600)
        assert claims["reason"].startswith("Two copies of this machine are in use")
    again = await string_for(client, "C-1")
    assert (await Machine(client, again).beats())["status"] == "REVOKED", "a new string is the same machine"
    another = Machine(client, await string_for(client, "C-1", OTHER_DEVICE), device=OTHER_DEVICE)
    assert (await another.beats())["status"] == "ACTIVE"


async def test_nothing_is_counted_where_the_policy_says_off(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime, action="off")
    await forked(machine, clock)

    assert (rows(runtime, DeviceBranch), audited(runtime)) == ([], [])


async def test_a_link_that_is_not_ours_or_of_another_device_is_as_none(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime)
    stranger = Machine(client, await string_for(client, "C-1", OTHER_DEVICE), device=OTHER_DEVICE)
    await stranger.beats()
    ours = machine.link
    clock.advance(days=1)
    await machine.beats()

    for wrong in (stranger.link, ours[:-1] + "x", "0" * 37, "0" * 21, "é" * 37, "\x00" * 37, "x" * 256, ours.upper()):
        machine.link = wrong
        assert (await machine.beats())["status"] == "ACTIVE"
    assert rows(runtime, DeviceBranch) == []


async def test_two_users_of_one_machine_are_no_copies(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    one = await a_machine(client, runtime, action="refuse")
    two, old_program = Machine(client, one.string), Machine(client, one.string)
    for _ in range(6):
        for user in (one, two, old_program, one):
            clock.advance(hours=7)
            old_program.link = ""
            assert (await user.beats())["status"] == "ACTIVE"

    assert audited(runtime) == []
    assert len(rows(runtime, DeviceBranch)) <= 3


async def test_what_nobody_comes_back_to_is_forgotten(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime)
    backup = machine.link
    for _ in range(MOST_BRANCHES + 4):
        machine.link = backup
        clock.advance(days=1)
        await machine.beats()
    assert len(rows(runtime, DeviceBranch)) == MOST_BRANCHES
    assert [row.is_branched for row in rows(runtime, Device)] == [True]

    for _ in range(2):
        clock.advance(days=FORGOTTEN_AFTER.days)
        await machine.beats()

    assert rows(runtime, DeviceBranch) == []
    assert [row.is_branched for row in rows(runtime, Device)] == [False]
    assert audited(runtime) == []


async def test_old_copies_are_pruned_as_old_days_are(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    machine = await a_machine(client, runtime, action="refuse")
    other = await forked(machine, clock)
    await machine.beats()
    clock.advance(days=upkeep.KEPT_DAYS - 1)
    await upkeep.prune(runtime)
    assert {row.name for row in rows(runtime, DeviceBranch)} == {"CAD-WS-07", "CAD-WS-08"}

    clock.advance(days=2)
    await upkeep.prune(runtime)

    assert rows(runtime, DeviceBranch) == []
    assert (await other.beats())["status"] == "ACTIVE"
    assert [row.is_branched for row in rows(runtime, Device)] == [False]


def test_links_sort_as_their_moments_do_and_say_nothing_else() -> None:
    links, moments = links_of(b"secret"), [NOW + timedelta(microseconds=number**3) for number in range(50)]
    made = [links.make("device", at, "ffffffff") for at in moments]

    assert sorted(made) == made
    assert [links.read("device", text).at for text in made] == moments  # type: ignore[union-attr]
    assert links.read("other", made[0]) is None
    assert links_of(b"another").read("device", made[0]) is None
    assert fingerprints.hash_text("device", key=b"secret") not in made[0]
