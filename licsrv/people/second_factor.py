"""The second factor of an account: set up, checked, and replaced by recovery codes when the phone is lost.

Secrets are sealed under a key that is not in the database; recovery codes are kept as keyed hashes.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, InvalidRequestError
from licsrv.people import credentials, store, totp
from licsrv.people.accounts import subject_of
from licsrv.people.tables import Account
from licsrv.platform import sealing


@dataclass(frozen=True)
class FactorKeys:
    """The keys under which secrets are sealed and recovery codes hashed."""

    sealing: bytes
    recovery: bytes


@dataclass(frozen=True)
class Proposal:
    """A secret that waits for its first code, as people type it and as the app reads it."""

    secret: str
    address: str


def propose(session: Session, account: Account, secret: bytes, *, issuer: str, keys: FactorKeys) -> Proposal:
    """Keep a new secret until its first code proves that the app has it; what is in use stays in use until then."""
    sealed = sealing.seal(totp.text_of(secret), device_key=keys.sealing)
    account.totp_pending = sealed
    session.add(account)
    return Proposal(totp.text_of(secret), totp.address_of(secret, account=account.name, issuer=issuer))


def new_secret() -> bytes:
    """Return a new secret, 160 random bits."""
    return secrets.token_bytes(totp.SECRET_BYTES)


def confirm(
    session: Session, account: Account, code: str, *, keys: FactorKeys, cause: Cause, now: datetime
) -> list[str]:
    """Take the proposed secret into use if the code is one of its, and return new recovery codes.

    Raises:
        ConflictError: None is proposed.
        InvalidRequestError: The code is wrong.
    """
    if account.totp_pending is None:
        raise ConflictError("No second factor waits for its first code.", action="Ask for a new secret first.")
    step = totp.accepted_step(_secret(account.totp_pending, keys), code, last_step=0, now=now)
    if step is None:
        raise InvalidRequestError(
            "The code is wrong.", action="Is the phone's clock right? Enter the code that is shown now."
        )
    account.totp_sealed, account.totp_pending, account.totp_last_step = account.totp_pending, None, step
    session.add(account)
    audit.record(session, Action.SECOND_FACTOR_SET, subject=subject_of(account.name), cause=cause, now=now)
    return make_recovery_codes(session, account, keys=keys, cause=cause, now=now)


def make_recovery_codes(
    session: Session, account: Account, *, keys: FactorKeys, cause: Cause, now: datetime
) -> list[str]:
    """Make ten codes, each good once, and let those made before be worth nothing.

    Raises:
        ConflictError: There is no second factor that they could replace.
    """
    if account.totp_sealed is None:
        raise ConflictError("This account has no second factor.", action="Set one up first.")
    codes = credentials.new_recovery_codes()
    digests = [credentials.recovery_digest(code, account=account.name, key=keys.recovery) for code in codes]
    store.replace_recovery_codes(session, account.name, digests)
    audit.record(session, Action.RECOVERY_CODES_MADE, subject=subject_of(account.name), cause=cause, now=now)
    return codes


def is_proved(session: Session, account: Account, code: str, *, keys: FactorKeys, cause: Cause, now: datetime) -> bool:
    """Whether a code proves the second factor (none is needed where none is set up); it is used up by that.

    The account's row must be locked: of two that bring the same code at once, one gets in.
    """
    if account.totp_sealed is None:
        return True
    if totp.looks_like_code(code):
        secret = _secret(account.totp_sealed, keys)
        step = totp.accepted_step(secret, code, last_step=account.totp_last_step, now=now)
        if step is not None:
            account.totp_last_step = step
            session.add(account)
        return step is not None
    digest = credentials.recovery_digest(code, account=account.name, key=keys.recovery)
    if not store.use_recovery_code(session, account.name, digest):
        return False
    detail = {"left": store.recovery_codes_left(session, account.name)}
    subject = subject_of(account.name)
    audit.record(session, Action.RECOVERY_CODE_USED, subject=subject, cause=cause, detail=detail, now=now)
    return True


def _secret(sealed: str, keys: FactorKeys) -> bytes:
    return totp.secret_of(sealing.unseal(sealed, device_key=keys.sealing))
