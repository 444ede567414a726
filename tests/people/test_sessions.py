"""Sessions: how long they last, whose they are, and that nobody else's page or token gets at them."""

from __future__ import annotations

import pytest
from sqlmodel import select

from licsrv import app as application
from licsrv.audit import Action
from licsrv.people import credentials, passwords, totp
from licsrv.people.roles import Role
from licsrv.people.tables import StaffSession
from licsrv.platform.db import reading
from tests.conftest import StandingClock
from tests.staff import BASE, PASSWORD, House

_NOWHERE = {404, 405}  # a slash makes a path of its own, which pages are looked for at

ME = "/admin/api/session"
NEW = "a different long password"


async def test_a_session_ends_when_it_is_not_used(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    for _ in range(3):
        clock.advance(minutes=29)
        assert (await visitor.call("GET", ME)).status_code == 200

    clock.advance(minutes=30)

    assert (await visitor.call("GET", ME)).status_code == 401


async def test_a_session_ends_after_a_working_day_whatever_happens(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    for _ in range(12 * 3 - 1):
        clock.advance(minutes=20)
        assert (await visitor.call("GET", ME)).status_code == 200

    clock.advance(minutes=20)

    assert (await visitor.call("GET", ME)).status_code == 401


async def test_signing_out_ends_the_session_on_the_server(house: House) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    token = visitor.cookie

    answer = await visitor.call("DELETE", ME)

    assert answer.status_code == 200
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert (await house.visitor().call("GET", ME, Cookie=f"__Host-licsrv={token}")).status_code == 401
    assert [entry.actor for entry in house.audited(Action.SIGNED_OUT)] == ["staff:ann"]


async def test_only_the_digest_of_a_token_is_kept(house: House) -> None:
    house.hire("ann")
    opened = house.enter("ann")

    with reading(house.runtime.database) as session:
        row = session.scalars(select(StaffSession)).one()

    assert row.digest == credentials.digest_of(opened.token)
    assert opened.token not in str(row.model_dump())


@pytest.mark.parametrize("token", ["", "x", "a" * 43, "a" * 5000, "../..", "ä", '"', "lsat_" + "a" * 43])
async def test_a_cookie_that_is_no_session_is_nobody(house: House, token: str) -> None:
    headers = [(b"cookie", f"__Host-licsrv={token}".encode())]

    answer = await house.visitor().http.get(ME, headers=headers)

    assert answer.status_code == 401


async def test_over_tls_the_cookie_without_its_prefix_counts_for_nothing(house: House) -> None:
    house.hire("ann")
    token = house.enter("ann").token

    assert (await house.visitor().call("GET", ME, Cookie=f"licsrv={token}")).status_code == 401


async def test_a_session_planted_beforehand_is_never_the_one_signed_in(house: House) -> None:
    house.hire("ann")
    house.hire("eve")
    planted = house.enter("eve").token
    victim = house.visitor()
    victim.http.cookies.set("__Host-licsrv", planted, domain="licsrv.test")

    answer = await victim.sign_in("ann", code=house.code())

    assert answer.status_code == 200
    assert planted not in answer.headers["set-cookie"]
    assert (await house.visitor().call("GET", ME, Cookie=f"__Host-licsrv={planted}")).status_code == 401


async def test_a_made_up_token_is_not_taken_over(house: House) -> None:
    house.hire("ann")
    made_up = "A" * 43
    victim = house.visitor()
    victim.http.cookies.set("__Host-licsrv", made_up, domain="licsrv.test")

    answer = await victim.sign_in("ann", code=house.code())

    assert made_up not in answer.headers["set-cookie"]
    assert (await house.visitor().call("GET", ME, Cookie=f"__Host-licsrv={made_up}")).status_code == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200), ({"Sec-Fetch-Site": "same-origin"}, 200), ({"X-CSRF-Token": ""}, 403), ({"X-CSRF-Token": "ä"}, 403),
        ({"X-CSRF-Token": "x" * 43}, 403), ({"Origin": ""}, 403), ({"Origin": "null"}, 403),
        ({"Origin": "http://licsrv.test"}, 403), ({"Origin": "https://evil.test"}, 403),
        ({"Origin": BASE + ".evil.test"}, 403), ({"Origin": BASE, "Sec-Fetch-Site": "cross-site"}, 403),
    ],
)  # fmt: skip
async def test_an_unsafe_call_needs_our_origin_and_the_sessions_token(
    house: House, headers: dict[str, str], status: int
) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    own = {"Origin": BASE, "X-CSRF-Token": visitor.csrf} | headers
    raw = [(name.encode(), value.encode()) for name, value in own.items()]

    answer = await visitor.http.put(ME + "/profile", json={"language": "en"}, headers=raw)

    assert answer.status_code == status
    assert house.account("ann").language == ("en" if status == 200 else "zh")


async def test_a_token_of_another_session_does_not_do(house: House) -> None:
    house.hire("ann")
    visitor, other = house.signed_in("ann"), house.signed_in("ann")

    answer = await visitor.call("PUT", ME + "/profile", {"language": "en"}, **{"X-CSRF-Token": other.csrf})

    assert answer.status_code == 403


async def test_behind_a_proxy_the_public_address_is_our_own(house: House) -> None:
    settings = house.runtime.settings.model_copy(update={"public_url": "https://licenses.example.com/"})
    house.runtime.settings = settings
    house.app = application.create_app(house.runtime)
    house.hire("ann")

    answer = await house.signed_in("ann").call(
        "PUT", ME + "/profile", {"language": "en"}, Origin="https://licenses.example.com"
    )

    assert answer.status_code == 200


