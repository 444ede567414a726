"""API tokens: made for programs, shown once, limited in what they may do and for how long, revoked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import InvalidRequestError, NotFoundError
from licsrv.people import credentials, row_seals, store
from licsrv.people.actors import Actor, Via
from licsrv.people.roles import GRANTABLE, OF_EVERY_CALLER, Permission, Permissions, Role, permissions_of
from licsrv.people.tables import Account, ApiToken
from licsrv.platform.ids import is_id, new_id

LONGEST_SPAN = timedelta(days=366)
TOUCH_EVERY = timedelta(minutes=5)
_NAME_TAIL = 6


@dataclass(frozen=True)
class NewToken:
    """A token as it is asked for."""

    name: str
    scopes: Permissions
    expires_at: datetime


@dataclass(frozen=True)
class Made:
    """A token that was just made; ``secret`` is shown once and is not kept."""

    row: ApiToken
    secret: str


@dataclass(frozen=True)
class Bearer:
    """A token that was recognised."""

    id: str
    actor: Actor
    expires_at: datetime
    last_used_at: datetime | None


def make(session: Session, new: NewToken, *, actor: Actor, cause: Cause, now: datetime) -> Made:
    """Make a token. It belongs to the account that makes it, and never holds more than that account does.

    Raises:
        InvalidRequestError: Its scopes are none, or not for tokens; it ends in the past or in more than a year.
        ForbiddenError: The actor is a token, which a revocation would not reach, or holds less than it would.
    """
    actor.require_person()
    if not new.scopes or not new.scopes <= GRANTABLE:
        raise InvalidRequestError("Name at least one scope, and only such as tokens can have.")
    if not now < new.expires_at <= now + LONGEST_SPAN:
        raise InvalidRequestError(f"A token ends in the future, within {LONGEST_SPAN.days} days.")
    actor.require_all(new.scopes, "This token")
    secret = credentials.new_api_token()
    row = ApiToken(
        id=new_id(now),
        digest=credentials.digest_of(secret),
        name=new.name,
        scopes=sorted(new.scopes),
        owner=actor.account or None,
        created_at=now,
        created_by=cause.actor,
        expires_at=new.expires_at,
    )
    session.add(row)
    session.flush()
    detail = {"name": row.name, "scopes": row.scopes, "expires_at": row.expires_at.isoformat()}
    audit.record(session, Action.TOKEN_MADE, subject=subject_of(row), cause=cause, detail=detail, now=now)
    return Made(row, secret)


def revoke(session: Session, token_id: str, *, cause: Cause, now: datetime) -> ApiToken:
    """Make a token invalid from now on; again changes nothing.

    Raises:
        NotFoundError: There is no such token.
    """
    row = store.token_for_update(session, token_id) if is_id(token_id) else None
    if row is None:
        raise NotFoundError("There is no such token.")
    if row.revoked_at is None:
        row.revoked_at = now
        session.add(row)
        detail = {"name": row.name}
        audit.record(session, Action.TOKEN_REVOKED, subject=subject_of(row), cause=cause, detail=detail, now=now)
    return row


def recognise(session: Session, secret: str, *, now: datetime) -> Bearer | None:
    """Return the actor of a token; None when it is unknown or has ended, or its owner is disabled.

    Neither counts where other means wrote it.
    """
    if not credentials.is_api_token(secret):
        return None
    found = store.token_by_digest(session, credentials.digest_of(secret))
    if found is None:
        return None
    row, owner = found
    if row.revoked_at is not None or row.expires_at <= now or (owner is not None and owner.disabled_at is not None):
        return None
    if not all(row_seals.is_genuine(session, one) for one in found if one is not None):
        return None
    return Bearer(row.id, _actor(row, owner), row.expires_at, last_used_at=row.last_used_at)


def subject_of(row: ApiToken) -> str:
    """Return how the audit names a token that something was done to."""
    return f"token:{row.id}"


def _actor(row: ApiToken, owner: Account | None) -> Actor:
    scopes = frozenset(Permission(scope) for scope in row.scopes if scope in set(GRANTABLE))
    if owner is not None:  # who loses a role takes it from their tokens too
        scopes &= permissions_of(Role(owner.role))
    name = f"token:{row.name}#{row.id[-_NAME_TAIL:]}"
    account, since = (owner.name, owner.approver_since) if owner is not None else ("", None)
    return Actor(
        name, scopes | OF_EVERY_CALLER, Via.TOKEN, account=account, credential=row.id, approver_since=since
    )  # fmt: skip
