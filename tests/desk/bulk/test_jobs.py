"""Bulk jobs from the list to the result: the dry run, who may agree, what is left out and why."""

from __future__ import annotations

import csv
import io
import json
import threading
from datetime import timedelta

import pytest
from sqlalchemy import event
from sqlmodel import Session

from licsrv import audit, upkeep
from licsrv.audit import Action, Cause
from licsrv.desk.bulk import jobs
from licsrv.desk.bulk import store as bulk_store
from licsrv.desk.bulk.rules import FOR_LISTS, Outcome, Task
from licsrv.errors import ForbiddenError
from licsrv.licensing import changes, store
from licsrv.licensing.revocation import lists
from licsrv.licensing.revocation import store as revocation_lists
from licsrv.people.actors import Actor, Via, at_the_terminal
from licsrv.people.roles import GRANTABLE, Permission, Role
from licsrv.platform import db
from licsrv.platform.db import reading, transaction
from tests.conftest import NOW, StandingClock
from tests.desk.bulk.conftest import PATH, REASON, Shop, say, upload
from tests.staff import Visitor


async def test_a_dry_run_says_of_each_line_what_would_become_of_it_and_changes_nothing(shop: Shop) -> None:
    codes = shop.stock(4)
    ann = shop.person("ann")
    by_id = shop.license(codes[1]).id
    release(shop, codes[2])
    revoke(shop, codes[3])

    job = await shop.prepared(
        ann, f"code,who\n{codes[0]},x\n{by_id},y\n{codes[2]},\n{codes[3]},\nPL-UNKNOWN,\n{codes[0]},\n{'x' * 65},\n"
    )
    rows = (await ann.call("GET", f"{PATH}/{job['id']}/rows")).json()["items"]

    assert [row["planned"] for row in rows] == [
        Outcome.CHANGE, Outcome.CHANGE, Outcome.REFUSED, Outcome.UNCHANGED, Outcome.UNKNOWN, Outcome.REPEATED,
        Outcome.UNREADABLE,
    ]  # fmt: skip
    assert [row["line"] for row in rows] == [2, 3, 4, 5, 6, 7, 8]
    assert [row["code"] for row in rows[:2]] == codes[:2]
    assert all(row["planned_why"] for row in rows[2:])
    assert (job["state"], job["lines"], job["licenses"], job["needs_approval"]) == ("CHECKED", 7, 4, False)
    assert shop.revoked() == 1


async def test_a_small_job_begins_at_once_and_does_what_single_revocations_do(shop: Shop) -> None:
    codes = shop.stock(3)
    ann = shop.person("ann", Role.SUPPORT)
    job = await shop.prepared(ann, "\n".join(codes))

    started = await say(ann, job["id"], "start")
    await shop.carried_out()

    assert started.json()["state"] == "RUNNING"
    done = (await ann.call("GET", f"{PATH}/{job['id']}")).json()
    assert (done["state"], done["done"], done["changed"], done["outcomes"]) == ("FINISHED", 3, 3, {"CHANGED": 3})
    license = shop.license(codes[0])
    assert (license.revoked_at, license.revoked_by, license.revoked_reason) == (NOW, "staff:ann", REASON)
    with reading(shop.runtime.database) as session:
        assert revocation_lists.is_listed(session, lists.license_entry(license.id))
        assert revocation_lists.head(session).number == 3
    entries = shop.house.audited(Action.LICENSE_REVOKED)
    assert {entry.subject for entry in entries} == {shop.license(code).id for code in codes}
    assert {(entry.actor, entry.reason, entry.request_id) for entry in entries} == {
        ("staff:ann", REASON, f"bulk-{job['id']}")
    }
    assert [entry.action for entry in shop.house.audited(Action.BULK_STARTED, Action.BULK_FINISHED)] == [
        "BULK_STARTED", "BULK_FINISHED",
    ]  # fmt: skip
    assert shop.verified() is None


