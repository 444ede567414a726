"""What gives away access needs a fresh proof of identity from a person, and ends with the token that made it."""

from __future__ import annotations

from typing import Any

import pytest

from licsrv import app as application
from licsrv.audit import Action
from licsrv.desk.api import admin_operations
from licsrv.people.roles import GRANTABLE, Permission, Role
from tests.conftest import NOW, StandingClock
from tests.staff import PASSWORD, House, Visitor

ME = "/admin/api/session"
PROOF = f"{ME}/proof"
ACCOUNTS = "/admin/api/accounts"
WHY = {"reason": "It is time."}
GUARDED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "an account": ("POST", ACCOUNTS, {"name": "eve", "role": "viewer", **WHY}),
    "a role": ("PUT", f"{ACCOUNTS}/ann", {"role": "supervisor", **WHY}),
    "an account again": ("POST", f"{ACCOUNTS}/ann/enable", WHY),
    "a password of another": ("POST", f"{ACCOUNTS}/ann/reset-password", WHY),
    "a token": ("POST", "/admin/api/tokens", {"name": "x", "scopes": ["read_licenses"],
                                              "expires_at": "2026-03-05T00:00:00Z", **WHY}),
    "a second factor": ("POST", f"{ME}/second-factor", {"password": PASSWORD}),
    "recovery codes": ("POST", f"{ME}/recovery-codes", {"password": PASSWORD}),
}  # fmt: skip


async def operator(house: House) -> Visitor:
    house.hire("boss")
    house.hire("ann", Role.SUPPORT, disabled_at=NOW)
    return house.signed_in("boss")


@pytest.mark.parametrize("what", GUARDED)
@pytest.mark.parametrize(("microseconds", "status"), [(-1, 200), (0, 403)])
async def test_a_proof_counts_for_five_minutes(
    house: House, clock: StandingClock, what: str, microseconds: int, status: int
) -> None:
    boss = await operator(house)
    clock.advance(minutes=5, microseconds=microseconds)

    answer = await boss.call(*GUARDED[what])

    assert answer.status_code == status, answer.text
    if status == 403:
        assert (answer.json()["code"], answer.json()["proof"]) == ("STEP_UP_REQUIRED", "code")


async def test_a_new_code_lets_the_session_go_on(house: House, clock: StandingClock) -> None:
    boss = await operator(house)
    clock.advance(minutes=6)

    proved = await boss.call("POST", PROOF, {"code": house.code()})

    assert (proved.status_code, proved.json()["has_second_factor"]) == (200, True)
    assert proved.json()["proved_until"] > clock.now().isoformat()[:16]
    assert [(await boss.call(*call)).status_code for call in GUARDED.values()] == [200] * len(GUARDED)
    again = await boss.call("POST", PROOF, {"code": house.code()})
    assert again.status_code == 403, "a code counts once"


@pytest.mark.parametrize("proof", [{"code": "000000"}, {"password": PASSWORD}, {"code": "x", "password": PASSWORD}])
async def test_the_password_does_not_replace_the_second_factor(
    house: House, clock: StandingClock, proof: dict[str, str]
) -> None:
    boss = await operator(house)
    clock.advance(minutes=6)

    answers = [await boss.call("POST", PROOF, proof) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [403] * 5 + [429]
    assert (await boss.call(*GUARDED["an account"])).json()["code"] == "STEP_UP_REQUIRED"
    assert {entry.detail.split('"why":')[1] for entry in house.audited(Action.SIGN_IN_FAILED)} == {'"proof"}'}


async def test_without_a_second_factor_the_password_is_the_proof(house: House, clock: StandingClock) -> None:
    house.runtime.settings = house.runtime.settings.model_copy(update={"totp_required": False})
    house.app = application.create_app(house.runtime)
    house.hire("boss", second_factor=False)
    boss = house.signed_in("boss")
    clock.advance(minutes=6)

    refused = await boss.call(*GUARDED["an account"])
    wrong = await boss.call("POST", PROOF, {"password": "another password"})
    right = await boss.call("POST", PROOF, {"password": PASSWORD})
    made = await boss.call(*GUARDED["an account"])

    assert refused.json()["proof"] == "password"
    assert [one.status_code for one in (refused, wrong, right, made)] == [403, 403, 200, 200]


async def test_a_session_of_the_version_before_has_proved_nothing(house: House) -> None:
    from sqlmodel import select

    from licsrv.people.tables import StaffSession
    from licsrv.platform.db import transaction

    boss = await operator(house)
    with transaction(house.runtime.database) as session:
        row = session.scalars(select(StaffSession)).one()
        row.proved_at = None
        session.add(row)

    assert (await boss.call(*GUARDED["a token"])).json()["code"] == "STEP_UP_REQUIRED"


async def test_what_takes_access_away_waits_for_no_proof(house: House, clock: StandingClock) -> None:
    boss = await operator(house)
    made = (await boss.call(*GUARDED["a token"])).json()["token"]["id"]
    clock.advance(minutes=6)

    ended = await boss.call("POST", f"{ACCOUNTS}/ann/end-sessions", WHY)
    disabled = await boss.call("POST", f"{ACCOUNTS}/ann/disable", WHY)
    revoked = await boss.call("POST", f"/admin/api/tokens/{made}/revoke", WHY)

    assert [one.status_code for one in (ended, disabled, revoked)] == [200] * 3


def test_every_operation_that_gives_access_asks_for_a_proof() -> None:
    """A new operation about accounts or tokens has to be decided about here."""
    managing = {Permission.MANAGE_ACCOUNTS, Permission.MANAGE_TOKENS}
    without = {
        f"{one.method} {one.path.removeprefix('/admin/api')}"
        for one in admin_operations()
        if one.permission in managing and one.is_unsafe and not one.needs_proof
    }

    assert without == {
        "POST /accounts/{name}/disable", "POST /accounts/{name}/end-sessions", "POST /tokens/{id}/revoke",
    }  # fmt: skip


@pytest.mark.parametrize("what", ["an account", "a role", "an account again", "a password of another", "a token"])
async def test_a_token_gives_no_access_that_outlives_it(house: House, what: str) -> None:
    await operator(house)
    program = house.program(GRANTABLE)

    answer = await program.call(*GUARDED[what])

    assert (answer.status_code, answer.json()["code"]) == (403, "FORBIDDEN")
    assert "outlives" in answer.json()["detail"]
    assert house.account("ann").disabled_at is not None


async def test_a_token_still_does_what_gives_no_access(house: House) -> None:
    await operator(house)
    house.hire("bob", Role.VIEWER)
    program = house.program(GRANTABLE)

    renamed = await program.call("PUT", f"{ACCOUNTS}/bob", {"display_name": "Bob Lee", **WHY})
    lowered = await program.call("PUT", f"{ACCOUNTS}/ann", {"role": "viewer", **WHY})
    unlocked = await program.call("POST", f"{ACCOUNTS}/bob/enable", WHY)

    assert [one.status_code for one in (renamed, lowered, unlocked)] == [200] * 3
