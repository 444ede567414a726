"""Programs see the devices of their license, free a place of one long unseen, and move in one step; laws of moves."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from random import Random
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv import audit, upkeep
from licsrv.app import license_terms
from licsrv.audit.tables import AuditEntry
from licsrv.errors import RefusalError
from licsrv.heartbeats import store as heartbeats
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import moving, releasing, store
from licsrv.licensing.devices import Activation, activate
from licsrv.licensing.moves import MoveRules, standing
from licsrv.licensing.policies import text_of
from licsrv.licensing.tables import Device, License, PolicyVersion
from licsrv.platform import moments
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock
from tests.licensing.test_activation import add_license, device
from tests.soak import rounds as soak_rounds
from tests.tables import each

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
POLICY: dict[str, Any] = {"moves.unseen_days": 10, "moves.show_names": True}


def given(runtime: Runtime, *, places: int = 1, **stated: Any) -> None:
    """A license C-1 of a product whose policy states these values."""
    with transaction(runtime.database) as session:
        policy = text_of(POLICY | {name.replace("__", "."): value for name, value in stated.items()})
        session.add(PolicyVersion(product_id="CAD", version=1, stated=policy, at=NOW, actor="test"))
    add_license(runtime, "C-1", device_limit=places, product_id="CAD", expires_at=NOW + 300 * DAY)


async def ask(client: httpx2.AsyncClient, number: int, *, form: str = "string", **more: Any) -> httpx2.Response:
    body = {"code": "C-1", "device_info": device(number), "nonce": "n", "client": {"name": f"WS-{number}"}, **more}
    return await client.post(f"/v1/licenses/{form}", json=body)


async def string_of(client: httpx2.AsyncClient, number: int) -> str:
    answer = await ask(client, number)
    assert answer.status_code == 200, answer.text
    return str(answer.json()["license_string"])


async def question(client: httpx2.AsyncClient, what: str, string: str, number: int, **more: Any) -> httpx2.Response:
    body = {"device_info": device(number), **more}
    return await client.post(f"/v1/devices/{what}", headers={"Authorization": f"Bearer {string}"}, json=body)


async def beat(client: httpx2.AsyncClient, string: str, number: int) -> httpx2.Response:
    body = {"nonce": "n", "device_info": device(number)}
    return await client.post("/v1/heartbeats", headers={"Authorization": f"Bearer {string}"}, json=body)


def ids(runtime: Runtime) -> dict[str, str]:
    with reading(runtime.database) as session:
        return {row.name: row.id for row in session.exec(select(Device))}


def last_entry(runtime: Runtime) -> AuditEntry:
    with reading(runtime.database) as session:
        return session.exec(select(AuditEntry).order_by(AuditEntry.id.desc())).first()  # type: ignore[return-value, attr-defined]


# -- seeing --------------------------------------------------------------------------------------------------------


async def test_a_device_lists_those_of_its_license(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, places=3)
    gone, dead = await string_of(client, 1), await string_of(client, 2)
    await question(client, "release", gone, 1)
    clock.advance(days=10)
    mine = await string_of(client, 3)
    await beat(client, dead, 2)
    clock.advance(hours=1)

    listed = (await question(client, "list", mine, 3)).json()

    assert {name: listed[name] for name in ("places", "places_taken", "moves_left")} == {
        "places": 3, "places_taken": 2, "moves_left": 11,
    }  # fmt: skip
    assert datetime.fromisoformat(listed["next_move_at"]) == clock.now()
    shown = [(one["name"], one["is_mine"], one["holds_place"], one["can_be_released"]) for one in listed["devices"]]
    assert shown == [("WS-3", True, True, True), ("WS-2", False, True, False), ("WS-1", False, False, False)]
    assert datetime.fromisoformat(listed["devices"][1]["last_contact_at"]) == NOW + 10 * DAY
    clock.advance(days=10)
    shown = (await question(client, "list", mine, 3)).json()["devices"]
    assert [one["can_be_released"] for one in shown] == [True, True, False]


async def test_a_contact_while_the_clock_was_ahead_counts_only_when_that_day_has_come(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime)
    string = await string_of(client, 1)
    clock.advance(days=200)
    await beat(client, string, 1)
    clock.advance(days=-199)
    await beat(client, string, 1)

    clock.advance(days=9)
    early = (await ask(client, 2)).json()
    clock.advance(days=1)
    [movable] = (await ask(client, 2)).json()["movable"]

    assert early["movable"] == []
    assert datetime.fromisoformat(movable["last_contact_at"]) == NOW + DAY


async def test_a_machine_that_is_gone_is_found_behind_many_that_check_in(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "_LOOKED_AT", 2)
    given(runtime, places=6)
    strings = [await string_of(client, number) for number in range(1, 7)]
    clock.advance(days=40)
    for number, string in enumerate(strings[:5], 1):
        await beat(client, string, number)

    found = (await ask(client, 7)).json()["movable"]

    assert len(found) == 1


async def test_a_move_into_the_overdraft_counts_the_place_that_was_left(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, places=1, places__overdraft=1)
    living, _ = await string_of(client, 1), await string_of(client, 2)
    clock.advance(days=40)
    await beat(client, living, 1)
    [gone] = (await ask(client, 3)).json()["movable"]

    moved = await ask(client, 3, move_from=gone["device_id"])

    assert moved.status_code == 200, moved.text
    assert json.loads(last_entry(runtime).detail)["beyond"] == 1


async def test_who_is_no_device_of_the_license_lists_nothing(client: httpx2.AsyncClient, runtime: Runtime) -> None:
    given(runtime, places=2)
    mine, gone = await string_of(client, 1), await string_of(client, 2)
    await question(client, "release", gone, 2)

    for row in each(
        [(mine, 2, 409, "DEVICE_MISMATCH"), (gone, 2, 401, "UNAUTHENTICATED"), ("x", 1, 401, "UNAUTHENTICATED")]
    ):
        with row as (string, number, status, code):
            refused = await question(client, "list", string, number)
            assert (refused.status_code, refused.json()["code"]) == (status, code)


# -- freeing another's place -----------------------------------------------------------------------------------------


async def test_the_place_of_a_device_is_freed_once_it_was_not_seen_for_so_long(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, places=2)
    dead = await string_of(client, 1)
    clock.advance(days=1)
    await beat(client, dead, 1)
    mine = await string_of(client, 2)
    other = ids(runtime)["WS-1"]
    clock.move_to(NOW + 11 * DAY - timedelta(seconds=1))

    early = await question(client, "release", mine, 2, device_id=other)
    clock.move_to(NOW + 11 * DAY)
    done = await question(client, "release", mine, 2, device_id=other)
    again = await question(client, "release", mine, 2, device_id=other)

    assert (early.status_code, early.json()["code"]) == (409, "MOVE_NOT_ALLOWED")
    assert early.json()["possible_from"] == moments.rfc3339(NOW + 11 * DAY)
    assert [step["rule"] for step in early.json()["trace"]] == ["unseen"]
    assert (done.status_code, done.json()["places_taken"]) == (200, 1)
    assert again.json() == done.json()
    assert (await beat(client, dead, 1)).json()["status"] == "RELEASED"
    entry = last_entry(runtime)
    assert (entry.action, entry.actor) == ("DEVICE_RELEASED", "client")
    detail = json.loads(entry.detail) if isinstance(entry.detail, str) else entry.detail
    assert (detail["device"], detail["by"]) == (other, ids(runtime)["WS-2"])
    assert [(step["rule"], step["passed"]) for step in detail["trace"]] == [("unseen", True), ("moves", True)]


async def test_what_may_not_be_freed_is_refused(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, places=4)
    add_license(runtime, "C-2", device_limit=1, product_id="CAD")
    foreign = await client.post("/v1/licenses/string", json={"code": "C-2", "device_info": device(9), "nonce": "n"})
    assert foreign.status_code == 200
    await string_of(client, 1)
    mine, gone = await string_of(client, 2), await string_of(client, 3)
    assert (await ask(client, 4, form="file")).status_code == 200  # which holds its place until it ends
    await question(client, "release", gone, 3)
    known = ids(runtime)
    clock.advance(days=20)

    rows = [
        (mine, 2, known[""], "MOVE_NOT_ALLOWED"),  # of another license
        (mine, 2, "nothing", "MOVE_NOT_ALLOWED"),
        (mine, 2, known["WS-4"], "MOVE_NOT_ALLOWED"),
        (gone, 3, known["WS-1"], "MOVE_NOT_ALLOWED"),  # asks without a place of its own
        (mine, 1, known["WS-1"], "DEVICE_MISMATCH"),
        (mine, 2, "no id at all", "INVALID_REQUEST"),
        (mine, 2, "", "INVALID_REQUEST"),
    ]
    for row in each(rows):
        with row as (string, number, other, code):
            refused = await question(client, "release", string, number, device_id=other)
            assert refused.json()["code"] == code
    with reading(runtime.database) as session:
        assert {row.places_taken for row in session.exec(select(License))} == {1, 3}


async def test_by_the_default_policy_no_other_place_is_freed(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    add_license(runtime, "C-1", device_limit=1)
    await string_of(client, 1)
    clock.advance(days=300)

    full = await ask(client, 2)
    named = await ask(client, 2, move_from=ids(runtime)["WS-1"])

    assert (full.json()["code"], "movable" in full.json()) == ("DEVICE_LIMIT_REACHED", False)
    assert (named.status_code, named.json()["code"]) == (409, "MOVE_NOT_ALLOWED")


# -- moving here -----------------------------------------------------------------------------------------------------


async def test_a_new_machine_takes_the_place_of_a_dead_one_in_one_step(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime)
    dead = await string_of(client, 1)
    early = await ask(client, 2)
    clock.advance(days=10)

    full = await ask(client, 2)
    [offered] = full.json()["movable"]
    moved = await ask(client, 2, move_from=offered["device_id"])
    again = await ask(client, 2, move_from=offered["device_id"])

    assert (early.json()["code"], early.json()["movable"]) == ("DEVICE_LIMIT_REACHED", [])
    assert (offered["name"], datetime.fromisoformat(offered["last_contact_at"])) == ("WS-1", NOW)
    assert datetime.fromisoformat(full.json()["next_move_at"]) == clock.now()
    assert moved.status_code == 200
    assert again.json()["license_string"] == moved.json()["license_string"]
    assert (await beat(client, dead, 1)).json()["status"] == "RELEASED"
    assert (await ask(client, 1)).json()["code"] == "DEVICE_LIMIT_REACHED"
    clock.advance(days=10)
    back = await ask(client, 1, form="file", move_from=ids(runtime)["WS-2"])
    assert (back.status_code, back.headers["Content-Type"]) == (200, "application/octet-stream")


async def test_names_are_shown_to_a_new_machine_only_where_the_policy_says_so(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, moves__show_names=False)
    await string_of(client, 1)
    clock.advance(days=10)

    [offered] = (await ask(client, 2)).json()["movable"]

    assert set(offered) == {"device_id", "last_contact_at"}


async def test_a_machine_that_gets_a_place_anyway_moves_nothing(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, places=2)
    await string_of(client, 1)
    clock.advance(days=20)

    assert (await ask(client, 2, move_from=ids(runtime)["WS-1"])).status_code == 200

    with reading(runtime.database) as session:
        assert session.exec(select(License)).one().places_taken == 2


async def test_moves_in_one_step_count_as_moves(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, moves__per_place=1, moves__days=60)
    for number in (1, 2):
        clock.advance(days=10)
        offered = (await ask(client, number)).json().get("movable")
        if offered:
            assert (await ask(client, number, move_from=offered[0]["device_id"])).status_code == 200
    clock.advance(days=10)

    full = await ask(client, 3)
    refused = await ask(client, 3, move_from=full.json()["movable"][0]["device_id"])

    assert (refused.status_code, refused.json()["code"]) == (409, "MOVE_LIMIT_REACHED")
    assert refused.json()["next_move_at"] == full.json()["next_move_at"]
    assert [step["rule"] for step in refused.json()["trace"]] == ["unseen", "moves"]


async def test_of_many_machines_that_want_one_place_at_once_one_gets_it(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime)
    await string_of(client, 1)
    clock.advance(days=10)
    dead = ids(runtime)["WS-1"]

    answers = await asyncio.gather(*(ask(client, number, move_from=dead) for number in range(2, 8)))

    assert sorted(answer.status_code for answer in answers) == [200, *([409] * 5)]
    assert {answer.json().get("code") for answer in answers} == {None, "MOVE_NOT_ALLOWED"}
    with reading(runtime.database) as session:
        held = [row for row in session.exec(select(Device)) if row.released_at is None]
        assert (len(held), session.exec(select(License)).one().places_taken) == (1, 1)


# -- by itself -------------------------------------------------------------------------------------------------------


async def test_places_are_freed_by_themselves_where_the_policy_says_so(
    client: httpx2.AsyncClient, runtime: Runtime, clock: StandingClock
) -> None:
    given(runtime, places=3, moves__unseen_released=True)
    add_license(runtime, "C-2", device_limit=1)
    await client.post("/v1/licenses/string", json={"code": "C-2", "device_info": device(9), "nonce": "n"})
    await string_of(client, 1)
    seen = await string_of(client, 2)
    clock.advance(days=5)
    await beat(client, seen, 2)
    clock.advance(days=5)

    await upkeep.release_unseen(runtime)
    await upkeep.release_unseen(runtime)

    with reading(runtime.database) as session:
        holding = {row.name for row in session.exec(select(Device)) if row.released_at is None}
    assert holding == {"WS-2", ""}  # the license of another product keeps its own
    entry = last_entry(runtime)
    assert (entry.action, entry.actor) == ("DEVICE_RELEASED", "upkeep")


# -- laws ------------------------------------------------------------------------------------------------------------

LAW = MoveRules(per_place=2, span=20 * DAY, cool_down=2 * DAY, unseen_for=8 * DAY)
STATED: dict[str, Any] = {
    "moves.per_place": 2, "moves.days": 20, "moves.cool_down_hours": 48, "moves.unseen_days": 8,
}  # fmt: skip


class World:
    """A license of two places, a few machines, and a caller who tries everything in any order."""

    def __init__(self, runtime: Runtime, license_id: str, seed: int) -> None:
        self.runtime, self.license_id, self.random, self.now = runtime, license_id, Random(seed), NOW
        self.terms = license_terms(runtime.settings)
        self.seen: dict[str, datetime] = {}

    def step(self) -> None:
        self.now += timedelta(hours=self.random.choices((0, 1, 12, 200), (16, 6, 2, 1))[0])
        try:
            with transaction(self.runtime.database, (audit.seal,)) as session:
                before = self.holders(session)
                asking = self.random.choice(
                    (self.asks, self.moves_here, self.leaves, self.frees, self.beats, self.sweeps)
                )(session, self.random.randrange(3))
                session.flush()
                session.expire_all()
                held = self.holders(session)
                for freed in before - held - {asking}:
                    assert self.now - self.seen[freed] >= LAW.unseen_for, freed
                license = session.get(License, self.license_id)
                assert license is not None
                assert license.places_taken == len(held) <= 2
        except RefusalError:
            return
        if asking is not None:
            self.seen[asking] = self.now

    def devices(self, session: Any) -> list[Device]:
        return list(session.exec(select(Device).where(Device.license_id == self.license_id)))

    def holders(self, session: Any) -> set[str]:
        return {row.id for row in self.devices(session) if row.released_at is None}

    def found(self, session: Any, number: int) -> Device | None:
        return next((row for row in self.devices(session) if row.name == f"WS-{number}"), None)

    def asks(self, session: Any, number: int, move_from: str = "") -> str:
        request = Activation("C-1", device(number), f"WS-{number}", move_from=move_from)
        client = audit.Cause("client")
        activate(session, request, keyring=self.runtime.keyring(), terms=self.terms, cause=client, now=self.now)
        found = self.found(session, number)
        assert found is not None
        return found.id

    def moves_here(self, session: Any, number: int) -> str:
        other = self.found(session, self.random.randrange(3))
        return self.asks(session, number, move_from=other.id if other is not None else "none")

    def leaves(self, session: Any, number: int) -> str | None:
        mine = self.found(session, number)
        if mine is None:
            return None
        client = audit.Cause("client")
        releasing.release_device(session, mine, given=mine.parts, terms=self.terms, cause=client, now=self.now)
        return mine.id

    def frees(self, session: Any, number: int) -> str | None:
        mine, other = self.found(session, number), self.found(session, self.random.randrange(3))
        if mine is None or other is None or mine.id == other.id:
            return None
        releasing.release_other(
            session, mine, other.id, given=mine.parts, terms=self.terms, cause=audit.Cause("client"), now=self.now
        )
        return mine.id

    def beats(self, session: Any, number: int) -> str | None:
        mine = self.found(session, number)
        if mine is None:
            return None
        row = {
            "device_id": mine.id, "license_id": mine.license_id, "day": self.now.date(), "first_at": self.now,
            "last_at": self.now, "count": 1, "status": "ACTIVE", "lease_until": self.now, "client_version": "",
        }  # fmt: skip
        session.exec(CheckIn.__table__.delete().where(CheckIn.device_id == mine.id, CheckIn.day == row["day"]))  # type: ignore[attr-defined]
        heartbeats.seen_first(session, [row])
        return mine.id

    def sweeps(self, session: Any, _: int) -> None:
        every = store.devices_of_license(session, self.license_id, limit=10)
        releasing.free_unseen(session, self.license_id, every, terms=self.terms, cause=moving.UPKEEP, now=self.now)

    def moved(self) -> list[datetime]:
        with reading(self.runtime.database) as session:
            rows = session.exec(select(AuditEntry).where(AuditEntry.action == "DEVICE_RELEASED"))
            return sorted(row.at for row in rows if row.actor == "client")


@soak_rounds(everyday=80, short=1_000, whole=20_000)
async def test_no_order_of_calls_moves_more_than_the_budget_or_frees_who_was_seen(
    runtime: Runtime, rounds: int
) -> None:
    with transaction(runtime.database) as session:
        session.add(PolicyVersion(product_id="CAD", version=1, stated=text_of(STATED), at=NOW, actor="test"))
    world = World(runtime, add_license(runtime, "C-1", device_limit=2, product_id="CAD"), seed=rounds)

    for _ in range(rounds):
        world.step()

    moved = world.moved()
    assert len(moved) > 2  # else nothing was tried
    for index, at in enumerate(moved):
        within = [one for one in moved[: index + 1] if at - one < LAW.span]
        assert len(within) <= LAW.per_place * 2
        assert sum(at - one < LAW.cool_down for one in within) <= 2


def test_a_caller_who_tries_all_the_time_stays_within_the_budget() -> None:
    random = Random(5)
    for _ in range(50):
        places, now = random.randrange(1, 4), NOW
        moved: list[datetime] = []
        for _ in range(200):
            now += random.choice((timedelta(0), HOUR, 10 * HOUR))
            known = [at for at in moved if at > now - LAW.longest][: LAW.most(places)]  # as the audit is asked
            if standing(LAW, known, places=places, now=now).is_open(now):
                moved.insert(0, now)
        assert len(moved) > 2 * places
        for index, at in enumerate(moved):
            before = moved[index:]
            assert sum(at - one < LAW.span for one in before) <= LAW.per_place * places
            assert sum(at - one < LAW.cool_down for one in before) <= places


def test_what_is_left_agrees_with_what_is_refused() -> None:
    random = Random(3)
    for _ in range(500):
        moved = sorted((NOW - random.random() * 30 * DAY for _ in range(random.randrange(6))), reverse=True)
        left = standing(LAW, moved, places=1, now=NOW)

        assert left.next_at is not None
        assert left.is_open(NOW) is (left.next_at <= NOW)
        assert standing(LAW, moved, places=1, now=left.next_at).is_open(left.next_at)
        assert left.is_open(NOW) <= (left.left > 0)