async def test_reinstating_undoes_what_revoking_did(shop: Shop) -> None:
    codes = shop.stock(5)
    ann = shop.person("ann")
    for action in ("revoke", "reinstate"):
        job = await shop.prepared(ann, "\n".join(codes), action)
        await say(ann, job["id"], "start")
        await shop.carried_out()

    assert shop.revoked() == 0
    with reading(shop.runtime.database) as session:
        assert revocation_lists.count_listed(session) == 0
    assert shop.verified() is None


async def test_graces_and_ends_of_maintenance_are_set_where_they_can_be(shop: Shop) -> None:
    codes = shop.stock(3)
    ann = shop.person("ann")
    until = NOW + timedelta(days=20)
    release(shop, codes[2])

    for action in ("extend_grace", "set_maintenance", "extend_grace"):
        job = await shop.prepared(ann, "\n".join(codes), action, until=until.isoformat())
        await say(ann, job["id"], "start")
        await shop.carried_out()
        expected = ["CHANGED", "CHANGED", "REFUSED"]
        if action == "extend_grace" and shop.license(codes[0]).maintenance_until is not None:
            expected = ["UNCHANGED", "UNCHANGED", "REFUSED"]
        assert shop.outcomes(job["id"]) == expected

    license = shop.license(codes[0])
    assert (license.grace_until, license.maintenance_until) == (until, until)
    assert len(shop.house.audited(Action.GRACE_CHANGED)) == 2
    assert shop.verified() is None


async def test_a_long_list_in_short_pieces_is_a_long_list(shop: Shop, clock: StandingClock) -> None:
    codes = shop.stock(111)
    ann, bob = shop.person("ann"), shop.person("bob")

    async def started(visitor: Visitor, first: int, count: int) -> tuple[bool, str]:
        job = await shop.prepared(visitor, "\n".join(codes[first : first + count]))
        return job["needs_approval"], (await say(visitor, job["id"], "start")).json()["state"]

    assert await started(ann, 0, 60) == (False, "RUNNING")
    assert await started(ann, 60, 40) == (False, "RUNNING")
    assert await started(bob, 100, 5) == (False, "RUNNING")
    assert await started(ann, 105, 1) == (True, "WAITING")
    clock.advance(days=1)
    assert await started(shop.house.signed_in("ann"), 106, 5) == (False, "RUNNING")


async def test_two_pieces_that_are_started_at_once_see_each_other(shop: Shop) -> None:
    """On SQLite there is one writer; on PostgreSQL the second start has to wait for the first one's commit."""
    codes = shop.stock(120)
    ann = shop.person("ann")
    first, second = [await shop.prepared(ann, "\n".join(codes[n : n + 60])) for n in (0, 60)]
    states: list[str] = []

    def start(job_id: str, session: Session) -> str:
        actor = Actor("staff:ann", GRANTABLE, Via.SESSION, "ann")
        return jobs.start(session, job_id, actor=actor, approval_above=100, cause=Cause("staff:ann"), now=NOW).state

    def start_second() -> None:
        with transaction(shop.runtime.database, (audit.seal,)) as session:
            states.append(start(second["id"], session))

    thread = threading.Thread(target=start_second)
    with transaction(shop.runtime.database, (audit.seal,)) as session:
        states.append(start(first["id"], session))
        session.flush()
        thread.start()
        thread.join(0.2)
    thread.join(30)

    assert states == ["RUNNING", "WAITING"]


async def test_a_large_job_waits_for_somebody_else(shop: Shop) -> None:
    codes = shop.stock(101)
    ann, bob = shop.person("ann"), shop.person("bob")
    job = await shop.prepared(ann, "\n".join(codes))

    waiting = await say(ann, job["id"], "start")
    await shop.carried_out()
    own = await say(ann, job["id"], "approve")
    other = await say(bob, job["id"], "approve")
    await shop.carried_out()

    assert (job["needs_approval"], waiting.json()["state"]) == (True, "WAITING")
    assert (own.status_code, own.json()["code"]) == (403, "FORBIDDEN")
    assert (other.json()["state"], other.json()["decided_by"]) == ("RUNNING", "staff:bob")
    assert shop.revoked() == 101
    assert [entry.actor for entry in shop.house.audited(Action.BULK_APPROVED)] == ["staff:bob"]


