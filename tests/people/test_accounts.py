"""Accounts over the API: added, changed, disabled; nobody rises, nobody locks the house."""

from __future__ import annotations

import asyncio

import pytest

from licsrv.audit import Action
from licsrv.people.roles import Permission, Role
from tests.conftest import StandingClock
from tests.staff import PASSWORD, House, Visitor

_NOWHERE = {404, 405}  # a slash makes a path of its own, which pages are looked for at

PATH = "/admin/api/accounts"
WHY = {"reason": "It is time."}
ME = "/admin/api/session"
# What people paste and attackers try; it comes back exactly or is refused, and never breaks anything.
STORABLE = [
    "张三", "O'Neill; DROP TABLE", "<img src=x onerror=alert(1)>", "=1+1", "{{7*7}}", "\u202ereversed", "😀👩‍👩‍👧‍👦",
    "a" * 100, "`id`", "${jndi:ldap://x}", "Zoë \\ \" ' % _",
]  # fmt: skip
REFUSED = ["a\0b", "a\x1b[31m", "a\nb", "a\u2028b", "a" * 101, 1, None, [], {}]


def new(name: str, role: str = "support", **more: object) -> dict[str, object]:
    return {"name": name, "role": role, **WHY, **more}


async def operator(house: House) -> Visitor:
    house.hire("boss")
    return house.signed_in("boss")


async def test_a_person_is_added_with_a_password_to_be_passed_on(house: House, clock: StandingClock) -> None:
    boss = await operator(house)

    answer = await boss.call("POST", PATH, new("ann", display_name=" Ann Lee ", language="en"))

    body = answer.json()
    assert answer.status_code == 200
    assert body["account"] | {"created_at": ""} == {
        "name": "ann", "display_name": "Ann Lee", "role": "support", "language": "en", "has_second_factor": False,
        "has_temporary_password": True, "created_at": "", "created_by": "staff:boss", "last_sign_in_at": None,
        "disabled_at": None,
    }  # fmt: skip
    assert (await house.visitor().sign_in("ann", body["password"])).status_code == 200
    clock.advance(hours=72)
    assert (await house.visitor().sign_in("ann", body["password"])).status_code == 401
    entry = house.audited(Action.ACCOUNT_ADDED)[-1]
    assert (entry.actor, entry.subject, entry.reason) == ("staff:boss", "account:ann", "It is time.")
    assert entry.request_id == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    "name", ["", "Ann", "an n", "-ann", ".", "a" * 61, "ann\n", "änn", "a/b", "<b>", "a\0", "ann;--", "＠", "a'b"]
)
async def test_a_name_is_plain(house: House, name: str) -> None:
    boss = await operator(house)

    assert (await boss.call("POST", PATH, new(name))).status_code == 422


@pytest.mark.parametrize("text", STORABLE)
async def test_how_people_are_called_comes_back_exactly(house: House, text: str) -> None:
    boss = await operator(house)

    added = await boss.call("POST", PATH, new("ann", display_name=text) | {"reason": f"As {text[:400]}"})

    assert added.json()["account"]["display_name"] == text
    assert (await boss.call("GET", f"{PATH}/ann")).json()["display_name"] == text
    assert house.audited(Action.ACCOUNT_ADDED)[-1].reason == f"As {text[:400]}"


@pytest.mark.parametrize("text", REFUSED)
async def test_what_cannot_be_shown_is_refused(house: House, text: object) -> None:
    boss = await operator(house)

    assert (await boss.call("POST", PATH, new("ann", display_name=text))).status_code == 422
    assert (await boss.call("GET", f"{PATH}/ann")).status_code == 404


@pytest.mark.parametrize("reason", [None, "", "  ", "a", "x" * 501, "a\0bc", "two\nlines"])
async def test_everything_needs_a_reason(house: House, reason: object) -> None:
    boss = await operator(house)

    assert (await boss.call("POST", f"{PATH}/boss/end-sessions", {"reason": reason})).status_code == 422


