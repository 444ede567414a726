"""Accounts of people: added, changed, disabled, given a new password. The same for the API, the console and commands.

Actors cannot grant or touch more than they hold, nor lock themselves out; one operator always remains.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError
from licsrv.people import row_seals, sessions, store
from licsrv.people.actors import Actor
from licsrv.people.roles import GRANTED, Permission, Role
from licsrv.people.tables import Account
from licsrv.platform.db import add_missing

NAME_PATTERN = r"^[a-z0-9][a-z0-9._@-]{0,59}$"
TEMPORARY_SPAN = timedelta(hours=72)
_NAME = re.compile(NAME_PATTERN)


class Language(StrEnum):
    """In which the desk speaks to a person."""

    CHINESE = "zh"
    ENGLISH = "en"


@dataclass(frozen=True)
class NewAccount:
    """A person to be known here."""

    name: str
    role: Role
    display_name: str = ""
    language: Language = Language.CHINESE


@dataclass(frozen=True)
class Change:
    """What shall be different; None leaves it as it is."""

    role: Role | None = None
    display_name: str | None = None
    language: Language | None = None


@dataclass(frozen=True)
class Password:
    """A hashed password; ``temporary_until`` where another person set it."""

    phc: str
    temporary_until: datetime | None = None


def normal_name(name: str) -> str:
    """Return an account's name however it was typed."""
    return name.strip().lower()


def is_name(name: str) -> bool:
    """Whether a text can be an account's name: lower-case ASCII letters, digits, and ``._@-`` inside."""
    return _NAME.fullmatch(name) is not None and not name.endswith("\n")


def named(session: Session, name: str) -> Account:
    """Return an account.

    Raises:
        NotFoundError: There is none of this name.
    """
    found = store.account(session, name) if is_name(name) else None
    if found is None:
        raise _unknown(name)
    return found


def locked(session: Session, name: str) -> Account:
    """Return an account, locked until the end of the transaction.

    Raises:
        NotFoundError: There is none of this name.
        ConflictError: Other means wrote it.
    """
    found = store.account_for_update(session, name) if is_name(name) else None
    if found is None:
        raise _unknown(name)
    if not row_seals.is_genuine(session, found):
        raise ConflictError("This account was not written by this server.", action="See `licsrv doctor`.")
    return found


def subject_of(name: str) -> str:
    """Return how the audit names an account that something was done to."""
    return f"account:{name}"


def add(session: Session, new: NewAccount, password: Password, *, actor: Actor, cause: Cause, now: datetime) -> Account:
    """Add a person.

    Raises:
        InvalidRequestError: The name cannot be one.
        ConflictError: There is an account of this name, disabled or not.
        ForbiddenError: The role may do what the actor may not, or the actor is a program.
    """
    if not is_name(new.name):
        raise InvalidRequestError("A name has 1 to 60 of a-z, 0-9 and . _ @ -, and begins with a letter or digit.")
    actor.require_all(GRANTED[new.role], f"The role {new.role}")
    actor.require_person()
    row = Account(
        name=new.name,
        display_name=new.display_name,
        role=str(new.role),
        language=str(new.language),
        password=password.phc,
        password_changed_at=now,
        temporary_until=password.temporary_until,
        created_at=now,
        created_by=cause.actor,
        approver_since=_approver_since(new.role, now),
    )
    row_seals.seal_row(session, row)
    if not add_missing(session, Account, "name", rows=[row.model_dump()]):
        raise ConflictError(f"There is an account {new.name} already.", action="Choose another name, or enable it.")
    _note(session, Action.ACCOUNT_ADDED, new.name, detail={"role": str(new.role)}, cause=cause, now=now)
    return named(session, new.name)


def change(session: Session, name: str, wanted: Change, *, actor: Actor, cause: Cause, now: datetime) -> Account:
    """Change what differs; the same again changes and notes nothing.

    Raises:
        NotFoundError: There is no such account.
        ConflictError: It is the actor's own role, or that of the last operator.
        ForbiddenError: One of the two roles may do what the actor may not, or a program would give it more.
    """
    account = locked(session, name)
    differences = _differences(account, wanted)
    if account.name != actor.account:
        _require_power_over(account, actor)
    if "role" in differences:
        _require_not_oneself(account, actor, "You cannot change your own role.")
        before, after = (GRANTED[Role(differences["role"][side])] for side in ("before", "after"))
        actor.require_all(after, "That role")
        if not after <= before:
            actor.require_person()
        if Permission.APPROVE_BULK in after - before:
            account.approver_since = now
        _require_another_operator(session, account)
    for member, difference in differences.items():
        setattr(account, member, difference["after"])
    if differences:
        session.add(account)
        _note(session, Action.ACCOUNT_CHANGED, name, detail=differences, cause=cause, now=now)
    return account