async def test_exactly_at_the_limit_nobody_else_is_asked(shop: Shop) -> None:
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(shop.stock(100)))

    assert (await say(ann, job["id"], "start")).json()["state"] == "RUNNING"


async def test_lines_that_are_no_licenses_do_not_make_a_job_large(shop: Shop) -> None:
    codes = shop.stock(2)
    ann = shop.person("ann")

    job = await shop.prepared(ann, "\n".join(codes * 60 + [f"X{number}" for number in range(60)]))

    assert (job["lines"], job["licenses"], job["needs_approval"]) == (180, 2, False)


async def test_nobody_agrees_with_themselves_by_way_of_a_token_or_the_terminal(shop: Shop) -> None:
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(shop.stock(101)))
    await say(ann, job["id"], "start")
    every = frozenset(Permission)
    actors = [
        at_the_terminal("terminal:0 (Ann)"),
        Actor("token:mine#1", every, Via.TOKEN, "ann", "1"),
        Actor("token:nobody's#2", every, Via.TOKEN, "", "2"),
    ]

    for actor in actors:
        with pytest.raises(ForbiddenError), transaction(shop.runtime.database) as session:
            jobs.approve(session, job["id"], actor=actor, cause=Cause("x"), now=NOW)


async def test_a_job_made_at_the_terminal_is_not_approved_by_the_person_it_was_made_as(shop: Shop) -> None:
    maker, every, cause = at_the_terminal("terminal:1000 (Boss)"), frozenset(Permission), Cause("x", reason="Over.")
    with transaction(shop.runtime.database) as session:
        job_id = jobs.make(session, Task(FOR_LISTS["revoke"]), actor=maker, cause=cause, now=NOW).id
        jobs.finish_list(session, jobs.begin_list(session, job_id, actor=maker, now=NOW), now=NOW)
        jobs.start(session, job_id, actor=maker, approval_above=-1, cause=cause, now=NOW)
    own = [
        Actor("staff:boss", every, Via.SESSION, "boss", "1"),
        Actor("token:mine#1", every, Via.TOKEN, "boss", "1"),
        at_the_terminal("terminal:1001 (boss)"),
        at_the_terminal("terminal:1000 (bob)"),
    ]

    for actor in own:
        for decide in (jobs.approve, jobs.reject):
            with pytest.raises(ForbiddenError), transaction(shop.runtime.database) as session:
                decide(session, job_id, actor=actor, cause=cause, now=NOW)
    bob = Actor("staff:bob", every, Via.SESSION, "bob", "1")
    with transaction(shop.runtime.database) as session:
        assert jobs.approve(session, job_id, actor=bob, cause=cause, now=NOW).state == "RUNNING"


async def test_a_job_that_an_older_version_made_at_a_terminal_is_approved_at_no_terminal(shop: Shop) -> None:
    every, cause = frozenset(Permission), Cause("staff:boss", reason="Over.")
    former = Actor("staff:boss", every, Via.TERMINAL, account="boss")  # how that version named and counted them
    job_id = waiting(shop, former, cause)
    own = [at_the_terminal(f"terminal:{uid} ({name})") for uid in (0, 1000) for name in ("boss", "bob", "root")]
    own.append(Actor("staff:boss", every, Via.SESSION, "boss", "1"))

    for actor in own:
        for decide in (jobs.approve, jobs.reject):
            with pytest.raises(ForbiddenError), transaction(shop.runtime.database) as session:
                decide(session, job_id, actor=actor, cause=cause, now=NOW)

    bob = Actor("staff:bob", every, Via.SESSION, "bob", "1")
    with transaction(shop.runtime.database) as session:
        assert jobs.approve(session, job_id, actor=bob, cause=cause, now=NOW).state == "RUNNING"


