"""What people do to their own account once they have proved its password. A session whose powers change is renewed."""

from __future__ import annotations

from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import InvalidRequestError
from licsrv.people import accounts, second_factor, sessions, store
from licsrv.people.access import AccessSettings
from licsrv.people.actors import Actor
from licsrv.people.second_factor import FactorKeys
from licsrv.people.sessions import Browser, Opened


def change_password(
    session: Session,
    actor: Actor,
    phc: str,
    *,
    is_same: bool,
    browser: Browser,
    settings: AccessSettings,
    cause: Cause,
    now: datetime,
) -> Opened:
    """Set one's own password, end every other session, and renew this one.

    Args:
        is_same: Whether it is the old one again, which a temporary one must not stay.

    Raises:
        InvalidRequestError: It is the old one.
    """
    if is_same:
        raise InvalidRequestError("The new password is the old one.")
    account = accounts.locked(session, actor.account)
    account.password, account.password_changed_at, account.temporary_until = phc, now, None
    session.add(account)
    subject = accounts.subject_of(account.name)
    audit.record(session, Action.PASSWORD_CHANGED, subject=subject, cause=cause, now=now)
    sessions.end_all(session, account.name, cause=cause, now=now, but=actor.credential)
    return sessions.renew(session, actor.credential, account, browser=browser, settings=settings, now=now)


def confirm_factor(
    session: Session,
    actor: Actor,
    code: str,
    *,
    keys: FactorKeys,
    browser: Browser,
    settings: AccessSettings,
    cause: Cause,
    now: datetime,
) -> tuple[list[str], Opened]:
    """Take the proposed second factor into use, end every other session, and renew this one.

    Raises:
        ConflictError: None is proposed.
        InvalidRequestError: The code is wrong.
    """
    account = accounts.locked(session, actor.account)
    codes = second_factor.confirm(session, account, code, keys=keys, cause=cause, now=now)
    sessions.end_all(session, account.name, cause=cause, now=now, but=actor.credential)
    opened = sessions.renew(session, actor.credential, account, browser=browser, settings=settings, now=now)
    store.prove_session(session, opened.id, now=now)
    return codes, opened
