"""``/admin/api/accounts``: the people of the desk. Passwords made here are shown once and have to be changed."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import AccountName, DisplayName, Reasoned
from licsrv.desk.operations import AdminOperation, Call
from licsrv.desk.people import answers
from licsrv.desk.people.answers import AccountAnswer, AccountList, Ended, SessionList, TemporaryPassword
from licsrv.errors import ConflictError, NotFoundError
from licsrv.people import accounts, passwords, sign_in
from licsrv.people.accounts import TEMPORARY_SPAN, Change, Language, NewAccount, Password
from licsrv.people.roles import Permission, Role
from licsrv.platform import paging

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


def operations() -> Sequence[AdminOperation]:
    """Return the operations of this module."""
    missing = (NotFoundError,)
    either = (NotFoundError, ConflictError)
    return (
        AdminOperation(
            "GET", _PATH, "List accounts", permission=_MANAGE, handler=listed, result=AccountList,
            query=paging.PARAMETERS,
        ),
        AdminOperation(
            "POST", _PATH, "Add an account", permission=_MANAGE, handler=add, body=NewAccountRequest,
            result=TemporaryPassword, refusals=(ConflictError,), needs_proof=True,
        ),
        AdminOperation(
            "GET", _ONE, "Show an account", permission=_MANAGE, handler=show, result=AccountAnswer, refusals=missing,
        ),
        AdminOperation(
            "PUT", _ONE, "Change an account", permission=_MANAGE, handler=change, body=AccountChange,
            result=AccountAnswer, refusals=either, needs_proof=True,
        ),
        AdminOperation(
            "POST", f"{_ONE}/disable", "Disable an account", permission=_MANAGE, handler=disable, body=Reasoned,
            result=AccountAnswer, refusals=either,
        ),
        AdminOperation(
            "POST", f"{_ONE}/enable", "Enable an account and forget its failures", permission=_MANAGE, handler=enable,
            body=Reasoned, result=AccountAnswer, refusals=missing, needs_proof=True,
        ),
        AdminOperation(
            "POST", f"{_ONE}/reset-password", "Give a temporary password", permission=_MANAGE, handler=reset_password,
            body=PasswordReset, result=TemporaryPassword, refusals=either, needs_proof=True,
        ),
        AdminOperation(
            "GET", f"{_ONE}/sessions", "List the sessions of an account", permission=_MANAGE, handler=sessions_of,
            result=SessionList, refusals=missing,
        ),
        AdminOperation(
            "POST", f"{_ONE}/end-sessions", "End the sessions of an account", permission=_MANAGE, handler=end_sessions,
            body=Reasoned, result=Ended, refusals=missing,
        ),
    )  # fmt: skip


async def listed(call: Call) -> AccountList:
    """Answer ``GET /admin/api/accounts``."""
    window = call.window()
    return await call.read(lambda session: answers.accounts(session, window))


async def add(call: Call, body: NewAccountRequest) -> TemporaryPassword:
    """Answer ``POST /admin/api/accounts``."""
    password, made = await _temporary(call)
    new = NewAccount(body.name, body.role, body.display_name, language=body.language)
    cause = call.cause(body.reason)

    def use_case(session: Session) -> TemporaryPassword:
        row = accounts.add(session, new, made, actor=call.actor, cause=cause, now=call.now)
        return answers.handed_out(row, password)

    return await call.write(use_case)


async def show(call: Call) -> AccountAnswer:
    """Answer ``GET /admin/api/accounts/{name}``."""
    return await call.read(lambda session: answers.account_shown(accounts.named(session, call.at["name"])))


async def change(call: Call, body: AccountChange) -> AccountAnswer:
    """Answer ``PUT /admin/api/accounts/{name}``."""
    wanted, cause = Change(body.role, body.display_name, body.language), call.cause(body.reason)

    def use_case(session: Session) -> AccountAnswer:
        row = accounts.change(session, call.at["name"], wanted, actor=call.actor, cause=cause, now=call.now)
        return answers.account_shown(row)

    return await call.write(use_case)


async def disable(call: Call, body: Reasoned) -> AccountAnswer:
    """Answer ``POST /admin/api/accounts/{name}/disable``."""

    def use_case(session: Session) -> AccountAnswer:
        accounts.disable(session, call.at["name"], actor=call.actor, cause=call.cause(body.reason), now=call.now)
        return answers.account_shown(accounts.named(session, call.at["name"]))

    return await call.write(use_case)


async def enable(call: Call, body: Reasoned) -> AccountAnswer:
    """Answer ``POST /admin/api/accounts/{name}/enable``."""
    key = sign_in.lockout_key(call.desk, call.at["name"])

    def use_case(session: Session) -> AccountAnswer:
        accounts.enable(
            session, call.at["name"], lockout_key=key, actor=call.actor, cause=call.cause(body.reason), now=call.now
        )
        return answers.account_shown(accounts.named(session, call.at["name"]))

    return await call.write(use_case)


async def reset_password(call: Call, body: PasswordReset) -> TemporaryPassword:
    """Answer ``POST /admin/api/accounts/{name}/reset-password``."""
    password, made = await _temporary(call)
    key = sign_in.lockout_key(call.desk, call.at["name"])

    def use_case(session: Session) -> TemporaryPassword:
        row = accounts.reset_password(
            session, call.at["name"], made, second_factor=body.second_factor, lockout_key=key, actor=call.actor,
            cause=call.cause(body.reason), now=call.now,
        )  # fmt: skip
        return answers.handed_out(row, password)

    return await call.write(use_case)


async def sessions_of(call: Call) -> SessionList:
    """Answer ``GET /admin/api/accounts/{name}/sessions``."""

    def use_case(session: Session) -> SessionList:
        account, idle = accounts.named(session, call.at["name"]).name, call.desk.settings.idle
        return answers.sessions(session, account, idle=idle, own=call.actor.credential, now=call.now)

    return await call.read(use_case)


async def end_sessions(call: Call, body: Reasoned) -> Ended:
    """Answer ``POST /admin/api/accounts/{name}/end-sessions``."""
    cause = call.cause(body.reason)

    def use_case(session: Session) -> Ended:
        return Ended(ended=accounts.end_sessions(session, call.at["name"], actor=call.actor, cause=cause, now=call.now))

    return await call.write(use_case)


async def _temporary(call: Call) -> tuple[str, Password]:
    password = passwords.one_time_password()
    return password, Password(await call.desk.hash_password(password), call.now + TEMPORARY_SPAN)
