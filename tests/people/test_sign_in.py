"""Signing in: what opens a session, what does not, and how little a stranger learns from it."""

from __future__ import annotations

import asyncio
import statistics
import time
from datetime import timedelta

import pytest

from licsrv.audit import Action
from licsrv.errors import TooManyRequestsError, UnauthenticatedError
from licsrv.people import lockout, passwords, sign_in
from licsrv.people.roles import Role
from licsrv.people.sessions import Browser
from licsrv.people.sign_in import Attempt
from tests.conftest import NOW, StandingClock
from tests.staff import PASSWORD, House

WRONG = "Name, password or code is wrong."
NAUGHTY = [
    "", " ", "ann\0", "\x00", "ann' OR '1'='1", "'; DROP TABLE staff_accounts; --", "<script>alert(1)</script>", "안녕",
    "ＡＮＮ", "ann\n", "..", "a/../b", "%00", "\u202eann", "😀" * 60, "x" * 256, "ann\x1b[31m", "null", "{{7*7}}",
]  # fmt: skip


async def test_name_password_and_code_open_a_session(house: House) -> None:
    house.hire("ann", Role.SUPPORT)
    visitor = house.visitor()

    answer = await visitor.sign_in(" Ann ", code=house.code())

    body = answer.json()
    assert (answer.status_code, body["account"], body["role"], body["steps_due"]) == (200, "ann", "support", [])
    assert "change_licenses" in body["permissions"]
    assert (await visitor.call("GET", "/admin/api/session")).json() == body
    flags = {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"}
    cookie, known = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-licsrv=")
    assert {part.strip() for part in cookie.split(";")[1:]} == flags
    assert known.startswith("__Host-licsrv-known=")
    assert {part.strip() for part in known.split(";")[1:]} == flags | {"Max-Age=15552000"}
    [entry] = house.audited(Action.SIGNED_IN)
    assert (entry.actor, entry.subject, "192.0.2.1" in entry.detail) == ("staff:ann", "account:ann", True)
    assert house.account("ann").last_sign_in_at == NOW


@pytest.mark.parametrize("host", ["127.0.0.1:8000", "localhost:8000", "[::1]:8000"])
async def test_on_a_loopback_the_cookie_does_without_tls(house: House, host: str) -> None:
    house.hire("ann")
    visitor = house.visitor(base=f"http://{host}")

    answer = await visitor.call(
        "POST", "/admin/api/session", {"name": "ann", "password": PASSWORD, "code": house.code()},
        Origin=f"http://{host}",
    )  # fmt: skip

    assert answer.status_code == 200
    assert answer.headers["set-cookie"].startswith("licsrv=")
    assert "Secure" not in answer.headers["set-cookie"]
    assert (await visitor.call("GET", "/admin/api/session")).status_code == 200


@pytest.mark.parametrize(
    ("name", "password", "steps"),
    [("ann", "wrong password", 0), ("ann", PASSWORD, 5), ("bob", PASSWORD, 0), ("ann", "", 0), ("", "", 0)],
)
async def test_whatever_is_wrong_the_answer_is_the_same(house: House, name: str, password: str, steps: int) -> None:
    house.hire("ann")
    visitor = house.visitor()

    answer = await visitor.sign_in(name, password, house.code(steps))

    body = answer.json()
    assert (answer.status_code, body["code"], body["detail"]) == (401, "UNAUTHENTICATED", WRONG)
    assert body["action"] == "Try again; each code of the authenticator app counts once."
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "facts", [{"disabled_at": NOW}, {"temporary_until": NOW}, {"temporary_until": NOW - timedelta(days=1)}]
)
async def test_who_may_not_come_in_is_told_the_same(house: House, facts: dict[str, object]) -> None:
    house.hire("ann", **facts)

    answer = await house.visitor().sign_in("ann", code=house.code())

    assert (answer.status_code, answer.json()["detail"]) == (401, WRONG)


