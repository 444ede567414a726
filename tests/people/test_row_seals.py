"""Rows that grant access, written past this server: none of them opens anything, and `doctor` names them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from threading import Event

import pytest
from sqlalchemy import text
from sqlmodel import Session, SQLModel, select

from licsrv.errors import StorageError
from licsrv.people import accounts, credentials, row_seals, sessions, store
from licsrv.people.access import AccessSettings
from licsrv.people.roles import Permission, Role
from licsrv.people.sessions import Browser
from licsrv.people.tables import Account, StaffSession
from licsrv.platform.db import reading, transaction
from tests.conftest import NOW
from tests.staff import House, Visitor

ME = "/admin/api/session"
SETTINGS = AccessSettings(timedelta(hours=1), timedelta(hours=8), calls_per_minute=60, totp_required=True, issuer="")
WHY = {"reason": "It is time."}


def tamper(house: House, *statements: str, **values: object) -> None:
    with transaction(house.runtime.database) as session:
        for statement in statements:
            session.execute(text(statement), values)


def forged(house: House) -> list[str]:
    with reading(house.runtime.database) as session:
        rows = session.scalars(select(StaffSession)).all()
        return [*row_seals.forged(session), *(row.id for row in rows if not row_seals.is_genuine(session, row))]


COPIED = [name for name in Account.model_fields if name not in {"name", "seal"}]
ACCOUNT_CHANGES = {
    "another role": "UPDATE staff_accounts SET role = 'operator' WHERE name = 'eve'",
    "another password": "UPDATE staff_accounts SET password = (SELECT o.password FROM staff_accounts o "
                        "WHERE o.name = 'boss') WHERE name = 'eve'",
    "no second factor": "UPDATE staff_accounts SET totp_sealed = NULL WHERE name = 'eve'",
    "enabled again": "UPDATE staff_accounts SET disabled_at = NULL WHERE name = 'eve'",
    "an approver for long": "UPDATE staff_accounts SET approver_since = '2020-01-01 00:00:00' WHERE name = 'eve'",
    "no seal": "UPDATE staff_accounts SET seal = NULL WHERE name = 'eve'",
    "the seal of another": "UPDATE staff_accounts SET seal = (SELECT seal FROM staff_accounts WHERE name = 'boss') "
                           "WHERE name = 'eve'",
}  # fmt: skip


async def test_an_inserted_account_cannot_sign_in_and_is_named(house: House) -> None:
    house.hire("boss")
    columns = ", ".join(COPIED)
    tamper(house, f"INSERT INTO staff_accounts (name, seal, {columns}) "
                  f"SELECT 'eve', seal, {columns} FROM staff_accounts WHERE name = 'boss'")  # fmt: skip

    answer = await house.visitor().sign_in("eve", code=house.code())

    assert answer.status_code == 401
    assert forged(house) == ["account eve"]
    assert (await house.visitor().sign_in("boss", code=house.code())).status_code == 200


@pytest.mark.parametrize("what", ACCOUNT_CHANGES)
async def test_a_changed_account_neither_signs_in_nor_keeps_its_session(house: House, what: str) -> None:
    house.hire("boss", password="$argon2id$v=19$m=19456,t=2,p=1$other")
    house.hire("eve", Role.SUPPORT, disabled_at=NOW if what == "enabled again" else None)
    eve = house.signed_in("eve")

    tamper(house, ACCOUNT_CHANGES[what])

    assert (await eve.call("GET", ME)).status_code == 401
    assert (await house.visitor().sign_in("eve", code=house.code())).status_code == 401
    assert forged(house) == ["account eve"]


async def test_a_changed_account_does_not_become_genuine_by_the_next_change(house: House) -> None:
    house.hire("boss")
    house.hire("eve", Role.SUPPORT)
    boss = house.signed_in("boss")
    tamper(house, ACCOUNT_CHANGES["another role"])

    answers = [
        await boss.call("PUT", "/admin/api/accounts/eve", {"language": "en", **WHY}),
        await boss.call("POST", "/admin/api/accounts/eve/enable", WHY),
        await boss.call("POST", "/admin/api/accounts/eve/reset-password", WHY),
    ]
    with transaction(house.runtime.database) as session:  # not even past the use cases
        row = session.get_one(Account, "eve")
        row.language = "en"
        row.disabled_at = None
        session.add(row)

    assert [answer.status_code for answer in answers] == [409] * 3
    assert forged(house) == ["account eve"]


async def test_what_changes_at_each_use_is_not_sealed(house: House) -> None:
    house.hire("ann")
    visitor = house.visitor()
    await visitor.sign_in("ann", code=house.code())

    tamper(house, "UPDATE staff_accounts SET language = 'en', totp_last_step = 0")
    tamper(house, "UPDATE staff_sessions SET client = ''")

    assert (await visitor.call("GET", ME)).status_code == 200
    assert forged(house) == []


SESSION_CHANGES = {
    "of another account": "UPDATE staff_sessions SET account = 'boss'",
    "of another token": "UPDATE staff_sessions SET digest = :digest",
    "longer": "UPDATE staff_sessions SET expires_at = '2099-01-01 00:00:00'",
    "just proved": "UPDATE staff_sessions SET proved_at = '2026-03-01 09:29:00'",
    "without a seal": "UPDATE staff_sessions SET seal = NULL",
}


@pytest.mark.parametrize("what", SESSION_CHANGES)
async def test_a_changed_session_is_none(house: House, what: str) -> None:
    house.hire("boss")
    house.hire("ann", Role.VIEWER)
    ann, token = house.signed_in("ann"), "A" * 43

    tamper(house, SESSION_CHANGES[what], digest=credentials.digest_of(token))

    assert (await ann.call("GET", ME)).status_code == 401
    assert (await house.visitor().call("GET", ME, Cookie=f"__Host-licsrv={token}")).status_code == 401


TOKEN_CHANGES = {
    "more scopes": "UPDATE staff_tokens SET scopes = '[\"manage_accounts\"]'",
    "longer": "UPDATE staff_tokens SET expires_at = '2099-01-01 00:00:00'",
    "good again": "UPDATE staff_tokens SET revoked_at = NULL, seal = seal",
    "of another secret": "UPDATE staff_tokens SET digest = :digest",
    "without a seal": "UPDATE staff_tokens SET seal = NULL",
}


@pytest.mark.parametrize("what", TOKEN_CHANGES)
async def test_a_changed_token_is_not_recognised(house: House, what: str) -> None:
    made = house.token(frozenset({Permission.READ_LICENSES}), revoked_at=NOW if what == "good again" else None)
    other = credentials.new_api_token()

    tamper(house, TOKEN_CHANGES[what], digest=credentials.digest_of(other))

    for secret in (made.secret, other):
        answer = await house.visitor().call("GET", ME, Authorization=f"Bearer {secret}")
        assert answer.status_code == 401
    assert forged(house) == [f"token {made.row.id}"]


async def test_a_token_of_a_changed_account_is_not_recognised(house: House) -> None:
    house.hire("ann")
    secret = house.token(frozenset({Permission.READ_LICENSES}), owner="ann").secret
    program = Visitor(house.visitor().http, headers={"Authorization": f"Bearer {secret}"})
    assert (await program.call("GET", ME)).status_code == 200

    tamper(house, "UPDATE staff_accounts SET role = 'viewer'")

    assert (await program.call("GET", ME)).status_code == 401


async def test_a_setup_link_that_was_put_into_the_database_opens_nothing(house: House) -> None:
    token = "A" * 43
    moment = (NOW + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
    for mark in (credentials.digest_of(token), f"newest.{credentials.digest_of(token)[:48]}"):
        tamper(house, f"INSERT INTO staff_setup_links (digest, expires_at) VALUES ('{mark}', '{moment}')")
        body = {"token": token, "name": "eve", "password": "correct horse battery staple"}

        assert (await house.visitor().call("POST", "/admin/api/setup", body)).status_code == 401


async def test_everything_there_is_believed_once_it_is_sealed_again(house: House) -> None:
    house.hire("ann")
    ann = house.signed_in("ann")
    tamper(house, "UPDATE staff_accounts SET seal = NULL", "UPDATE staff_sessions SET seal = NULL")
    assert (await ann.call("GET", ME)).status_code == 401

    with transaction(house.runtime.database) as session:
        row_seals.reseal(session)

    assert (await ann.call("GET", ME)).status_code == 200


def demote(session: Session) -> None:
    account = store.account_for_update(session, "ann")
    assert account is not None
    account.role = Role.VIEWER
    session.add(account)


def end_sessions(session: Session) -> None:
    store.end_sessions(session, "ann")


def prove(session: Session, ids: Sequence[str] | None = None) -> None:
    for row in ids if ids is not None else session.scalars(select(StaffSession.id)).all():
        store.prove_session(session, row, now=NOW + timedelta(minutes=1))


def renew(session: Session, ids: Sequence[str] | None = None) -> None:
    for known in ids if ids is not None else session.scalars(select(StaffSession.id)).all():
        account = accounts.named(session, "ann")
        sessions.renew(session, known, account, browser=Browser(), settings=SETTINGS, now=NOW)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", [demote, end_sessions, prove, renew])
async def test_a_change_while_everything_is_sealed_again_waits_for_it(
    house: House, monkeypatch: pytest.MonkeyPatch, change: Callable[[Session], None]
) -> None:
    house.hire("ann")
    house.signed_in("ann")
    tamper(house, "UPDATE staff_accounts SET seal = NULL", "UPDATE staff_sessions SET seal = NULL")
    seal_row, changes = row_seals.seal_row, [change]

    def seal_while_another_writes(session: Session, row: SQLModel) -> None:
        while changes:
            made = changes.pop()
            with suppress(StorageError), transaction(house.runtime.database) as other:
                other.execute(text("SET LOCAL lock_timeout = '20ms'"))
                made(other)
        seal_row(session, row)

    monkeypatch.setattr(row_seals, "seal_row", seal_while_another_writes)
    with transaction(house.runtime.database) as session:
        row_seals.reseal(session)
    assert not changes

    assert forged(house) == []
    with transaction(house.runtime.database) as session:
        change(session)
    assert forged(house) == []


OTHERS: dict[str, Callable[[Session], object]] = {
    "is sealed again": row_seals.reseal,
    "ends": end_sessions,
    "is proved": lambda session: store.prove_session(session, only_id(session), now=NOW + timedelta(minutes=2)),
    "is renewed": renew,
}


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("change", [prove, renew])
@pytest.mark.parametrize("other", OTHERS)
async def test_a_session_that_changes_while_it_is_proved_or_renewed_stays_one_that_was_written_here(
    house: House, change: Callable[[Session, Sequence[str]], None], other: str
) -> None:
    house.hire("ann")
    house.signed_in("ann")
    if other == "is sealed again":
        tamper(house, "UPDATE staff_sessions SET seal = NULL")
    is_read, is_done = Event(), Event()

    def another() -> None:
        assert is_read.wait(10)
        with transaction(house.runtime.database) as session:
            OTHERS[other](session)
        is_done.set()

    with ThreadPoolExecutor(1) as pool, transaction(house.runtime.database) as session:
        running = pool.submit(another)
        seen = session.scalars(select(StaffSession)).all()  # the copy that the change must not be made from
        ids = [row.id for row in seen]
        is_read.set()
        assert is_done.wait(10)
        change(session, ids)
    running.result()

    assert forged(house) == []


def only_id(session: Session) -> str:
    return session.scalars(select(StaffSession.id)).one()
