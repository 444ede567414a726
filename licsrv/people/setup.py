"""The first start: a link that creates the first account, an operator. It is useless once an account exists.

What is kept of a link is sealed: a link that was only put into the database opens nothing.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from urllib.parse import urlencode

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, UnauthenticatedError
from licsrv.people import accounts, credentials, store
from licsrv.people.accounts import NewAccount, Password
from licsrv.people.actors import at_the_terminal
from licsrv.people.tables import Account
from licsrv.platform.db import seals_of

LINK_SPAN = timedelta(hours=24)
PATH = "/admin/setup"
_SUBJECT = "setup"


def make_link(session: Session, base_url: str, *, cause: Cause, now: datetime) -> str | None:
    """Return a link that makes the first account within a day; None where there is one already.

    Every start makes its own, as replicas start together; all of them die with the first use of one.
    """
    if store.has_accounts(session):
        return None
    token = credentials.new_secret()
    expires_at = now + LINK_SPAN
    store.add_setup_link(session, _mark_of(session, token, expires_at), expires_at=expires_at, now=now)
    audit.record(session, Action.SETUP_LINK_MADE, subject=_SUBJECT, cause=cause, now=now)
    return f"{base_url.rstrip('/')}{PATH}?{urlencode({'token': token})}"


def redeem(
    session: Session, token: str, new: NewAccount, password: Password, *, request_id: str, now: datetime
) -> Account:
    """Make the first account and let every link die.

    Raises:
        ConflictError: An account already exists.
        UnauthenticatedError: The link is none of ours, was used, or has run out.
    """
    links = store.take_setup_links(session)
    if not any(end > now and _is_mark_of(session, mark, token, expires_at=end) for mark, end in links.items()):
        raise UnauthenticatedError(
            "This set-up link is no longer valid.",
            action="Run `licsrv accounts link`: it prints a new one while there is no account.",
        )
    if store.has_accounts(session):
        raise ConflictError("An account already exists.", action="Sign in.")
    by_link = at_the_terminal("setup link")
    return accounts.add(session, new, password, actor=by_link, cause=by_link.cause(request_id), now=now)


def _mark_of(session: Session, token: str, expires_at: datetime) -> str:
    seals, digest = seals_of(session), credentials.digest_of(token)
    return seals.make(_SUBJECT, (digest, expires_at)) if seals is not None else digest


def _is_mark_of(session: Session, mark: str, token: str, expires_at: datetime) -> bool:
    seals, digest = seals_of(session), credentials.digest_of(token)
    return seals.believes(mark, _SUBJECT, (digest, expires_at)) if seals is not None else mark == digest