async def test_a_job_of_a_session_is_approved_at_the_terminal_by_another_name(shop: Shop) -> None:
    boss = Actor("staff:boss", frozenset(Permission), Via.SESSION, "boss", "1")
    job_id = waiting(shop, boss, boss.cause("a-request", reason="Over."))

    with transaction(shop.runtime.database) as session:
        bob = at_the_terminal("terminal:1000 (bob)")
        assert jobs.approve(session, job_id, actor=bob, cause=Cause("x"), now=NOW).state == "RUNNING"


async def test_a_draft_that_an_older_version_made_at_a_terminal_is_started_at_none(shop: Shop) -> None:
    former, cause = Actor("staff:boss", frozenset(Permission), Via.TERMINAL, account="boss"), Cause("staff:boss")
    with transaction(shop.runtime.database) as session:
        job_id = jobs.make(session, Task(FOR_LISTS["revoke"]), actor=former, cause=cause, now=NOW).id
        jobs.finish_list(session, jobs.begin_list(session, job_id, actor=former, now=NOW), now=NOW)

    for name in ("terminal:0 (boss)", "terminal:1000 (boss)"):
        with pytest.raises(ForbiddenError), transaction(shop.runtime.database) as session:
            jobs.start(session, job_id, actor=at_the_terminal(name), approval_above=0, cause=cause, now=NOW)


def waiting(shop: Shop, maker: Actor, cause: Cause) -> str:
    """Let a person have made and requested a job that another one has to approve; return its id."""
    with transaction(shop.runtime.database, (audit.seal,)) as session:
        job_id = jobs.make(session, Task(FOR_LISTS["revoke"]), actor=maker, cause=cause, now=NOW).id
        jobs.finish_list(session, jobs.begin_list(session, job_id, actor=maker, now=NOW), now=NOW)
        jobs.start(session, job_id, actor=maker, approval_above=-1, cause=cause, now=NOW)
    return job_id


async def test_a_rejected_or_stopped_job_never_begins(shop: Shop) -> None:
    codes = shop.stock(101)
    ann, bob = shop.person("ann"), shop.person("bob")
    for visitor, word, state in ((bob, "reject", "REJECTED"), (ann, "stop", "STOPPED")):
        job = await shop.prepared(ann, "\n".join(codes))
        await say(ann, job["id"], "start")

        answer = await say(visitor, job["id"], word)
        late = await say(bob, job["id"], "approve")
        await shop.carried_out()

        assert answer.json()["state"] == state
        assert late.status_code == 409
    assert shop.revoked() == 0


async def test_a_list_cannot_change_once_somebody_has_to_agree_to_it(shop: Shop) -> None:
    codes = shop.stock(102)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(codes[:101]))
    await say(ann, job["id"], "start")

    answer = await upload(ann, job["id"], codes[101].encode())

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


async def test_a_new_list_takes_the_place_of_the_old_one(shop: Shop) -> None:
    codes = shop.stock(3)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(codes))

    again = (await upload(ann, job["id"], codes[2].encode())).json()

    assert (again["lines"], again["licenses"], again["planned"]) == (1, 1, {"CHANGE": 1})


async def test_a_job_is_its_makers(shop: Shop) -> None:
    codes = shop.stock(1)
    ann, bob = shop.person("ann"), shop.person("bob", Role.SUPPORT)
    job = await shop.prepared(ann, codes[0])

    answers = [
        await upload(bob, job["id"], b"X"),
        await say(bob, job["id"], "start"),
        await say(bob, job["id"], "stop"),
    ]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


async def test_a_list_gets_nobody_further_than_a_single_license(shop: Shop) -> None:
    program = shop.house.program(frozenset({Permission.START_BULK}))

    answer = await program.call("POST", PATH, {"action": "revoke", "reason": REASON})

    assert answer.status_code == 403


async def test_what_happened_between_dry_run_and_work_counts(shop: Shop) -> None:
    codes = shop.stock(3)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(codes))
    await say(ann, job["id"], "start")
    release(shop, codes[0])
    revoke(shop, codes[1])

    await shop.carried_out()

    assert shop.outcomes(job["id"]) == ["REFUSED", "UNCHANGED", "CHANGED"]