async def test_people_see_and_end_their_own_sessions_and_nobody_elses(house: House) -> None:
    house.hire("ann")
    house.hire("bob", Role.VIEWER)
    ann, other = house.signed_in("ann"), house.signed_in("ann")
    bobs = house.enter("bob")

    listed = (await ann.call("GET", "/admin/api/sessions")).json()["items"]
    [the_other] = [item["id"] for item in listed if not item["is_this"]]
    foreign = await ann.call("DELETE", f"/admin/api/sessions/{bobs.id}")
    ended = await ann.call("DELETE", f"/admin/api/sessions/{the_other}")

    assert (len(listed), foreign.status_code, ended.status_code) == (2, 404, 200)
    assert (await other.call("GET", ME)).status_code == 401
    assert (await ann.call("GET", ME)).status_code == 200


@pytest.mark.parametrize("session_id", ["x", "%00", "..%2f..", "ä", "' OR 1=1", "0" * 400])
async def test_no_session_has_a_naughty_id(house: House, session_id: str) -> None:
    house.hire("ann")

    assert (await house.signed_in("ann").call("DELETE", f"/admin/api/sessions/{session_id}")).status_code in _NOWHERE


# password and second factor


async def test_a_new_password_ends_the_other_sessions_and_renews_this_one(house: House) -> None:
    house.hire("ann")
    visitor, other = house.signed_in("ann"), house.signed_in("ann")
    before = visitor.cookie

    answer = await visitor.call("PUT", ME + "/password", {"old": PASSWORD, "new": NEW})

    assert answer.status_code == 200
    assert visitor.cookie not in {"", before}
    assert answer.json()["csrf_token"] != visitor.csrf
    assert (await visitor.call("GET", ME)).status_code == 200
    assert (await other.call("GET", ME)).status_code == 401
    assert (await house.visitor().call("GET", ME, Cookie=f"__Host-licsrv={before}")).status_code == 401
    assert (await house.visitor().sign_in("ann", PASSWORD, house.code())).status_code == 401
    assert (await house.visitor().sign_in("ann", NEW, house.code())).status_code == 200
    assert [entry.actor for entry in house.audited(Action.PASSWORD_CHANGED)] == ["staff:ann"]


@pytest.mark.parametrize(
    ("old", "new", "status"), [("wrong", NEW, 403), (PASSWORD, "short", 422), (PASSWORD, PASSWORD, 422)]
)
async def test_a_password_is_not_changed_without_a_good_reason(house: House, old: str, new: str, status: int) -> None:
    house.hire("ann")

    answer = await house.signed_in("ann").call("PUT", ME + "/password", {"old": old, "new": new})

    assert answer.status_code == status
    assert passwords.is_password(PASSWORD, house.account("ann").password)


async def test_a_stolen_session_cannot_guess_the_password(house: House) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    path = ME + "/recovery-codes"

    statuses = [(await visitor.call("POST", path, {"password": f"guess {n}"})).status_code for n in range(6)]

    assert statuses == [403] * 5 + [429]


async def test_a_new_person_finishes_the_account_step_by_step(house: House) -> None:
    house.hire("boss")
    added = await house.signed_in("boss").call(
        "POST", "/admin/api/accounts", {"name": "ann", "role": "support", "reason": "Joined us."}
    )
    visitor = house.visitor()

    first = (await visitor.sign_in("ann", added.json()["password"])).json()
    changed = (await visitor.call("PUT", ME + "/password", {"old": added.json()["password"], "new": NEW})).json()
    visitor.csrf = changed["csrf_token"]
    proposed = (await visitor.call("POST", ME + "/second-factor", {"password": NEW})).json()
    secret = totp.secret_of(proposed["secret"])
    code = totp.code_of(secret, totp.step_at(house.runtime.clock.now()))
    wrong = await visitor.call("PUT", ME + "/second-factor", {"code": "000000" if code != "000000" else "000001"})
    before = visitor.cookie
    confirmed = await visitor.call("PUT", ME + "/second-factor", {"code": code})
    finished = (await visitor.call("GET", ME)).json()

    assert first["steps_due"] == ["password", "second_factor"]
    assert changed["steps_due"] == ["second_factor"]
    assert "secret=" + proposed["secret"] in proposed["address"]
    assert (wrong.status_code, confirmed.status_code, len(confirmed.json()["recovery_codes"])) == (422, 200, 10)
    assert visitor.cookie != before
    assert (finished["steps_due"], "read_licenses" in finished["permissions"]) == ([], True)
    assert (await house.visitor().sign_in("ann", NEW, code)).status_code == 401, "the code was used to set it up"


async def test_a_second_factor_is_not_confirmed_by_guessing(house: House) -> None:
    house.hire("ann", second_factor=False)
    visitor = house.signed_in("ann")
    await visitor.call("POST", ME + "/second-factor", {"password": PASSWORD})

    statuses = [(await visitor.call("PUT", ME + "/second-factor", {"code": "x"})).status_code for _ in range(6)]

    assert statuses == [422] * 5 + [429]


async def test_without_a_second_factor_there_is_nothing_to_confirm_or_to_recover(house: House) -> None:
    house.hire("ann", second_factor=False)
    visitor = house.signed_in("ann")

    assert (await visitor.call("PUT", ME + "/second-factor", {"code": "123456"})).status_code == 409
    assert (await visitor.call("POST", ME + "/recovery-codes", {"password": PASSWORD})).status_code == 409


async def test_secrets_are_not_readable_in_the_database(house: House) -> None:
    house.hire("ann")
    row = house.account("ann")

    assert PASSWORD not in str(row.model_dump())
    assert "GEZDGNBVGY3TQOJQ" not in str(row.model_dump())