async def test_an_unknown_name_takes_as_long_as_a_wrong_password(house: House) -> None:
    house.hire("ann")
    await house.visitor().sign_in("warm", "up")

    async def seconds(name: str, number: int) -> float:
        visitor = house.visitor(address=f"198.51.100.{number}")
        started = time.perf_counter()
        await visitor.sign_in(name, "wrong password", "123456")
        return time.perf_counter() - started

    known = [await seconds("ann", number) for number in range(4)]
    unknown = [await seconds(f"bob{number}", number) for number in range(4)]

    # Without the hash for nobody it would be a tenth; the machine that runs this is shared.
    assert 0.4 < statistics.median(unknown) / statistics.median(known) < 2.5


@pytest.mark.parametrize("name", NAUGHTY)
async def test_no_name_breaks_anything_and_none_is_written_down(house: House, name: str) -> None:
    answer = await house.visitor().sign_in(name, "a secret that was typed", name[:256])

    assert answer.status_code in {401, 422}
    for entry in house.audited():
        assert entry.subject == "account:?"
        assert len(name) < 3 or name not in entry.detail + entry.reason + entry.actor
        assert "a secret" not in entry.detail


async def test_a_failure_is_audited_with_what_was_wrong(house: House) -> None:
    house.hire("ann")

    await house.visitor().sign_in("ann", "wrong password")
    await house.visitor().sign_in("ann", PASSWORD, "000000")
    await house.visitor().sign_in("hunter2-typed-into-the-wrong-field", "x")

    found = [(entry.actor, entry.subject, entry.detail) for entry in house.audited(Action.SIGN_IN_FAILED)]
    assert found == [
        ("anonymous", "account:ann", '{"address":"192.0.2.1","why":"password"}'),
        ("anonymous", "account:ann", '{"address":"192.0.2.1","why":"code"}'),
        ("anonymous", "account:?", '{"address":"192.0.2.1","why":"name"}'),
    ]


# the second factor