async def test_a_name_is_given_once(house: House) -> None:
    boss = await operator(house)
    answers = await asyncio.gather(*(boss.call("POST", PATH, new("ann")) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]


async def test_accounts_are_listed_in_pages(house: House) -> None:
    boss = await operator(house)
    for number in range(5):
        house.hire(f"p{number}", Role.VIEWER)

    seen, query = [], "?limit=2"
    while True:
        page = (await boss.call("GET", PATH + query)).json()
        seen += [item["name"] for item in page["items"]]
        if page["next"] is None:
            break
        query = f"?limit=2&after={page['next']}"

    assert seen == ["boss", "p0", "p1", "p2", "p3", "p4"]
    assert (await boss.call("GET", PATH + "?limit=x")).status_code == 422


async def test_only_what_differs_changes_and_is_noted(house: House) -> None:
    boss = await operator(house)
    house.hire("ann", Role.VIEWER)

    changed = await boss.call("PUT", f"{PATH}/ann", {"role": "support", "language": "zh", **WHY})
    again = await boss.call("PUT", f"{PATH}/ann", {"role": "support", **WHY})

    assert (changed.json()["role"], again.status_code) == ("support", 200)
    [entry] = house.audited(Action.ACCOUNT_CHANGED)
    assert entry.detail == '{"role":{"after":"support","before":"viewer"}}'


async def test_a_new_role_counts_at_once(house: House) -> None:
    boss = await operator(house)
    house.hire("ann", Role.OPERATOR)
    ann = house.signed_in("ann")
    assert (await ann.call("GET", PATH)).status_code == 200

    await boss.call("PUT", f"{PATH}/ann", {"role": "viewer", **WHY})

    assert (await ann.call("GET", PATH)).status_code == 403


async def test_who_is_disabled_is_out_at_once_and_may_come_back(house: House) -> None:
    boss = await operator(house)
    house.hire("ann", Role.SUPPORT)
    ann = house.signed_in("ann")

    disabled = await boss.call("POST", f"{PATH}/ann/disable", WHY)

    assert disabled.json()["disabled_at"]
    assert (await ann.call("GET", ME)).status_code == 401
    assert (await house.visitor().sign_in("ann", code=house.code())).status_code == 401
    assert (await boss.call("POST", f"{PATH}/ann/enable", WHY)).json()["disabled_at"] is None
    assert (await ann.call("GET", ME)).status_code == 401, "its sessions were ended, not paused"
    assert (await house.visitor().sign_in("ann", code=house.code())).status_code == 200


async def test_an_operator_lifts_a_lock(house: House) -> None:
    boss = await operator(house)
    house.hire("ann", Role.SUPPORT)
    for _ in range(5):
        await house.visitor(address="192.0.2.77").sign_in("ann", "wrong password")
    locked = house.visitor(address="192.0.2.77")
    refused = await locked.sign_in("ann", code=house.code())
    assert refused.status_code == 429
    assert "licsrv accounts enable" in refused.json()["action"]

    await boss.call("POST", f"{PATH}/ann/enable", WHY)

    assert (await locked.sign_in("ann", code=house.code())).status_code == 200


@pytest.mark.parametrize("second_factor", [False, True])
async def test_a_password_is_reset(house: House, *, second_factor: bool) -> None:
    boss = await operator(house)
    house.hire("ann", Role.SUPPORT)
    ann = house.signed_in("ann")

    reset = await boss.call("POST", f"{PATH}/ann/reset-password", {"second_factor": second_factor, **WHY})

    password = reset.json()["password"]
    assert (await ann.call("GET", ME)).status_code == 401
    assert (await house.visitor().sign_in("ann", PASSWORD, house.code())).status_code == 401
    without = await house.visitor().sign_in("ann", password)
    assert without.status_code == (200 if second_factor else 401)
    if not second_factor:
        assert (await house.visitor().sign_in("ann", password, house.code())).json()["steps_due"] == ["password"]


# nobody rises, nobody locks the house


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/boss/disable", WHY), ("/boss/reset-password", WHY), ("/boss/reset-password", {"second_factor": True, **WHY}),
    ],
)  # fmt: skip
async def test_nobody_does_it_to_themselves(house: House, path: str, body: dict[str, object]) -> None:
    boss = await operator(house)
    house.hire("other")

    assert (await boss.call("POST", PATH + path, body)).status_code == 409
    assert (await boss.call("PUT", f"{PATH}/boss", {"role": "viewer", **WHY})).status_code == 409


