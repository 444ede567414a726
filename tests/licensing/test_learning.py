"""Repairs one after another leave a device what it is; crowds that share a place are counted."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from sqlalchemy import event
from sqlmodel import select

from licsrv import upkeep
from licsrv.audit.tables import AuditEntry
from licsrv.licensing import learning, store
from licsrv.licensing.store import TextsOfDay
from licsrv.licensing.tables import DeviceText, License
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests import products
from tests.conftest import NOW, StandingClock
from tests.licensing.test_activation import add_license, ask
from tests.licensing.test_binding import fits

NEW = "3C:52:82:11:22:33|WD-0001|BOARD-1|CPU-1"
OTHER_DISK = "3C:52:82:11:22:33|WD-0002|BOARD-1|CPU-1"
OTHER_CARD = "3C:52:82:44:55:66|WD-0002|BOARD-1|CPU-1"
OTHER_BOARD = "3C:52:82:44:55:66|WD-0002|BOARD-2|CPU-2"
STRANGER = "3C:52:82:AA:BB:CC|WD-0009|BOARD-9|CPU-1"


class Program:
    """A program on one machine after another: it asks, and checks in with what it was given first."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self._client = client
        self._string = ""

    async def ask(self, device: str) -> httpx2.Response:
        answer = await self._client.post("/v1/licenses/string", json=ask("C-1", device))
        if answer.status_code == 200:
            self._string = self._string or answer.json()["license_string"]
        return answer

    async def beat(self, device: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self._string}"}
        body = {"nonce": "n", "device_info": device}
        return await self._client.post("/v1/heartbeats", json=body, headers=headers)

    async def fits(self, device: str) -> bool:
        """Whether what is handed out now is for this machine."""
        answer = await self.ask(device)
        if answer.status_code != 200:
            return False
        return await fits(self._client, answer.json()["license_string"].encode(), device, "string")


def audited(runtime: Runtime, action: str) -> list[Any]:
    with reading(runtime.database) as session:
        return list(session.exec(select(AuditEntry).where(AuditEntry.action == action)))


async def test_repairs_one_after_another_are_learned_from_requests(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)

    assert [await program.fits(machine) for machine in (NEW, OTHER_DISK, OTHER_CARD)] == [True] * 3
    assert (await program.ask(NEW)).status_code == 409
    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 2
    assert await program.fits(OTHER_BOARD)  # recognised by the two others; the budget of the month is spent
    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 2
    clock.advance(days=31)
    assert (await program.ask(OTHER_BOARD)).status_code == 200
    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 3