async def test_the_result_is_a_file_in_which_no_cell_is_a_formula(shop: Shop) -> None:
    shop.stock(1)
    naughty = ["=1+1", "+cmd|' /C calc'!A0", "-2", "@SUM(A1)", '=HYPERLINK("http://evil.test")', "PL0000000000"]
    ann = shop.person("ann")
    text = io.StringIO()
    csv.writer(text).writerows([name] for name in naughty)
    job = await shop.prepared(ann, text.getvalue())
    await say(ann, job["id"], "start")
    await shop.carried_out()

    answer = await ann.call("GET", f"{PATH}/{job['id']}/result")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == f'attachment; filename="bulk-{job["id"]}.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["given"] for row in rows] == [f"'{name}" for name in naughty[:-1]] + naughty[-1:]
    assert [row["outcome"] for row in rows] == [""] * 5 + ["CHANGED"]
    for row in rows:
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row.values())


async def test_a_call_that_is_sent_again_makes_no_second_job(shop: Shop) -> None:
    ann = shop.person("ann")
    body = {"action": "revoke", "reason": REASON}

    first, second = [await ann.call("POST", PATH, body, **{"Idempotency-Key": "k"}) for _ in range(2)]

    assert first.json() == second.json()
    assert len((await ann.call("GET", PATH)).json()["items"]) == 1


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({"action": "revoke", "until": "2026-04-01T00:00:00Z"}, "revoke takes no date"),
        ({"action": "extend_grace"}, "extend_grace takes a date"),
        ({"action": "extend_grace", "until": "2026-05-30T09:30:01Z"}, "within 90 days"),
        ({"action": "extend_grace", "until": "2026-03-01T09:30:00Z"}, "in the future"),
        ({"action": "set_maintenance", "until": "1999-12-31T00:00:00Z"}, "out of bounds"),
        ({"action": "delete"}, "Only one of revoke"),
        ({"action": "reissue"}, "Only one of revoke"),
    ],
)
async def test_a_task_without_sense_is_refused(shop: Shop, body: dict[str, str], sentence: str) -> None:
    answer = await shop.person("ann").call("POST", PATH, {"reason": REASON, **body})

    assert answer.status_code == 422
    assert sentence in answer.json()["detail"]


async def test_a_list_that_is_too_long_empty_or_no_text_is_refused_and_the_old_one_stays(shop: Shop) -> None:
    codes = shop.stock(1)
    ann = shop.person("ann")
    job = await shop.prepared(ann, codes[0])

    answers = [
        await upload(ann, job["id"], b"X\n" * 100_001),
        await upload(ann, job["id"], b"x" * (16 * 1024 * 1024 + 1)),
        await upload(ann, job["id"], b" \n\n"),
        await upload(ann, job["id"], b"{}", "application/json"),
    ]

    assert [answer.status_code for answer in answers] == [422, 413, 422, 415]
    assert (await ann.call("GET", f"{PATH}/{job['id']}")).json()["planned"] == {"CHANGE": 1}


async def test_rows_come_in_pages_and_by_outcome(shop: Shop) -> None:
    codes = shop.stock(3)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join([*codes, "A", "B"]))
    path = f"{PATH}/{job['id']}/rows"

    first = (await ann.call("GET", f"{path}?limit=2")).json()
    second = (await ann.call("GET", f"{path}?limit=2&after={first['next']}")).json()
    unknown = (await ann.call("GET", f"{path}?outcome=UNKNOWN")).json()
    wrong = await ann.call("GET", f"{path}?outcome=x")

    assert [row["given"] for row in first["items"] + second["items"]] == [*codes, "A"]
    assert [row["given"] for row in unknown["items"]] == ["A", "B"]
    assert wrong.status_code == 422


async def test_jobs_that_were_over_long_ago_are_forgotten_a_slice_at_a_time(
    shop: Shop, clock: StandingClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "SLICE", 2)
    monkeypatch.setattr(bulk_store, "SLICE", 2)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(shop.stock(3)))

    with transaction(shop.runtime.database) as session:
        deleted = bulk_store.prune(session, before=NOW + timedelta(seconds=1))

    assert (deleted, len(shop.outcomes(job["id"]))) == (2, 1)
    assert (await ann.call("GET", f"{PATH}/{job['id']}")).status_code == 200

    clock.advance(days=401)
    await upkeep.prune(shop.runtime)

    assert (await shop.person("eve").call("GET", f"{PATH}/{job['id']}")).status_code == 404
    assert shop.outcomes(job["id"]) == []