async def test_one_operator_remains(house: House) -> None:
    house.hire("boss")
    program = house.program(frozenset(Permission) - {Permission.SIGN_IN, Permission.WHO_AM_I, Permission.OWN_ACCOUNT})

    disabled = await program.call("POST", f"{PATH}/boss/disable", WHY)
    demoted = await program.call("PUT", f"{PATH}/boss", {"role": "viewer", **WHY})

    assert (disabled.status_code, demoted.status_code) == (409, 409)


async def test_of_two_operators_who_disable_each_other_at_once_one_remains(house: House) -> None:
    house.hire("ann")
    house.hire("bob")
    ann, bob = house.signed_in("ann"), house.signed_in("bob")

    answers = await asyncio.gather(
        ann.call("POST", f"{PATH}/bob/disable", WHY), bob.call("POST", f"{PATH}/ann/disable", WHY)
    )

    assert min(answer.status_code for answer in answers) == 200
    assert sum(house.account(name).disabled_at is None for name in ("ann", "bob")) == 1


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", {"name": "eve", "role": "operator", **WHY}), ("PUT", "/ann", {"role": "operator", **WHY}),
        ("POST", "/boss/reset-password", WHY), ("POST", "/boss/disable", WHY), ("POST", "/boss/end-sessions", WHY),
        ("POST", "/boss/enable", WHY), ("PUT", "/boss", {"role": "viewer", **WHY}),
        ("PUT", "/boss", {"display_name": "The real boss is eve", **WHY}),
    ],
)  # fmt: skip
async def test_a_program_that_manages_accounts_cannot_rise_by_it(
    house: House, method: str, path: str, body: dict[str, object]
) -> None:
    house.hire("boss")
    house.hire("ann", Role.VIEWER)
    program = house.program(frozenset({Permission.MANAGE_ACCOUNTS}))

    answer = await program.call(method, PATH + path, body)

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert not house.audited(Action.PASSWORD_RESET, Action.ACCOUNT_CHANGED, Action.ACCOUNT_DISABLED)


@pytest.mark.parametrize("name", ["nobody", "%00", "..%2fx", "ä", "' OR 1=1", "a" * 400, "Ann", "ann%0a"])
async def test_there_is_no_such_account(house: House, name: str) -> None:
    boss = await operator(house)
    house.hire("ann", Role.VIEWER)

    assert (await boss.call("GET", f"{PATH}/{name}")).status_code == 404
    assert (await boss.call("POST", f"{PATH}/{name}/enable", WHY)).status_code in _NOWHERE
    assert (await boss.call("POST", f"{PATH}/{name}/disable", WHY)).status_code in _NOWHERE


async def test_an_operator_sees_and_ends_the_sessions_of_others(house: House) -> None:
    boss = await operator(house)
    house.hire("ann", Role.SUPPORT)
    ann = house.signed_in("ann")
    house.enter("ann")

    listed = (await boss.call("GET", f"{PATH}/ann/sessions")).json()["items"]
    ended = await boss.call("POST", f"{PATH}/ann/end-sessions", WHY)

    assert [item["is_this"] for item in listed] == [False, False]
    assert ended.json() == {"ended": 2}
    assert (await ann.call("GET", ME)).status_code == 401
    [entry] = house.audited(Action.SESSIONS_ENDED)
    assert (entry.actor, entry.reason, entry.detail) == ("staff:boss", "It is time.", '{"sessions":2}')
