"""Calls that come again under a key, and calls that come too often."""

from __future__ import annotations

import asyncio

import pytest
from sqlmodel import select

from licsrv import app as application
from licsrv import upkeep
from licsrv.audit import Action
from licsrv.desk.api import admin_operations
from licsrv.people import store
from licsrv.people.roles import Permission
from licsrv.people.tables import ApiToken, StaffSession, StoredAnswer
from licsrv.platform.db import reading, transaction
from tests.conftest import StandingClock
from tests.people.test_tokens import PATH, wanted
from tests.staff import House

KEY = {"Idempotency-Key": "7f6a1c1e-0001"}


def tokens_made(house: House) -> int:
    with reading(house.runtime.database) as session:
        return len(session.scalars(select(ApiToken).where(ApiToken.name == "nightly")).all())


def test_no_key_is_promised_where_none_is_looked_at() -> None:
    uploads = [operation for operation in admin_operations() if operation.takes]

    assert uploads
    assert not any(operation.is_repeatable for operation in uploads)  # their bodies are read as they come


async def test_the_same_call_again_gets_the_same_answer_and_happens_once(house: House) -> None:
    house.hire("ann")
    ann = house.signed_in("ann")

    first = await ann.call("POST", PATH, wanted(), **KEY)
    again = await house.signed_in("ann").call("POST", PATH, wanted(), **KEY)  # from another session of hers

    assert first.status_code == again.status_code == 200
    assert first.json() == again.json()
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert (tokens_made(house), len(house.audited(Action.TOKEN_MADE))) == (1, 1)


async def test_of_many_at_once_one_does_it_and_all_get_its_answer(house: House) -> None:
    house.hire("ann")
    replica = application.create_app(house.runtime)
    visitors = [house.signed_in("ann") for _ in range(8)]
    for visitor in visitors[::2]:
        visitor.http._transport.app = replica  # type: ignore[attr-defined]

    answers = await asyncio.gather(*(visitor.call("POST", PATH, wanted(), **KEY) for visitor in visitors))

    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    assert tokens_made(house) == 1


@pytest.mark.parametrize(
    "other", [("POST", PATH, wanted(name="another")), ("POST", "/admin/api/accounts/ann/enable", {"reason": "abc"})]
)
async def test_a_key_is_for_one_call(house: House, other: tuple[str, str, dict[str, object]]) -> None:
    house.hire("ann")
    ann = house.signed_in("ann")
    await ann.call("POST", PATH, wanted(), **KEY)

    answer = await ann.call(*other, **KEY)

    assert (answer.status_code, answer.json()["code"]) == (409, "CONFLICT")


async def test_a_key_is_its_actors_own(house: House) -> None:
    house.hire("ann")
    house.hire("bob")

    first = await house.signed_in("ann").call("POST", PATH, wanted(), **KEY)
    others = await house.signed_in("bob").call("POST", PATH, wanted(), **KEY)

    assert first.json()["secret"] != others.json()["secret"]


async def test_a_call_that_was_refused_may_come_again_mended(house: House) -> None:
    house.hire("ann")
    ann = house.signed_in("ann")
    refused = await ann.call("POST", PATH, wanted(expires_at="2020-01-01T00:00:00Z"), **KEY)

    assert (refused.status_code, (await ann.call("POST", PATH, wanted(), **KEY)).status_code) == (422, 200)


async def test_a_role_that_was_lost_gets_no_stored_answer(house: House) -> None:
    house.hire("ann")
    house.hire("boss")
    ann = house.signed_in("ann")
    await ann.call("POST", PATH, wanted(), **KEY)
    await house.signed_in("boss").call("PUT", "/admin/api/accounts/ann", {"role": "viewer", "reason": "Moved on."})

    assert (await ann.call("POST", PATH, wanted(), **KEY)).status_code == 403


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 129, "ä", "a\tb"])
async def test_a_key_has_its_form(house: House, key: str) -> None:
    house.hire("ann")
    ann = house.signed_in("ann")
    headers = [
        (b"idempotency-key", key.encode()),
        (b"origin", b"https://licsrv.test"),
        (b"x-csrf-token", ann.csrf.encode()),
    ]

    assert (await ann.http.post(PATH, json=wanted(), headers=headers)).status_code == 422


async def test_answers_are_kept_for_a_day_and_cannot_be_read_in_the_database(
    house: House, clock: StandingClock
) -> None:
    house.hire("ann")
    first = await house.signed_in("ann").call("POST", PATH, wanted(), **KEY)
    with reading(house.runtime.database) as session:
        row = session.scalars(select(StoredAnswer)).one()
        assert first.json()["secret"] not in row.sealed
        assert "nightly" not in row.sealed

    clock.advance(hours=24)
    later = await house.signed_in("ann").call("POST", PATH, wanted(), **KEY)

    assert (later.status_code, later.json()["secret"] == first.json()["secret"]) == (200, False)


async def test_what_is_of_no_use_any_more_is_thrown_away(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    await house.signed_in("ann").call("POST", PATH, wanted(), **KEY)
    await house.visitor().sign_in("nobody", "wrong")
    now = clock.now()

    with transaction(house.runtime.database) as session:
        store.prune(session, answers_before=now, seen_before=now, failed_before=now, now=now)
        assert len(session.scalars(select(StoredAnswer)).all()) == 1
    clock.advance(days=3)
    await upkeep.prune(house.runtime)

    with reading(house.runtime.database) as session:
        assert session.scalars(select(StoredAnswer)).all() == []
        assert session.scalars(select(StaffSession)).all() == []


async def test_who_calls_too_often_is_told_when_to_come_back(house: House) -> None:
    settings = house.runtime.settings.model_copy(update={"admin_calls_per_minute": 10})
    house.runtime.settings = settings
    house.app = application.create_app(house.runtime)
    house.hire("ann")
    house.hire("bob")
    ann = house.signed_in("ann")

    statuses = [(await ann.call("GET", "/admin/api/session")).status_code for _ in range(10)]
    refused = await ann.call("GET", "/admin/api/session")

    assert statuses == [200] * 10
    assert (refused.status_code, refused.json()["code"]) == (429, "TOO_MANY_REQUESTS")
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert (await house.signed_in("ann").call("GET", "/admin/api/session")).status_code == 429, (
        "a person, not a session"
    )
    assert (await house.signed_in("bob").call("GET", "/admin/api/session")).status_code == 200
    assert (await house.program(frozenset({Permission.READ_LICENSES})).call("GET", "/admin/api/session")).is_success