def release(shop: Shop, code: str) -> None:
    with transaction(shop.runtime.database) as session:
        license = store.license_for_update(session, code)
        assert license is not None
        changes.release(session, license, cause=Cause("test"), now=NOW)


def revoke(shop: Shop, code: str) -> None:
    with transaction(shop.runtime.database) as session:
        license = store.license_for_update(session, code)
        assert license is not None
        changes.revoke(session, license, cause=Cause("test", reason="Before."), now=NOW)


async def test_a_line_counts_as_a_person_types_a_code_and_one_that_is_not_clear_is_named(shop: Shop) -> None:
    codes = shop.stock(4)
    shop.sell("AB-1", "ab-1")
    ann = shop.person("ann")
    lines = {
        f"pl {codes[0][2:6]}-{codes[0][6:]}": codes[0],
        f"\ufeffＰＬ{codes[1][2:]}\u200b": codes[1],
        f" \u3000{codes[2]}\u2060": codes[2],
        f"\u200b{shop.license(codes[3]).id}": codes[3],
        "AB-1": "AB-1",
        "Ab1": "Several licenses may be meant: write the code exactly.",
        "PLOOOOOOOOO1": "There is no license with this code or id. Did you mean PL0000000001?",
        "PL9999999999": "There is no license with this code or id.",
        codes[0].lower(): "An earlier line names the same license.",
    }

    job = await shop.prepared(ann, "code\n" + "\n".join(lines))
    rows = (await ann.call("GET", f"{PATH}/{job['id']}/rows")).json()["items"]
    await say(ann, job["id"], "start")
    await shop.carried_out()

    said = [row["code"] if row["planned"] == Outcome.CHANGE else row["planned_why"] for row in rows]
    assert said == list(lines.values())
    assert (job["licenses"], shop.revoked()) == (5, 5)
    assert shop.license("ab-1").revoked_at is None


async def test_a_whole_list_of_typed_codes_is_looked_up_a_few_hundred_at_a_time(shop: Shop) -> None:
    codes = shop.stock(650)
    ann = shop.person("ann")
    asked: list[str] = []
    event.listen(shop.runtime.database.read, "before_cursor_execute", lambda *_: asked.append(""))

    job = await shop.prepared(ann, "\n".join(code.lower() for code in codes))

    assert (job["licenses"], job["planned"]) == (650, {"CHANGE": 650})
    assert len(asked) < 50


async def test_a_list_of_own_sales_is_renewed_and_set(shop: Shop) -> None:
    codes = shop.stock(3)
    ann = shop.person("ann", Role.SUPPORT)
    renewed = await shop.prepared(ann, "\n".join(codes[:2]), "extend", until="2027-03-01T16:00:00Z")
    await say(ann, renewed["id"], "start")
    await shop.carried_out()
    changed = await shop.prepared(ann, "\n".join(codes), "set_terms", terms={"places": 4, "expires_at": None})
    await say(ann, changed["id"], "start")
    await shop.carried_out()
    again = await shop.prepared(ann, "\n".join(codes), "set_terms", terms={"places": 4})

    assert (renewed["planned"], changed["planned"], again["planned"]) == (
        {"CHANGE": 2}, {"CHANGE": 3}, {"UNCHANGED": 3}
    )  # fmt: skip
    assert changed["terms"] == {"expires_at": None, "places": 4}
    assert [shop.license(code).device_limit for code in codes] == [4, 4, 4]
    assert [shop.license(code).expires_at for code in codes] == [None, None, None]
    entries = shop.house.audited(Action.LICENSE_CHANGED)
    assert len(entries) == 5
    assert json.loads(entries[0].detail)["expires_at"]["after"] == "2027-03-01T16:00:00+00:00"
    assert shop.verified() is None
