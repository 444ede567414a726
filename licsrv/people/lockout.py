"""Counting failures to sign in, and making the next try wait.

A try is counted before its password is looked at, under the row's lock: of a hundred tries at once only the free ones
get that far. One that succeeds takes its count back.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import TooManyRequestsError
from licsrv.people import credentials, lockout_rules, store
from licsrv.people.lockout_rules import ACCOUNT, ADDRESS, Failures, Limit
from licsrv.people.tables import SignInFailures
from licsrv.platform import addresses


@dataclass(frozen=True)
class Keys:
    """Under which a try counts: the name as typed, and the address, both hashed."""

    account: str
    address: str

    def limits(self) -> tuple[tuple[str, Limit], ...]:
        """Return each key with its limit."""
        return ((self.account, ACCOUNT), (self.address, ADDRESS))


def keys_of(name: str, address: str, *, key: bytes) -> Keys:
    """Return the keys of a try."""
    caller = addresses.caller_of(address)
    return Keys(account_key(name, key=key), credentials.keyed_digest(f"address:{caller}", key=key))


def account_key(name: str, *, key: bytes) -> str:
    """Return the key under which an account's failures count."""
    return credentials.keyed_digest(f"account:{name}", key=key)


def count_try(session: Session, keys: Keys, *, now: datetime) -> datetime | None:
    """Count a try, or return until when nothing may be tried (then nothing is counted)."""
    rows = store.failures_for_update(session, [key for key, _ in keys.limits()], now=now)
    waits = [lockout_rules.waits_until(limit, _of(rows[key]), now=now) for key, limit in keys.limits()]
    if until := max((wait for wait in waits if wait is not None), default=None):
        return until
    for key, limit in keys.limits():
        row = rows[key]
        row.failures = lockout_rules.remembered(limit, _of(row), now=now) + 1
        row.last_at = now
        session.add(row)
    return None


def forgive(session: Session, keys: Keys, *, now: datetime) -> None:
    """Take a try back that succeeded; the account's failures are over, the address's other ones are not."""
    rows = store.failures_for_update(session, [key for key, _ in keys.limits()], now=now)
    rows[keys.account].failures = 0
    rows[keys.address].failures = max(rows[keys.address].failures - 1, 0)
    session.add_all(rows.values())


def note_lock(session: Session, keys: Keys, *, subject: str, cause: Cause, now: datetime) -> None:
    """Write into the audit that a failure made the next try wait, and for how long."""
    rows = store.failures_for_update(session, [key for key, _ in keys.limits()], now=now)
    for (key, limit), word in zip(keys.limits(), ("account", "address"), strict=True):
        until = lockout_rules.waits_until(limit, _of(rows[key]), now=now)
        if until is not None:
            detail = {"of": word, "failures": rows[key].failures, "until": until.isoformat()}
            audit.record(session, Action.SIGN_IN_LOCKED, subject=subject, cause=cause, detail=detail, now=now)


def must_wait(until: datetime, *, now: datetime) -> TooManyRequestsError:
    """Return the refusal of a try that has to wait; the same whether the account exists or not."""
    return TooManyRequestsError(
        "Signing in failed too often.",
        action="Wait, and try again; an operator can lift this by `licsrv accounts enable`.",
        retry_after=max(math.ceil((until - now).total_seconds()), 1),
    )


def _of(row: SignInFailures) -> Failures:
    return Failures(row.failures, row.last_at)