async def test_repairs_one_after_another_are_learned_from_check_ins(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask(NEW)

    beats = [(await program.beat(machine)).status_code for machine in (NEW, OTHER_DISK, OTHER_CARD, OTHER_CARD)]

    assert beats == [200] * 4
    assert (await program.beat(NEW)).status_code == 409
    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 2
    assert await program.fits(OTHER_CARD)
    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 1


async def test_a_part_that_could_not_be_learned_when_it_asked_is_learned_at_a_later_check_in(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    for machine in (NEW, OTHER_DISK, OTHER_CARD, OTHER_BOARD):
        assert (await program.ask(machine)).status_code == 200
    last = OTHER_BOARD.replace("WD-0002", "WD-0003")

    assert (await program.beat(OTHER_BOARD)).status_code == 200
    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 2, "the budget of the month is spent"
    clock.advance(days=31)
    assert (await program.beat(OTHER_BOARD)).status_code == 200

    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 3
    assert (await program.beat(last)).status_code == 200, "one part changed since"


async def test_a_policy_that_lets_devices_learn_reaches_those_that_asked_before(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "OFFI1", {"recognition.learned_parts": 0})
    add_license(runtime, "C-1", device_limit=1, product_id="OFFI1")
    program = Program(client)
    for machine in (NEW, OTHER_DISK):
        assert (await program.ask(machine)).status_code == 200

    with transaction(runtime.database) as session:
        products.change(session, "OFFI1", {"recognition.learned_parts": 2})
    assert (await program.beat(OTHER_DISK)).status_code == 200

    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 1


async def test_a_machine_that_named_two_parts_and_later_four_is_known_by_all(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask("3C:52:82:11:22:33|||CPU-1")

    await program.ask(NEW)
    assert (await program.beat(NEW)).status_code == 200

    assert (await program.beat(OTHER_DISK)).status_code == 200
    other_card = OTHER_CARD.replace("WD-0002", "WD-0001")
    assert (await program.beat(other_card)).status_code == 200


async def test_a_product_has_a_budget_of_its_own(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    with transaction(runtime.database) as session:
        products.describe(session, "FIXED", {"recognition.learned_parts": 0})
    add_license(runtime, "C-1", device_limit=1, product_id="FIXED")
    program = Program(client)
    await program.ask(NEW)

    assert await program.fits(OTHER_DISK)

    assert (await program.ask(OTHER_CARD)).status_code == 409
    assert (await program.beat(OTHER_CARD)).status_code == 409
    assert audited(runtime, "DEVICE_PART_LEARNED") == []


async def test_parts_of_a_stranger_shown_next_to_our_own_gain_it_nothing(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask(NEW)
    ours, theirs = NEW.split("|"), STRANGER.split("|")
    mixed = f"{ours[0]},{theirs[0]}|{ours[1]},{theirs[1]}|{theirs[2]}|CPU-1"

    text = (await program.ask(mixed)).json()["license_string"].encode()
    assert (await program.beat(mixed)).status_code == 200

    assert not await fits(client, text, STRANGER, "string")
    assert (await program.ask(STRANGER)).status_code == 409
    assert (await program.beat(STRANGER)).status_code == 409


async def test_what_another_device_of_the_license_is_bound_to_is_not_learned(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=2)
    program, other = Program(client), Program(client)
    await program.ask(NEW)
    await other.ask(STRANGER)

    for machine in ("3C:52:82:11:22:33|WD-0009|BOARD-1|CPU-1", "3C:52:82:AA:BB:CC|WD-0001|BOARD-1|CPU-1"):
        await program.ask(machine)
        await program.beat(machine)

    assert audited(runtime, "DEVICE_PART_LEARNED") == []
    assert await other.fits(STRANGER)


async def test_a_machine_may_get_the_parts_that_another_one_had(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    """The old disk and the old card go into a new machine, which is then as the first one was registered."""
    add_license(runtime, "C-1", device_limit=2)
    program, other = Program(client), Program(client)
    for machine in (NEW, OTHER_DISK, OTHER_CARD):
        await program.ask(machine)

    assert (await other.ask(NEW)).status_code == 200
    assert await program.fits(OTHER_CARD)


async def test_the_texts_that_a_device_sends_on_a_day_are_counted(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask(NEW)
    docked = [NEW.replace("|", f",3C:52:82:00:00:{number:02X}|", 1) for number in range(learning.MOST_TEXTS + 5)]

    for text in (NEW, docked[0], docked[0], f" {docked[0]}\n", docked[1]):
        assert (await program.beat(text)).status_code == 200
    assert (await program.ask(docked[2])).status_code == 200

    today = clock.now().date()
    with reading(runtime.database) as session:
        (device_id,) = set(session.exec(select(DeviceText.device_id)))
        assert store.texts_of_day(session, [device_id], today) == {device_id: TextsOfDay(3, is_alarmed=True)}
    for text in docked:
        await program.beat(text)
    with transaction(runtime.database) as session:
        assert store.texts_of_day(session, [device_id], today) == {
            device_id: TextsOfDay(learning.MOST_TEXTS, is_alarmed=True)
        }
        assert store.prune_texts(session, before=today) == 0
        clock.advance(days=1)
        assert store.prune_texts(session, before=clock.now().date()) == learning.MOST_TEXTS + 1  # and the alarm


async def test_texts_are_kept_for_three_days(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask(NEW)
    await program.beat(NEW.replace("|", ",3C:52:82:00:00:01|", 1))

    for days, kept in ((3, 1), (1, 0)):
        clock.advance(days=days)
        await upkeep.prune(runtime)
        with reading(runtime.database) as session:
            assert len(session.exec(select(DeviceText)).all()) == kept


async def test_a_device_that_may_not_learn_now_locks_no_license_when_it_checks_in(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_license(runtime, "C-1", device_limit=2)
    program, other = Program(client), Program(client)
    await other.ask(STRANGER)
    for machine in (NEW, OTHER_DISK, OTHER_CARD):
        await program.ask(machine)
    locked: list[str] = []
    lock = store.license_by_id_for_update
    monkeypatch.setattr(store, "license_by_id_for_update", lambda *given: locked.append(given[1]) or lock(*given))

    assert (await program.beat(OTHER_BOARD)).status_code == 200  # its budget is used up
    clock.advance(days=31)
    assert (await program.beat(OTHER_CARD.replace("BOARD-1", "BOARD-9"))).status_code == 200  # that of the other one
    assert locked == []

    assert (await program.beat(OTHER_BOARD)).status_code == 200
    assert len(locked) == 1
    assert len(audited(runtime, "DEVICE_PART_LEARNED")) == 3


async def test_many_texts_of_one_device_are_an_alarm_once_a_day(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask(NEW)
    docked = [NEW.replace("|", f",3C:52:82:00:00:{number:02X}|", 1) for number in range(5)]

    for said, alarms in zip(docked, (0, 0, 1, 1, 1), strict=True):
        assert (await program.beat(said)).status_code == 200
        assert (await program.beat(said)).status_code == 200
        assert len(audited(runtime, "DEVICE_MANY_TEXTS")) == alarms
    clock.advance(days=1)
    for said in docked[:3]:
        assert (await program.ask(said)).status_code == 200

    first, second = audited(runtime, "DEVICE_MANY_TEXTS")
    assert first.subject == second.subject
    assert json.loads(first.detail)["texts"] == 3
    assert "3C:52" not in first.detail


async def test_a_check_in_that_says_what_is_known_neither_reads_nor_counts_texts(
    client: httpx2.AsyncClient, runtime: Runtime
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    program = Program(client)
    await program.ask(NEW)
    asked: list[str] = []
    event.listen(runtime.database.write, "before_cursor_execute", lambda *sent: asked.append(sent[2]))

    await program.beat(NEW)
    of_known = [statement for statement in asked if "device_texts" in statement]
    await program.beat(OTHER_DISK)
    of_other = [statement for statement in asked if "device_texts" in statement]

    assert (of_known, len(of_other)) == ([], 2)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_of_two_replicas_one_notes_the_alarm(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    add_license(runtime, "C-1", device_limit=1)
    with transaction(runtime.database) as one:
        assert store.note_alarm(one, "d", "l", day=NOW.date())
        with ThreadPoolExecutor(1) as pool:

            def other() -> bool:
                with transaction(runtime.database) as session:
                    return store.note_alarm(session, "d", "l", day=NOW.date())

            second = pool.submit(other)
            one.commit()
            assert second.result(10) is False
