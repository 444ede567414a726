"""Accounts, sessions and tokens as API, console and command line show them."""

from __future__ import annotations

from datetime import datetime, timedelta

from pydantic import Field
from sqlmodel import Session

from licsrv.desk.fields import Listing
from licsrv.people import store
from licsrv.people.accounts import Language
from licsrv.people.roles import Role
from licsrv.people.tables import Account, ApiToken, StaffSession
from licsrv.platform import paging
from licsrv.platform.fields import Body
from licsrv.platform.paging import Window


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


class AccountList(Listing[AccountAnswer]):
    """A page of people, by name."""


class TemporaryPassword(Body):
    """A password to be passed on; it is shown this one time and has to be changed at the first sign-in."""

    account: AccountAnswer
    password: str
    valid_until: datetime


class SessionAnswer(Body):
    """A signed-in browser."""

    id: str
    opened_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    client: str
    is_this: bool = Field(description="whether it is the one that asks")


class SessionList(Body):
    """Every session of an account; there are few, so there is one page."""

    items: list[SessionAnswer]
    next: str | None = None


class Ended(Body):
    """How many sessions were ended."""

    ended: int


class TokenAnswer(Body):
    """A program's token, without its secret."""

    id: str
    name: str
    state: str = Field(description="good, expired or revoked")
    scopes: list[str]
    owner: str | None = Field(description="the account that it belongs to and cannot outgrow")
    created_at: datetime
    created_by: str
    expires_at: datetime
    last_used_at: datetime | None = Field(description="to five minutes")
    revoked_at: datetime | None


class TokenList(Listing[TokenAnswer]):
    """A page of tokens, newest first."""


class MadeToken(Body):
    """A new token; its secret is shown this one time."""

    secret: str = Field(description="to be sent as Authorization: Bearer lsat_…")
    token: TokenAnswer


def accounts(session: Session, window: Window) -> AccountList:
    """Return people by their names, those who are disabled included."""
    rows = store.accounts(session, window)
    return AccountList.of(paging.page_of(rows, window, keys=lambda row: (row.name,), item=account_shown))


def account_shown(row: Account) -> AccountAnswer:
    """Return a person."""
    return AccountAnswer(
        name=row.name, display_name=row.display_name, role=Role(row.role), language=Language(row.language),
        has_second_factor=row.totp_sealed is not None, has_temporary_password=row.temporary_until is not None,
        created_at=row.created_at, created_by=row.created_by, last_sign_in_at=row.last_sign_in_at,
        disabled_at=row.disabled_at,
    )  # fmt: skip


def handed_out(row: Account, password: str) -> TemporaryPassword:
    """Return a person with the temporary password that was just given to them."""
    valid_until = row.temporary_until or row.password_changed_at
    return TemporaryPassword(account=account_shown(row), password=password, valid_until=valid_until)


def sessions(session: Session, account: str, *, idle: timedelta, own: str = "", now: datetime) -> SessionList:
    """Return the sessions of an account that are still good.

    Args:
        idle: A session that was not used for so long has ended.
        own: The id of the session that asks, where one does.
    """
    rows = store.sessions_of(session, account, seen_after=now - idle, now=now)
    return SessionList(items=[_session_shown(row, own) for row in rows])


def _session_shown(row: StaffSession, own: str) -> SessionAnswer:
    return SessionAnswer(
        id=row.id, opened_at=row.opened_at, seen_at=row.seen_at, expires_at=row.expires_at, address=row.address,
        client=row.client, is_this=row.id == own,
    )  # fmt: skip


def tokens(session: Session, window: Window, *, now: datetime) -> TokenList:
    """Return tokens, newest first, revoked and expired ones included."""
    rows = store.tokens(session, window)
    return TokenList.of(
        paging.page_of(rows, window, keys=lambda row: (row.id,), item=lambda row: token_shown(row, now))
    )


def token_shown(row: ApiToken, now: datetime) -> TokenAnswer:
    """Return a token without its secret."""
    state = "revoked" if row.revoked_at else "expired" if row.expires_at <= now else "good"
    return TokenAnswer(
        id=row.id, name=row.name, state=state, scopes=list(row.scopes), owner=row.owner, created_at=row.created_at,
        created_by=row.created_by, expires_at=row.expires_at, last_used_at=row.last_used_at, revoked_at=row.revoked_at,
    )  # fmt: skip