def disable(session: Session, name: str, *, actor: Actor, cause: Cause, now: datetime) -> bool:
    """Disable an account; this ends its sessions and tokens at once.

    Raises:
        NotFoundError: There is no such account.
        ConflictError: It is the actor's own, or the last operator's.
        ForbiddenError: Its role may do what the actor may not.
    """
    account = locked(session, name)
    if account.disabled_at is not None:
        return False
    _require_not_oneself(account, actor, "You cannot disable your own account.")
    _require_power_over(account, actor)
    _require_another_operator(session, account)
    account.disabled_at = now
    session.add(account)
    sessions.end_all(session, name, cause=cause, now=now)
    _note(session, Action.ACCOUNT_DISABLED, name, detail={}, cause=cause, now=now)
    return True


def enable(session: Session, name: str, *, lockout_key: str, actor: Actor, cause: Cause, now: datetime) -> bool:
    """Enable an account and reset its failed sign-ins; return whether it was disabled.

    Raises:
        NotFoundError: There is no such account.
        ForbiddenError: Its role may do what the actor may not, or a program would enable it.
    """
    account = locked(session, name)
    _require_power_over(account, actor)
    was_disabled = account.disabled_at is not None
    if was_disabled:
        actor.require_person()
    store.forget_failures(session, lockout_key)
    account.disabled_at = None
    if was_disabled:
        account.approver_since = _approver_since(Role(account.role), now)
    session.add(account)
    _note(session, Action.ACCOUNT_ENABLED, name, detail={"was_disabled": was_disabled}, cause=cause, now=now)
    return was_disabled


def reset_password(
    session: Session,
    name: str,
    password: Password,
    *,
    second_factor: bool,
    lockout_key: str,
    actor: Actor,
    cause: Cause,
    now: datetime,
) -> Account:
    """Set a temporary password, end the account's sessions, and reset its failed sign-ins.

    Args:
        second_factor: Whether to remove the second factor and recovery codes as well, as when a phone was lost.

    Raises:
        NotFoundError: There is no such account.
        ConflictError: It is the actor's own.
        ForbiddenError: Its role may do what the actor may not, or the actor is a program.
    """
    account = locked(session, name)
    _require_not_oneself(account, actor, "You cannot reset your own password.")  # it would do without the old one
    _require_power_over(account, actor)
    actor.require_person()
    account.password, account.password_changed_at = password.phc, now
    account.temporary_until = password.temporary_until
    account.approver_since = _approver_since(Role(account.role), now)
    if second_factor:
        account.totp_sealed = account.totp_pending = None
        store.replace_recovery_codes(session, name, ())
    session.add(account)
    store.forget_failures(session, lockout_key)
    sessions.end_all(session, name, cause=cause, now=now)
    _note(session, Action.PASSWORD_RESET, name, detail={"second_factor": second_factor}, cause=cause, now=now)
    return account


def end_sessions(session: Session, name: str, *, actor: Actor, cause: Cause, now: datetime) -> int:
    """End every session of a person and return how many there were.

    Raises:
        NotFoundError: There is no such account.
        ForbiddenError: Its role may do what the actor may not.
    """
    _require_power_over(locked(session, name), actor)
    return sessions.end_all(session, name, cause=cause, now=now)


def _approver_since(role: Role, now: datetime) -> datetime | None:
    """Return the moment from which the waiting period of an approver counts; None for other roles."""
    return now if Permission.APPROVE_BULK in GRANTED[role] else None


def _differences(account: Account, wanted: Change) -> dict[str, dict[str, str]]:
    found = {"role": wanted.role, "display_name": wanted.display_name, "language": wanted.language}
    return {
        member: {"before": getattr(account, member), "after": str(value)}
        for member, value in found.items()
        if value is not None and getattr(account, member) != str(value)
    }


def _require_not_oneself(account: Account, actor: Actor, sentence: str) -> None:
    if account.name == actor.account:
        raise ConflictError(sentence, action="Ask another operator.")


def _require_power_over(account: Account, actor: Actor) -> None:
    actor.require_all(GRANTED[Role(account.role)], f"The account {account.name}")


def _require_another_operator(session: Session, account: Account) -> None:
    """Refuse to take the last one's power away.

    Raises:
        ConflictError: It is the last enabled operator.
    """
    if account.role != Role.OPERATOR or account.disabled_at is not None:
        return
    if set(store.enabled_names_for_update(session, str(Role.OPERATOR))) <= {account.name}:
        raise ConflictError("This is the last operator.", action="Make another account an operator first.")


def _unknown(name: str) -> NotFoundError:
    return NotFoundError(f"There is no account {name}." if is_name(name) else "There is no account of this name.")


def _note(
    session: Session, action: Action, name: str, detail: Mapping[str, object], cause: Cause, now: datetime
) -> None:
    audit.record(session, action, subject=subject_of(name), cause=cause, detail=detail, now=now)