async def test_a_code_counts_once(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    code = house.code()

    first = await house.visitor().sign_in("ann", code=code)
    again = await house.visitor().sign_in("ann", code=code)
    earlier = await house.visitor().sign_in("ann", code=house.code(-1))
    clock.advance(seconds=30)
    following = await house.visitor().sign_in("ann", code=house.code())

    assert [answer.status_code for answer in (first, again, earlier, following)] == [200, 401, 401, 200]


async def test_of_many_with_the_same_code_at_once_one_gets_in(house: House) -> None:
    house.hire("ann")
    code = house.code()

    answers = await asyncio.gather(*(house.visitor().sign_in("ann", code=code) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [200, 401, 401, 401, 401]


async def test_a_recovery_code_stands_in_once(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    codes = (await visitor.call("POST", "/admin/api/session/recovery-codes", {"password": PASSWORD})).json()

    first = await house.visitor().sign_in("ann", code=codes["recovery_codes"][3].upper())
    again = await house.visitor().sign_in("ann", code=codes["recovery_codes"][3])

    assert (len(codes["recovery_codes"]), first.status_code, again.status_code) == (10, 200, 401)
    assert [entry.detail for entry in house.audited(Action.RECOVERY_CODE_USED)] == ['{"left":9}']


async def test_new_recovery_codes_end_the_old_ones(house: House) -> None:
    house.hire("ann")
    visitor = house.signed_in("ann")
    path, proof = "/admin/api/session/recovery-codes", {"password": PASSWORD}
    old = (await visitor.call("POST", path, proof)).json()["recovery_codes"][0]
    await visitor.call("POST", path, proof)

    assert (await house.visitor().sign_in("ann", code=old)).status_code == 401


async def test_a_wrong_password_uses_no_code_up(house: House) -> None:
    house.hire("ann")
    await house.visitor().sign_in("ann", "wrong password", house.code())

    assert (await house.visitor().sign_in("ann", code=house.code())).status_code == 200


# brute force


async def test_too_many_failures_make_the_next_try_wait_and_the_wait_grows(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    visitor = house.visitor()
    failed = [(await visitor.sign_in("ann", "wrong password")).status_code for _ in range(5)]

    waits = []
    for _ in range(3):
        answer = await visitor.sign_in("ann", code=house.code())  # even the right password
        waits.append((answer.status_code, answer.headers["retry-after"]))
        clock.advance(seconds=int(answer.headers["retry-after"]))
        assert (await visitor.sign_in("ann", "wrong password")).status_code == 401

    assert failed == [401] * 5
    assert waits == [(429, "30"), (429, "60"), (429, "120")]
    locked = house.audited(Action.SIGN_IN_LOCKED)
    assert len(locked) == 4
    assert locked[0].subject == "account:ann"


async def test_a_name_that_is_no_account_locks_alike(house: House) -> None:
    visitor = house.visitor()
    for _ in range(5):
        await visitor.sign_in("nobody", "wrong password")

    answer = await visitor.sign_in("nobody", "wrong password")

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")


async def test_success_forgives_the_account(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    visitor = house.visitor()
    for _ in range(3):
        for _ in range(4):
            assert (await visitor.sign_in("ann", "wrong password")).status_code == 401
        clock.advance(seconds=30)
        assert (await visitor.sign_in("ann", code=house.code())).status_code == 200


async def test_one_address_that_tries_many_names_has_to_wait(house: House) -> None:
    house.hire("ann")
    visitor = house.visitor(address="203.0.113.9")
    statuses = [(await visitor.sign_in(f"name{number}", "wrong")).status_code for number in range(21)]

    assert statuses == [401] * 20 + [429]
    assert (await visitor.sign_in("ann", code=house.code())).status_code == 429
    assert (await house.visitor(address="203.0.113.10").sign_in("ann", code=house.code())).status_code == 200


async def test_the_refusal_of_an_address_promises_nothing_that_an_operator_could_do(house: House) -> None:
    visitor = house.visitor(address="203.0.113.9")
    for number in range(20):
        await visitor.sign_in(f"name{number}", "wrong")

    refused = await visitor.sign_in("another", "wrong")

    assert refused.status_code == 429
    assert "enable" not in refused.json()["action"]


async def test_strangers_elsewhere_do_not_lock_a_name(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    strangers = [house.visitor(address=f"198.51.100.{number}") for number in range(1, 5)]
    for _ in range(12):
        for stranger in strangers:
            await stranger.sign_in("ann", "wrong password")
        clock.advance(minutes=15)

    assert (await strangers[0].sign_in("ann", "wrong password")).status_code in {401, 429}
    assert (await house.visitor(address="192.0.2.7").sign_in("ann", code=house.code())).status_code == 200


async def test_a_known_browser_is_not_locked_by_others_behind_its_address(house: House, clock: StandingClock) -> None:
    house.hire("ann")
    house.hire("eve")
    known, colleague = house.visitor(), house.visitor()
    assert (await known.sign_in("ann", code=house.code())).status_code == 200
    cookie = known.http.cookies["__Host-licsrv-known"]
    for number in range(30):
        await colleague.sign_in("ann", "wrong password")
        await colleague.sign_in(f"name{number}", "wrong password")
    clock.advance(seconds=30)

    assert (await house.visitor().sign_in("ann", code=house.code())).status_code == 429
    assert (await known.sign_in("ann", code=house.code())).status_code == 200
    # The cookie is ann's, and it is no password: its own failures lock it.
    assert (await known.sign_in("eve", code=house.code())).status_code == 429
    tries = [(await known.sign_in("ann", "wrong password")).status_code for _ in range(6)]
    assert tries == [401] * 5 + [429]
    assert len(cookie) < 100


async def test_a_known_browsers_cookie_that_is_not_ours_or_over_counts_for_nothing(
    house: House, clock: StandingClock
) -> None:
    house.hire("ann")
    known = house.visitor()
    await known.sign_in("ann", code=house.code())
    cookie = known.http.cookies["__Host-licsrv-known"]
    told, _, mac = cookie.rpartition(".")
    damaged = ["", "x", "..", f"{told}.{'0' * 64}", f"a{told}.{mac}", f"{told[:-1]}9.{mac}", cookie + "0", cookie[:-1]]
    for _ in range(5):
        await house.visitor().sign_in("ann", "wrong password")

    statuses = {}
    for text in damaged:
        visitor = house.visitor()
        visitor.http.cookies.set("__Host-licsrv-known", text, domain="licsrv.test")
        statuses[text] = (await visitor.sign_in("ann", "wrong password")).status_code
    assert set(statuses.values()) == {429}

    clock.advance(days=181)
    assert lockout.known_browser_id(cookie, "ann", key=house.desk.key_for("sign-in"), now=clock.now()) is None


async def test_of_many_tries_at_once_only_the_free_ones_are_looked_at(house: House) -> None:
    house.hire("ann")
    answers = await asyncio.gather(*(house.visitor().sign_in("ann", f"guess {number}") for number in range(12)))

    assert sorted(answer.status_code for answer in answers) == [401] * 5 + [429] * 7


async def test_two_replicas_count_together(house: House) -> None:
    house.hire("ann")
    attempt = Attempt("ann", "wrong password", "", Browser("192.0.2.1"))
    for _ in range(5):
        with pytest.raises(UnauthenticatedError):
            await sign_in.sign_in(house.desk, attempt)  # the desk of the fixture is another than the app's

    answer = await house.visitor().sign_in("ann", code=house.code())

    assert answer.status_code == 429
    with pytest.raises(TooManyRequestsError):
        await sign_in.sign_in(house.desk, attempt)


async def test_a_password_with_old_parameters_is_hashed_anew(house: House) -> None:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    old = Argon2id(salt=b"s" * 16, length=32, iterations=1, lanes=1, memory_cost=8192)
    house.hire("ann", password=old.derive_phc_encoded(PASSWORD.encode()))

    assert (await house.visitor().sign_in("ann", code=house.code())).status_code == 200
    assert not passwords.is_outdated(house.account("ann").password)


# other people's pages


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.test"}, {"Origin": "null"}, {"Origin": "http://licsrv.test"},
        {"Origin": "https://licsrv.test:444"}, {"Origin": "https://licsrv.test.evil.test"}, {"Origin": "https://[::1"},
        {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    ],
)  # fmt: skip
async def test_nobody_is_signed_in_by_another_page(house: House, headers: dict[str, str]) -> None:
    house.hire("ann")
    body = {"name": "ann", "password": PASSWORD, "code": house.code()}

    answer = await house.visitor().call("POST", "/admin/api/session", body, **headers)

    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


async def test_a_form_of_any_page_is_no_sign_in(house: House) -> None:
    answer = await house.visitor().http.post(
        "/admin/api/session", content="name=ann", headers={"Content-Type": "text/plain"}
    )

    assert answer.status_code == 415


async def test_many_at_once_are_refused_early_and_hold_up_no_other_route(house: House) -> None:
    house.hire("ann")
    visitors = [house.visitor(address=f"192.0.2.{number}") for number in range(40)]

    def proved(number: int) -> str:
        return "ann" if number == 0 else f"nobody{number}"

    calls = [visitor.sign_in(proved(number), code=house.code()) for number, visitor in enumerate(visitors)]
    answers = await asyncio.gather(*calls, house.visitor().call("GET", "/healthz"))

    *signed_in, health = answers
    statuses = [answer.status_code for answer in signed_in]
    busy = [answer for answer in signed_in if answer.status_code == 503]
    assert (statuses[0], statuses.count(401), len(busy)) == (200, 15, 24)
    assert {(one.json()["code"], one.headers["retry-after"]) for one in busy} == {("SERVICE_UNAVAILABLE", "2")}
    assert health.status_code == 200
    assert (await house.visitor().sign_in("ann", code=house.code(1))).status_code == 200, "turns are given back"
    assert len(house.audited(Action.SIGN_IN_FAILED)) == 15, "what was refused early is no failure"
