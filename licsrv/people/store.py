"""The desk's SQL: accounts, sessions, tokens, failures, links. It knows no rules."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlmodel import Session, SQLModel, col

from licsrv.people.tables import Account, ApiToken, RecoveryCode, SetupLink, SignInFailures, StaffSession, StoredAnswer
from licsrv.platform.db import add_missing, delete_slice
from licsrv.platform.paging import Window

# accounts


def account(session: Session, name: str) -> Account | None:
    """Return an account."""
    return session.get(Account, name)


def account_for_update(session: Session, name: str) -> Account | None:
    """Return an account as it is now, locked until the end of the transaction."""
    query = select(Account).where(col(Account.name) == name).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def has_accounts(session: Session) -> bool:
    """Whether there is any account."""
    return session.scalars(select(col(Account.name)).limit(1)).first() is not None


def accounts(session: Session, window: Window) -> Sequence[Account]:
    """Return accounts by name."""
    query = select(Account).order_by(col(Account.name)).limit(window.fetched)
    if window.after is not None:
        query = query.where(col(Account.name) > window.after[0])
    return session.scalars(query).all()


def enabled_names_for_update(session: Session, role: str) -> Sequence[str]:
    """Return the names of the enabled accounts of a role, locked: two that leave at once must not both be let go."""
    query = (
        select(col(Account.name))
        .where(col(Account.role) == role, col(Account.disabled_at).is_(None))
        .order_by(col(Account.name))
        .with_for_update()
    )
    return session.scalars(query).all()


# recovery codes


def replace_recovery_codes(session: Session, account: str, digests: Iterable[str]) -> None:
    """Let these be the only recovery codes of an account."""
    session.execute(delete(RecoveryCode).where(col(RecoveryCode.account) == account))
    add_missing(session, RecoveryCode, "digest", rows=[{"account": account, "digest": digest} for digest in digests])


def use_recovery_code(session: Session, account: str, digest: str) -> bool:
    """Take a recovery code away; whether it was there."""
    statement = delete(RecoveryCode).where(col(RecoveryCode.account) == account, col(RecoveryCode.digest) == digest)
    return session.execute(statement.returning(col(RecoveryCode.digest))).first() is not None


def recovery_codes_left(session: Session, account: str) -> int:
    """Return how many recovery codes an account still has."""
    query = select(func.count()).select_from(RecoveryCode).where(col(RecoveryCode.account) == account)
    return session.scalar(query) or 0


def every(session: Session, *models: type[SQLModel]) -> list[SQLModel]:
    """Return every row of some of these tables; there are few."""
    return [row for model in models for row in session.scalars(select(model))]


def every_for_update(session: Session, *models: type[SQLModel]) -> list[SQLModel]:
    """Return every row of some of these tables as it is now, locked until the end of the transaction."""
    queries = (select(model).with_for_update().execution_options(populate_existing=True) for model in models)
    return [row for query in queries for row in session.scalars(query)]


# sessions


def session_by_digest(session: Session, digest: str) -> tuple[StaffSession, Account] | None:
    """Return a session with its account."""
    query = (
        select(StaffSession, Account)
        .join(Account, col(Account.name) == col(StaffSession.account))
        .where(col(StaffSession.digest) == digest)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def sessions_of(session: Session, account: str, *, seen_after: datetime, now: datetime) -> Sequence[StaffSession]:
    """Return the sessions of an account that are still good, the one used last first."""
    query = (
        select(StaffSession)
        .where(
            col(StaffSession.account) == account,
            col(StaffSession.expires_at) > now,
            col(StaffSession.seen_at) > seen_after,
        )
        .order_by(col(StaffSession.seen_at).desc(), col(StaffSession.id))
    )
    return session.scalars(query).all()


def touch_session(session: Session, session_id: str, *, now: datetime) -> None:
    """Note that a session was used."""
    statement = update(StaffSession).where(col(StaffSession.id) == session_id, col(StaffSession.seen_at) < now)
    session.execute(statement.values(seen_at=now).execution_options(synchronize_session=False))


def session_for_update(session: Session, session_id: str) -> StaffSession | None:
    """Return a session as it is now, locked until the end of the transaction; None where it has ended meanwhile.

    A sealed row that is about to change is read in this way alone: its seal covers the whole row, so one made from a
    copy that another transaction has sealed again since would fit neither, and a row that is gone cannot be updated.
    """
    query = select(StaffSession).where(col(StaffSession.id) == session_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def prove_session(session: Session, session_id: str, *, now: datetime) -> None:
    """Note that the person of a session proved who they are; a session that has ended stays so."""
    row = session_for_update(session, session_id)
    if row is not None:
        row.proved_at = now
        session.add(row)
        session.flush()


def end_sessions(session: Session, account: str, *, only: str | None = None, but: str | None = None) -> list[str]:
    """End the sessions of an account (one of them, or all but one) and return their ids."""
    statement = delete(StaffSession).where(col(StaffSession.account) == account)
    if only is not None:
        statement = statement.where(col(StaffSession.id) == only)
    if but is not None:
        statement = statement.where(col(StaffSession.id) != but)
    statement = statement.execution_options(synchronize_session=False)
    return list(session.execute(statement.returning(col(StaffSession.id))).scalars())


def end_session_of_digest(session: Session, digest: str) -> None:
    """End the session with this token, of any account."""
    session.execute(
        delete(StaffSession).where(col(StaffSession.digest) == digest).execution_options(synchronize_session=False)
    )


# tokens


def token_by_digest(session: Session, digest: str) -> tuple[ApiToken, Account | None] | None:
    """Return a token with the account that owns it, where one does."""
    query = (
        select(ApiToken, Account)
        .outerjoin(Account, col(Account.name) == col(ApiToken.owner))
        .where(col(ApiToken.digest) == digest)
    )
    row = session.execute(query).one_or_none()
    return None if row is None else (row[0], row[1])


def token_for_update(session: Session, token_id: str) -> ApiToken | None:
    """Return a token, locked until the end of the transaction."""
    query = select(ApiToken).where(col(ApiToken.id) == token_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def tokens(session: Session, window: Window) -> Sequence[ApiToken]:
    """Return tokens, newest first."""
    query = select(ApiToken).order_by(col(ApiToken.id).desc()).limit(window.fetched)
    if window.after is not None:
        query = query.where(col(ApiToken.id) < window.after[0])
    return session.scalars(query).all()


def touch_token(session: Session, token_id: str, *, now: datetime) -> None:
    """Note that a token was used."""
    statement = update(ApiToken).where(col(ApiToken.id) == token_id)
    session.execute(statement.values(last_used_at=now).execution_options(synchronize_session=False))


# failures


def failures_for_update(session: Session, keys: Iterable[str], *, now: datetime) -> dict[str, SignInFailures]:
    """Return how often signing in failed under each key, locked; rows that were not there are made.

    The keys are taken in their order, so that two that share some do not wait for each other in a ring.
    """
    ordered = sorted(set(keys))
    for key in ordered:
        add_missing(session, SignInFailures, "key", rows=[{"key": key, "failures": 0, "last_at": now}])
    query = (
        select(SignInFailures)
        .where(col(SignInFailures.key).in_(ordered))
        .order_by(col(SignInFailures.key))
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return {row.key: row for row in session.scalars(query)}


def forget_failures(session: Session, prefix: str) -> None:
    """Forget every failure under keys that begin with some hexadecimal digits."""
    of_them = (col(SignInFailures.key) >= prefix, col(SignInFailures.key) < prefix + "g")
    session.execute(delete(SignInFailures).where(*of_them).execution_options(synchronize_session=False))


# links


def add_setup_link(session: Session, digest: str, *, expires_at: datetime, now: datetime) -> None:
    """Keep a link, and throw away those that have run out."""
    session.execute(delete(SetupLink).where(col(SetupLink.expires_at) <= now))
    session.add(SetupLink(digest=digest, expires_at=expires_at))


def take_setup_links(session: Session) -> dict[str, datetime]:
    """Take every link away and return when each would have run out; of two that do so at once one gets none."""
    rows = session.execute(delete(SetupLink).returning(col(SetupLink.digest), col(SetupLink.expires_at)))
    return {digest: expires_at for digest, expires_at in rows}  # noqa: C416 - rows, not pairs


# answers


def prune(
    session: Session, *, answers_before: datetime, seen_before: datetime, failed_before: datetime, now: datetime
) -> int:
    """Delete some answers, sessions, failures and links that have had their time.

    Returns:
        How many were deleted; :data:`licsrv.platform.db.SLICE` or more when there may be others.
    """
    dead = col(StaffSession.expires_at) <= now
    return (
        delete_slice(session, StoredAnswer, col(StoredAnswer.at) < answers_before)
        + delete_slice(session, StaffSession, dead | (col(StaffSession.seen_at) <= seen_before))
        + delete_slice(session, SignInFailures, col(SignInFailures.last_at) < failed_before)
        + delete_slice(session, SetupLink, col(SetupLink.expires_at) <= now)
    )
