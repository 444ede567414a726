"""API tokens: shown once, bounded by scope, time and owner, and gone when revoked."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlmodel import select

from licsrv.audit import Action
from licsrv.errors import ForbiddenError
from licsrv.people import tokens
from licsrv.people.actors import Actor, Via
from licsrv.people.roles import GRANTABLE, Permission, Role
from licsrv.people.tables import ApiToken
from licsrv.people.tokens import NewToken
from licsrv.platform.db import reading, transaction
from tests.conftest import NOW, StandingClock
from tests.staff import House, Visitor

DAY = timedelta(days=1)
_NOWHERE = {404, 405}  # a slash makes a path of its own, which pages are looked for at

PATH = "/admin/api/tokens"
ME = "/admin/api/session"
READ = Permission.READ_LICENSES


def wanted(**more: object) -> dict[str, object]:
    ends = (NOW + timedelta(days=30)).isoformat()
    return {"name": "nightly", "scopes": ["manage_tokens"], "expires_at": ends, "reason": "The report."} | more


def bearing(house: House, secret: str) -> Visitor:
    visitor = house.visitor()
    visitor.headers["Authorization"] = f"Bearer {secret}"
    return visitor


async def made_by(house: House, name: str, **more: object) -> dict[str, object]:
    answer = await house.signed_in(name).call("POST", PATH, wanted(**more))
    assert answer.status_code == 200, answer.text
    body: dict[str, object] = answer.json()
    return body


async def test_a_token_is_shown_once_and_kept_as_digest(house: House) -> None:
    house.hire("ann")

    made = await made_by(house, "ann")

    secret = str(made["secret"])
    assert (secret[:5], len(secret)) == ("lsat_", 48)
    assert secret not in (await house.signed_in("ann").call("GET", PATH)).text
    with reading(house.runtime.database) as session:
        assert secret not in str(session.scalars(select(ApiToken)).one().model_dump())
    who = (await bearing(house, secret).call("GET", ME)).json()
    assert (who["via"], who["account"], who["permissions"]) == (
        "token",
        "ann",
        ["manage_tokens", "sign_in", "who_am_i"],
    )
    assert who["name"] == f"token:nightly#{made['token']['id'][-6:]}"  # type: ignore[index]
    [entry] = house.audited(Action.TOKEN_MADE)
    assert (entry.actor, entry.reason, secret in entry.detail) == ("staff:ann", "The report.", False)


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer ", "Bearer x", "Basic YTpi", "Bearer lsat_", "Bearer lsat_" + "a" * 43, "lsat_" + "a" * 43,
     "Bearer lsat_" + "a" * 5000, "Bearer eyJhbGciOiJub25lIn0.e30."],
)  # fmt: skip
async def test_what_is_no_token_is_nobody(house: House, authorization: str) -> None:
    answer = await house.visitor().call("GET", ME, Authorization=authorization)

    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_wrong_token_is_not_mended_by_a_cookie(house: House) -> None:
    house.hire("ann")

    answer = await house.signed_in("ann").call("GET", ME, Authorization="Bearer lsat_" + "a" * 43)

    assert answer.status_code == 401


async def test_a_program_needs_no_origin_and_no_csrf_token(house: House) -> None:
    made = house.token(frozenset({Permission.MANAGE_TOKENS}))
    program, revoking = bearing(house, made.secret), f"{PATH}/{made.row.id}/revoke"

    answer = await program.call("POST", revoking, {"reason": "Over."}, Origin="https://elsewhere.test")

    assert answer.status_code == 200


@pytest.mark.parametrize(("microseconds", "status"), [(-1, 200), (0, 401)])
async def test_a_token_ends_at_its_moment(house: House, clock: StandingClock, microseconds: int, status: int) -> None:
    house.hire("ann")
    made = await made_by(house, "ann")
    clock.move_to(NOW + timedelta(days=30, microseconds=microseconds))

    assert (await bearing(house, str(made["secret"])).call("GET", ME)).status_code == status


@pytest.mark.parametrize(
    "more",
    [
        {"expires_at": NOW.isoformat()}, {"expires_at": (NOW + timedelta(days=366, seconds=1)).isoformat()},
        {"expires_at": None}, {"expires_at": "2026-04-01T00:00:00"}, {"scopes": []}, {"scopes": ["sign_in"]},
        {"scopes": ["own_account"]}, {"scopes": ["who_am_i"]}, {"scopes": ["everything"]}, {"scopes": None},
        {"name": ""}, {"name": "x" * 61}, {"name": "a\0b"}, {"reason": ""},
    ],
)  # fmt: skip
async def test_a_token_without_bounds_is_refused(house: House, more: dict[str, object]) -> None:
    house.hire("ann")

    assert (await house.signed_in("ann").call("POST", PATH, wanted(**more))).status_code == 422


async def test_a_token_holds_no_more_than_the_person_who_makes_it(house: House) -> None:
    actor = Actor("staff:ann", frozenset({Permission.MANAGE_TOKENS}), Via.SESSION, account="ann")
    new = NewToken("nightly", frozenset({Permission.MANAGE_TOKENS, Permission.CHANGE_LICENSES}), NOW + DAY)

    with pytest.raises(ForbiddenError) as refused, transaction(house.runtime.database) as session:
        tokens.make(session, new, actor=actor, cause=actor.cause(), now=NOW)

    assert refused.value.extra["permissions"] == ["change_licenses"]


async def test_a_token_makes_no_tokens_so_none_is_left_when_it_is_revoked(house: House) -> None:
    house.hire("ann")
    owned, unowned = str((await made_by(house, "ann"))["secret"]), house.token(GRANTABLE).secret

    for secret in (owned, unowned):
        answer = await bearing(house, secret).call("POST", PATH, wanted(expires_at=(NOW + DAY).isoformat()))

        assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
        assert "outlives" in answer.json()["detail"]
    assert len(house.audited(Action.TOKEN_MADE)) == 2


async def test_a_token_falls_silent_with_its_owner_and_shrinks_with_their_role(house: House) -> None:
    house.hire("boss")
    house.hire("ann")
    made = await made_by(house, "ann", scopes=["manage_accounts", "read_licenses"])
    program, boss = bearing(house, str(made["secret"])), house.signed_in("boss")
    why = {"reason": "Moved on."}

    await boss.call("PUT", "/admin/api/accounts/ann", {"role": "viewer", **why})
    shrunk = (await program.call("GET", ME)).json()["permissions"]
    refused = await program.call("GET", "/admin/api/accounts")
    await boss.call("POST", "/admin/api/accounts/ann/disable", why)
    silent = await program.call("GET", ME)

    assert (shrunk, refused.status_code, silent.status_code) == (["read_licenses", "sign_in", "who_am_i"], 403, 401)


async def test_a_revoked_token_is_worth_nothing(house: House) -> None:
    house.hire("ann")
    made = await made_by(house, "ann")
    token_id, ann = made["token"]["id"], house.signed_in("ann")  # type: ignore[index]

    first = await ann.call("POST", f"{PATH}/{token_id}/revoke", {"reason": "Leaked."})
    again = await ann.call("POST", f"{PATH}/{token_id}/revoke", {"reason": "Leaked."})

    assert first.json()["revoked_at"] == again.json()["revoked_at"] == NOW.isoformat().replace("+00:00", "Z")
    assert (await bearing(house, str(made["secret"])).call("GET", ME)).status_code == 401
    assert len(house.audited(Action.TOKEN_REVOKED)) == 1


@pytest.mark.parametrize("token_id", ["x", "%00", "ä", "..%2f", "0" * 400])
async def test_there_is_no_such_token(house: House, token_id: str) -> None:
    house.hire("ann")

    answer = await house.signed_in("ann").call("POST", f"{PATH}/{token_id}/revoke", {"reason": "Leaked."})

    assert answer.status_code in _NOWHERE


async def test_when_a_token_was_used_is_known_to_five_minutes(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    program = bearing(house, str((await made_by(house, "ann"))["secret"]))

    async def last_used() -> object:
        return (await program.call("GET", PATH)).json()["items"][0]["last_used_at"]

    first = await last_used()
    clock.advance(minutes=4, seconds=59)
    second = await last_used()
    clock.advance(seconds=1)
    third = await last_used()

    assert (first, second, third) == ("2026-03-01T09:30:00Z", "2026-03-01T09:30:00Z", "2026-03-01T09:35:00Z")


async def test_tokens_are_listed_in_pages_newest_first(house: House, clock: StandingClock) -> None:
    house.hire("ann", Role.OPERATOR)
    ann = house.signed_in("ann")
    for number in range(5):
        clock.advance(seconds=1)
        await ann.call("POST", PATH, wanted(name=f"n{number}"))

    first = (await ann.call("GET", PATH + "?limit=3")).json()
    second = (await ann.call("GET", f"{PATH}?limit=3&after={first['next']}")).json()

    names = [item["name"] for page in (first, second) for item in page["items"]]
    assert (names, second["next"]) == (["n4", "n3", "n2", "n1", "n0"], None)


async def test_a_new_password_leaves_the_tokens_of_an_account_valid_as_the_docs_say(house: House) -> None:
    house.hire("ann")
    house.hire("boss")
    made = await made_by(house, "ann")

    reset = await house.signed_in("boss").call("POST", "/admin/api/accounts/ann/reset-password", {"reason": "Lost."})

    assert reset.status_code == 200
    assert (await bearing(house, str(made["secret"])).call("GET", ME)).status_code == 200
