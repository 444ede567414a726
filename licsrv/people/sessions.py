"""Sessions of signed-in browsers: opened, recognised, listed, ended.

A session's token is 256 random bits made here and nowhere else (a browser's own proposal is never taken over), and
only its digest is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import NotFoundError
from licsrv.people import credentials, row_seals, store
from licsrv.people.access import AccessSettings
from licsrv.people.actors import Actor, Step, Via
from licsrv.people.roles import OF_EVERY_PERSON, Role, permissions_of
from licsrv.people.tables import Account, StaffSession
from licsrv.platform.ids import new_id

TOUCH_EVERY = timedelta(minutes=1)
_LONGEST_CLIENT = 200


@dataclass(frozen=True)
class Browser:
    """Where a session is used from, as far as it says so."""

    address: str = ""
    client: str = ""


@dataclass(frozen=True)
class Opened:
    """A session that was just opened; ``token`` is for its cookie and is not kept."""

    id: str
    token: str
    account: str
    expires_at: datetime


@dataclass(frozen=True)
class Known:
    """A session that was recognised, with what its account is now."""

    id: str
    account: str
    display_name: str
    role: Role
    language: str
    steps_due: tuple[Step, ...]
    seen_at: datetime
    expires_at: datetime
    has_factor: bool
    proved_at: datetime | None
    approver_since: datetime | None

    def actor(self) -> Actor:
        """Return who acts; until their account is finished they may do nothing but finish it."""
        permissions = OF_EVERY_PERSON if self.steps_due else permissions_of(self.role)
        return Actor(
            f"staff:{self.account}",
            permissions,
            Via.SESSION,
            account=self.account,
            credential=self.id,
            steps_due=self.steps_due,
            has_factor=self.has_factor,
            proved_at=self.proved_at,
            approver_since=self.approver_since,
        )


def steps_due(account: Account, *, totp_required: bool) -> tuple[Step, ...]:
    """Return what a person has to do before anything else."""
    steps = (Step.PASSWORD,) if account.temporary_until is not None else ()
    return (*steps, Step.SECOND_FACTOR) if totp_required and account.totp_sealed is None else steps


def open_session(
    session: Session, account: Account, browser: Browser, *, settings: AccessSettings, now: datetime
) -> Opened:
    """Open a session; the caller has made sure who it is."""
    token = credentials.new_secret()
    row = StaffSession(
        id=new_id(now),
        digest=credentials.digest_of(token),
        account=account.name,
        opened_at=now,
        seen_at=now,
        expires_at=now + settings.longest,
        proved_at=now,
        address=browser.address[:64],
        client=browser.client[:_LONGEST_CLIENT],
    )
    session.add(row)
    session.flush()
    return Opened(row.id, token, account.name, expires_at=row.expires_at)


def recognise(session: Session, token: str, *, settings: AccessSettings, now: datetime) -> Known | None:
    """Return the session of a token; None when there is none, it has ended, or its account is disabled.

    Neither counts where other means wrote it.
    """
    found = store.session_by_digest(session, credentials.digest_of(token))
    if found is None:
        return None
    row, account = found
    is_over = row.expires_at <= now or now - row.seen_at >= settings.idle
    if is_over or account.disabled_at is not None:
        return None
    if not (row_seals.is_genuine(session, row) and row_seals.is_genuine(session, account)):
        return None
    due = steps_due(account, totp_required=settings.totp_required)
    return Known(
        row.id,
        account.name,
        account.display_name,
        role=Role(account.role),
        language=account.language,
        steps_due=due,
        seen_at=row.seen_at,
        expires_at=row.expires_at,
        has_factor=account.totp_sealed is not None,
        proved_at=row.proved_at,
        approver_since=account.approver_since,
    )


def renew(
    session: Session, known_id: str, account: Account, browser: Browser, *, settings: AccessSettings, now: datetime
) -> Opened:
    """Give a session a new token because its powers changed; the old one is invalid from now on."""
    before = store.session_for_update(session, known_id)
    opened = open_session(session, account, browser, settings=settings, now=now)
    if before is None:
        return opened
    row = session.get_one(StaffSession, opened.id)
    row.opened_at, row.expires_at, row.proved_at = before.opened_at, before.expires_at, before.proved_at
    session.add(row)
    session.delete(before)
    session.flush()
    return Opened(opened.id, opened.token, opened.account, expires_at=before.expires_at)


def end(session: Session, account: str, session_id: str, *, cause: Cause, now: datetime) -> None:
    """End one session of an account.

    Raises:
        NotFoundError: The account has no such session.
    """
    if not store.end_sessions(session, account, only=session_id):
        raise NotFoundError("There is no such session.")
    detail = {"session": session_id}
    audit.record(session, Action.SIGNED_OUT, subject=f"account:{account}", cause=cause, detail=detail, now=now)


def end_all(session: Session, account: str, *, cause: Cause, now: datetime, but: str | None = None) -> int:
    """End every session of an account, or every other one, and return how many there were."""
    ended = store.end_sessions(session, account, but=but)
    if ended:
        detail = {"sessions": len(ended)}
        audit.record(session, Action.SESSIONS_ENDED, subject=f"account:{account}", cause=cause, detail=detail, now=now)
    return len(ended)
