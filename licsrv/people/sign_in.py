"""Signing in: name, password and second factor become a session.

Numbered as the code is:

1. The try is counted, or refused because it has to wait (:mod:`licsrv.people.lockout`).
2. The password is compared, with a dummy hash where there is no such account: unknown names take as long.
3. In one transaction: the account as it is now, the second factor, the session, the audit. Whatever is wrong, the
   answer is one and the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ForbiddenError, UnauthenticatedError
from licsrv.people import accounts, credentials, lockout, passwords, row_seals, second_factor, sessions, store
from licsrv.people.access import Access
from licsrv.people.accounts import subject_of
from licsrv.people.actors import Actor
from licsrv.people.lockout import Keys
from licsrv.people.second_factor import FactorKeys
from licsrv.people.sessions import Browser, Opened
from licsrv.people.tables import Account

UNKNOWN_SUBJECT = "account:?"
LOCKOUT_USE = "sign-in"
_TOTP, _RECOVERY = "totp", "recovery"


@dataclass(frozen=True)
class Attempt:
    """The credentials of a sign-in.

    Args:
        name: As typed.
        code: Of the authenticator app, or a recovery code; empty where none is set up.
        replaced: The token of the session that the browser had before; it ends.
        known: The cookie of a browser in which the account may have signed in before.
    """

    name: str
    password: str
    code: str
    browser: Browser
    request_id: str = ""
    replaced: str = ""
    known: str = ""


@dataclass(frozen=True)
class Proof:
    """What a person proves again who they are by: a code, or the password where there is no second factor."""

    code: str = ""
    password: str = ""


def factor_keys(access: Access) -> FactorKeys:
    """Return the keys of the second factor."""
    return FactorKeys(access.key_for(_TOTP), access.key_for(_RECOVERY))


def lockout_key(access: Access, name: str) -> str:
    """Return the key under which the failures of an account count."""
    return lockout.account_key(accounts.normal_name(name), key=access.key_for(LOCKOUT_USE))


async def sign_in(access: Access, attempt: Attempt) -> Opened:
    """Open a session for a person who proves their identity.

    Raises:
        TooManyRequestsError: It failed too often, for this name or from this address.
        UnauthenticatedError: A credential is wrong; which one is not revealed.
        ServiceUnavailableError: Too many sign in at once.
    """
    with access.proving():
        return await _sign_in(access, attempt)


async def _sign_in(access: Access, attempt: Attempt) -> Opened:
    name = accounts.normal_name(attempt.name)
    keys = await count_try(access, name, attempt.browser, known=attempt.known)  # 1

    phc = await access.read(lambda session: _password_of(session, name))  # 2
    is_right = await access.is_password(attempt.password, phc)
    renewed = await access.hash_password(attempt.password) if phc and is_right and passwords.is_outdated(phc) else None

    now = access.clock.now()
    seen = phc if is_right else None

    def use_case(session: Session) -> Opened | None:  # 3
        return _finish(session, access, attempt, name=name, keys=keys, seen=seen, renewed=renewed, now=now)

    opened = await access.writer.run(use_case)
    if opened is None:
        raise UnauthenticatedError(
            "Name, password or code is wrong.", action="Try again; each code of the authenticator app counts once."
        )
    return opened


async def prove_password(access: Access, account: str, password: str, *, browser: Browser, cause: Cause) -> None:
    """Require the password of a session's account again, before the password or the factor changes.

    Raises:
        TooManyRequestsError: It failed too often.
        ForbiddenError: It is wrong.
    """
    with access.proving():
        keys = await count_try(access, account, browser)
        phc = await access.read(lambda session: _password_of(session, account))
        is_right = await access.is_password(password, phc)
    now = access.clock.now()

    def use_case(session: Session) -> None:
        if is_right:
            lockout.forgive(session, keys, now=now)
        else:
            _note_failure(session, account, "password", keys=keys, browser=browser, cause=cause, now=now)

    await access.writer.run(use_case)
    if not is_right:
        raise ForbiddenError("The password is wrong.")


async def step_up(access: Access, actor: Actor, proof: Proof, *, browser: Browser, cause: Cause) -> None:
    """Let a session count as proved from now on, by its second factor, or by the password where there is none.

    Raises:
        TooManyRequestsError: It failed too often.
        ForbiddenError: The proof is wrong.
    """
    with access.proving():
        keys = await count_try(access, actor.account, browser)
        phc = await access.read(lambda session: _password_of(session, actor.account))
        is_right = not actor.has_factor and await access.is_password(proof.password, phc)
    now = access.clock.now()

    def use_case(session: Session) -> bool:
        account = accounts.locked(session, actor.account)
        is_proved = is_right
        if account.totp_sealed is not None:
            of_factor = factor_keys(access)
            is_proved = second_factor.is_proved(session, account, proof.code, keys=of_factor, cause=cause, now=now)
        if is_proved:
            lockout.forgive(session, keys, now=now)
            store.prove_session(session, actor.credential, now=now)
        else:
            _note_failure(session, actor.account, "proof", keys=keys, browser=browser, cause=cause, now=now)
        return is_proved

    if not await access.writer.run(use_case):
        raise ForbiddenError(
            "The code is wrong." if actor.has_factor else "The password is wrong.",
            action="Try again; each code of the authenticator app counts once." if actor.has_factor else None,
        )


async def count_try(access: Access, name: str, browser: Browser, *, known: str = "") -> Keys:
    """Count a try to prove something; after a success undo it by :func:`licsrv.people.lockout.forgive`.

    Raises:
        TooManyRequestsError: It failed too often.
    """
    now = access.clock.now()
    keys = lockout.keys_of(name, browser.address, known=known, key=access.key_for(LOCKOUT_USE), now=now)
    waits = await access.writer.run(lambda session: lockout.count_try(session, keys, now=now))
    if waits is not None:
        raise lockout.must_wait(*waits, now=now)
    return keys


def known_browser(access: Access, account: str) -> str:
    """Return the cookie by which a browser is known in which an account has just signed in."""
    return lockout.known_browser(account, key=access.key_for(LOCKOUT_USE), now=access.clock.now())


def _password_of(session: Session, name: str) -> str | None:
    account = store.account(session, name) if accounts.is_name(name) else None
    return account.password if account else None


def _finish(
    session: Session,
    access: Access,
    attempt: Attempt,
    *,
    name: str,
    keys: Keys,
    seen: str | None,
    renewed: str | None,
    now: datetime,
) -> Opened | None:
    account = store.account_for_update(session, name) if accounts.is_name(name) else None
    cause = Cause(f"staff:{account.name}" if account else "anonymous", attempt.request_id)
    wrong = _objection(account, seen, now)
    if account is not None and not row_seals.is_genuine(session, account):
        wrong = "seal"
    if account is not None and wrong is None:
        keys_of_factor = factor_keys(access)
        if not second_factor.is_proved(session, account, attempt.code, keys=keys_of_factor, cause=cause, now=now):
            wrong = "code"
    if account is None or wrong is not None:
        stranger = Cause("anonymous", attempt.request_id)
        _note_failure(
            session,
            account.name if account else None,
            wrong,
            keys=keys,
            browser=attempt.browser,
            cause=stranger,
            now=now,
        )
        return None

    lockout.forgive(session, keys, now=now)
    account.last_sign_in_at = now
    account.password = renewed or account.password
    session.add(account)
    if attempt.replaced:
        store.end_session_of_digest(session, credentials.digest_of(attempt.replaced))
    opened = sessions.open_session(session, account, attempt.browser, settings=access.settings, now=now)
    detail = {"session": opened.id, "address": attempt.browser.address}
    audit.record(session, Action.SIGNED_IN, subject=subject_of(name), cause=cause, detail=detail, now=now)
    return opened


def _objection(account: Account | None, seen: str | None, now: datetime) -> str | None:
    """Return why an account is refused before its second factor; ``seen`` is the hash that the password fits."""
    if account is None:
        return "name"
    if seen is None or account.password != seen:  # changed since it was compared
        return "password"
    if account.disabled_at is not None:
        return "disabled"
    if account.temporary_until is not None and account.temporary_until <= now:
        return "temporary password ran out"
    return None


def _note_failure(
    session: Session,
    name: str | None,
    wrong: str | None,
    keys: Keys,
    browser: Browser,
    cause: Cause,
    now: datetime,
) -> None:
    """Write a failure into the audit; a name that is no account's is not written anywhere: it may be a password."""
    subject = subject_of(name) if name else UNKNOWN_SUBJECT
    detail = {"why": wrong or "name", "address": browser.address}
    audit.record(session, Action.SIGN_IN_FAILED, subject=subject, cause=cause, detail=detail, now=now)
    lockout.note_lock(session, keys, subject=subject, cause=cause, now=now)
