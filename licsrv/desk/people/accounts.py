"""``/admin/api/accounts``: the people of the desk. Passwords made here are shown once and have to be changed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import AccountName, DisplayName, Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.people.own_session import Ended, SessionList, session_list
from licsrv.errors import ConflictError, NotFoundError
from licsrv.people import accounts, passwords, sign_in, store
from licsrv.people.accounts import TEMPORARY_SPAN, Change, Language, NewAccount, Password
from licsrv.people.roles import Permission, Role
from licsrv.people.tables import Account
from licsrv.platform import paging
from licsrv.platform.fields import Body

_MANAGE = Permission.MANAGE_ACCOUNTS
_PATH = "/admin/api/accounts"
_ONE = _PATH + "/{name}"


class NewAccountRequest(Reasoned):
    """A person to be known here."""

    name: AccountName = Field(examples=["ann"])
    role: Role
    display_name: DisplayName = ""
    language: Language = Language.CHINESE


class AccountChange(Reasoned):
    """What shall be different; what is left out stays as it is."""

    role: Role | None = None
    display_name: DisplayName | None = None
    language: Language | None = None


class PasswordReset(Reasoned):
    """A new temporary password."""

    second_factor: bool = Field(False, description="take the second factor and its recovery codes away, too")


class AccountAnswer(Body):
    """A person."""

    name: str
    display_name: str
    role: Role
    language: Language
    has_second_factor: bool
    has_temporary_password: bool
    created_at: datetime
    created_by: str
    last_sign_in_at: datetime | None
    disabled_at: datetime | None


class AccountList(Body):
    """A page of people, by name."""

    items: list[AccountAnswer]
    next: str | None


class TemporaryPassword(Body):
    """A password to be passed on; it is shown this one time and has to be changed at the first sign-in."""

    account: AccountAnswer
    password: str
    valid_until: datetime


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    missing = (NotFoundError,)
    either = (NotFoundError, ConflictError)
    return (
        AdminOperation("GET", _PATH, "List accounts", _MANAGE, listed, result=AccountList, query=paging.PARAMETERS),
        AdminOperation(
            "POST", _PATH, "Add an account", _MANAGE, add, NewAccountRequest, TemporaryPassword, (ConflictError,)
        ),
        AdminOperation("GET", _ONE, "Show an account", _MANAGE, show, result=AccountAnswer, refusals=missing),
        AdminOperation("PUT", _ONE, "Change an account", _MANAGE, change, AccountChange, AccountAnswer, either),
        AdminOperation(
            "POST", f"{_ONE}/disable", "Disable an account", _MANAGE, disable, Reasoned, AccountAnswer, either
        ),
        AdminOperation(
            "POST", f"{_ONE}/enable", "Enable an account and forget its failures", _MANAGE, enable, Reasoned,
            AccountAnswer, missing,
        ),
        AdminOperation(
            "POST", f"{_ONE}/reset-password", "Give a temporary password", _MANAGE, reset_password, PasswordReset,
            TemporaryPassword, either,
        ),
        AdminOperation(
            "GET", f"{_ONE}/sessions", "List the sessions of an account", _MANAGE, sessions_of, result=SessionList,
            refusals=missing,
        ),
        AdminOperation(
            "POST", f"{_ONE}/end-sessions", "End the sessions of an account", _MANAGE, end_sessions, Reasoned, Ended,
            missing,
        ),
    )  # fmt: skip


async def listed(call: Call) -> AccountList:
    """Answer ``GET /admin/api/accounts``."""
    window = paging.window_of(call.request.query_params)

    def use_case(session: Session) -> AccountList:
        rows = store.accounts(session, window)
        page = paging.page_of(rows, window, keys=lambda row: (row.name,), item=account_answer)
        return AccountList(items=page.items, next=page.next)

    return await call.read(use_case)


async def add(call: Call, body: NewAccountRequest) -> TemporaryPassword:
    """Answer ``POST /admin/api/accounts``."""
    password, made = await _temporary(call)
    new = NewAccount(body.name, body.role, body.display_name, body.language)
    cause = call.cause(body.reason)

    def use_case(session: Session) -> TemporaryPassword:
        row = accounts.add(session, new, made, actor=call.actor, cause=cause, now=call.now)
        return _handed_out(row, password)

    return await call.write(use_case)


async def show(call: Call) -> AccountAnswer:
    """Answer ``GET /admin/api/accounts/{name}``."""
    return await call.read(lambda session: account_answer(accounts.named(session, _name(call))))


async def change(call: Call, body: AccountChange) -> AccountAnswer:
    """Answer ``PUT /admin/api/accounts/{name}``."""
    wanted, cause = Change(body.role, body.display_name, body.language), call.cause(body.reason)

    def use_case(session: Session) -> AccountAnswer:
        row = accounts.change(session, _name(call), wanted, actor=call.actor, cause=cause, now=call.now)
        return account_answer(row)

    return await call.write(use_case)


async def disable(call: Call, body: Reasoned) -> AccountAnswer:
    """Answer ``POST /admin/api/accounts/{name}/disable``."""

    def use_case(session: Session) -> AccountAnswer:
        accounts.disable(session, _name(call), actor=call.actor, cause=call.cause(body.reason), now=call.now)
        return account_answer(accounts.named(session, _name(call)))

    return await call.write(use_case)


async def enable(call: Call, body: Reasoned) -> AccountAnswer:
    """Answer ``POST /admin/api/accounts/{name}/enable``."""
    key = sign_in.lockout_key(call.desk, _name(call))

    def use_case(session: Session) -> AccountAnswer:
        accounts.enable(
            session, _name(call), lockout_key=key, actor=call.actor, cause=call.cause(body.reason), now=call.now
        )
        return account_answer(accounts.named(session, _name(call)))

    return await call.write(use_case)


async def reset_password(call: Call, body: PasswordReset) -> TemporaryPassword:
    """Answer ``POST /admin/api/accounts/{name}/reset-password``."""
    password, made = await _temporary(call)
    key = sign_in.lockout_key(call.desk, _name(call))

    def use_case(session: Session) -> TemporaryPassword:
        row = accounts.reset_password(
            session, _name(call), made, second_factor=body.second_factor, lockout_key=key, actor=call.actor,
            cause=call.cause(body.reason), now=call.now,
        )  # fmt: skip
        return _handed_out(row, password)

    return await call.write(use_case)


async def sessions_of(call: Call) -> SessionList:
    """Answer ``GET /admin/api/accounts/{name}/sessions``."""

    def use_case(session: Session) -> SessionList:
        return session_list(session, call, accounts.named(session, _name(call)).name)

    return await call.read(use_case)


async def end_sessions(call: Call, body: Reasoned) -> Ended:
    """Answer ``POST /admin/api/accounts/{name}/end-sessions``."""
    cause = call.cause(body.reason)

    def use_case(session: Session) -> Ended:
        return Ended(ended=accounts.end_sessions(session, _name(call), actor=call.actor, cause=cause, now=call.now))

    return await call.write(use_case)


def account_answer(row: Account) -> AccountAnswer:
    """Return an account as an answer."""
    return AccountAnswer(
        name=row.name, display_name=row.display_name, role=Role(row.role), language=Language(row.language),
        has_second_factor=row.totp_sealed is not None, has_temporary_password=row.temporary_until is not None,
        created_at=row.created_at, created_by=row.created_by, last_sign_in_at=row.last_sign_in_at,
        disabled_at=row.disabled_at,
    )  # fmt: skip


def _name(call: Call) -> str:
    name: str = call.request.path_params["name"]
    return name


async def _temporary(call: Call) -> tuple[str, Password]:
    password = passwords.one_time_password()
    return password, Password(await call.desk.hash_password(password), call.now + TEMPORARY_SPAN)


def _handed_out(row: Account, password: str) -> TemporaryPassword:
    valid_until = row.temporary_until or row.password_changed_at
    return TemporaryPassword(account=account_answer(row), password=password, valid_until=valid_until)
