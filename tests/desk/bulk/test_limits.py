"""The limits of one person: new approvers wait, and licenses revoked one by one count like a list of them."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import pytest

from licsrv.people.roles import Permission, Role
from tests.conftest import StandingClock
from tests.desk.bulk.conftest import REASON, Shop, say
from tests.staff import Visitor

ACCOUNTS = "/admin/api/accounts"
WHY = {"reason": "It is time."}


async def waiting(shop: Shop) -> str:
    """Return a job that waits for a second person."""
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(shop.stock(101)))
    assert (await say(ann, job["id"], "start")).json()["state"] == "WAITING"
    return str(job["id"])


MADE_ABLE: dict[str, tuple[Role, str, dict[str, Any]]] = {
    "a new role": (Role.VIEWER, "PUT", {"role": "supervisor"}),
    "enabled again": (Role.SUPERVISOR, "enable", {}),
    "a new password": (Role.SUPERVISOR, "reset-password", {}),
    "no second factor": (Role.SUPERVISOR, "reset-password", {"second_factor": True}),
}


@pytest.mark.parametrize("how", MADE_ABLE)
@pytest.mark.parametrize(("microseconds", "status"), [(-1, 403), (0, 200)])
async def test_who_was_made_able_to_approve_waits_a_day(
    shop: Shop, clock: StandingClock, how: str, microseconds: int, status: int
) -> None:
    job_id = await waiting(shop)
    role, word, more = MADE_ABLE[how]
    boss = shop.person("boss", Role.OPERATOR)
    shop.house.hire("eve", role)
    if word == "enable":
        await boss.call("POST", f"{ACCOUNTS}/eve/disable", WHY)
    path = f"{ACCOUNTS}/eve" if word == "PUT" else f"{ACCOUNTS}/eve/{word}"
    answer = await boss.call("PUT" if word == "PUT" else "POST", path, {**WHY, **more})
    assert answer.status_code == 200, answer.text
    shop.house.finish("eve")
    clock.advance(hours=24, microseconds=microseconds)

    decided = await say(shop.house.signed_in("eve"), job_id, "approve")

    assert decided.status_code == status, decided.text
    if status == 403:
        assert "approves_from" in decided.json()
        assert (await say(shop.house.signed_in("eve"), job_id, "reject")).status_code == 200, "saying no needs no wait"


async def test_a_new_account_waits_and_so_does_its_token(shop: Shop, clock: StandingClock) -> None:
    job_id = await waiting(shop)
    boss = shop.person("boss", Role.OPERATOR)
    await boss.call("POST", ACCOUNTS, {"name": "puppet", "role": "supervisor", **WHY})
    shop.house.finish("puppet")
    program = Visitor(shop.house.visitor().http)
    secret = shop.house.token(frozenset({Permission.APPROVE_BULK, Permission.CHANGE_LICENSES}), owner="puppet").secret
    program.headers["Authorization"] = f"Bearer {secret}"

    assert (await say(shop.house.signed_in("puppet"), job_id, "approve")).status_code == 403
    assert (await say(program, job_id, "approve")).status_code == 403
    assert (await say(shop.person("bob"), job_id, "approve")).status_code == 200, "a known approver need not wait"


async def revoke(visitor: Visitor, code: str) -> httpx2.Response:
    path = f"/admin/api/licenses/{code}/actions/revoke/do"
    return await visitor.call("POST", path, {"reason": REASON})


async def test_single_revocations_end_at_the_limit_and_begin_again_the_next_day(
    shop: Shop, clock: StandingClock
) -> None:
    shop.limit(3)
    codes = shop.stock(5)
    ann, bob = shop.person("ann"), shop.person("bob")
    program = Visitor(shop.house.visitor().http)
    secret = shop.house.token(frozenset({Permission.CHANGE_LICENSES}), owner="ann").secret
    program.headers["Authorization"] = f"Bearer {secret}"

    first = [await revoke(ann, code) for code in codes[:2]]
    again = await revoke(ann, codes[0])
    third, fourth = await revoke(program, codes[2]), await revoke(ann, codes[3])
    other = await revoke(bob, codes[3])
    clock.advance(days=1)
    tomorrow = await revoke(shop.house.signed_in("ann"), codes[4])

    assert [answer.json()["changed"] for answer in (*first, again, third)] == [True, True, False, True]
    assert (fourth.status_code, fourth.json()["code"]) == (403, "FORBIDDEN")
    assert (other.json()["changed"], tomorrow.json()["changed"]) == (True, True)


async def test_a_license_revoked_twice_at_one_moment_counts_once(shop: Shop) -> None:
    shop.limit(2)
    first, other = shop.stock(2)
    ann = shop.person("ann")

    before = await revoke(ann, first)
    await ann.call("POST", f"/admin/api/licenses/{first}/actions/reinstate/do", {"reason": REASON})
    again, second = await revoke(ann, first), await revoke(ann, other)

    assert [answer.status_code for answer in (before, again, second)] == [200] * 3


async def test_single_revocations_and_lists_count_together(shop: Shop) -> None:
    shop.limit(4)
    codes = shop.stock(8)
    ann = shop.person("ann")
    job = await shop.prepared(ann, "\n".join(codes[:3]))

    started = await say(ann, job["id"], "start")
    fourth, fifth = await revoke(ann, codes[4]), await revoke(ann, codes[5])
    more = await shop.prepared(ann, codes[6])
    waits = await say(ann, more["id"], "start")

    assert started.json()["state"] == "RUNNING"
    assert (fourth.status_code, fifth.status_code) == (200, 403)
    assert waits.json()["state"] == "WAITING"


async def test_many_at_once_do_not_pass_the_limit(shop: Shop) -> None:
    shop.limit(3)
    codes = shop.stock(8)
    ann = shop.person("ann")

    answers = await asyncio.gather(*(revoke(ann, code) for code in codes))

    assert sorted(answer.status_code for answer in answers) == [200] * 3 + [403] * 5
    assert sum(shop.license(code).revoked_at is not None for code in codes) == 3
