"""Count failures to sign in, and make the next try wait.

A try is counted before its password is looked at, under the row's lock: of a hundred tries at once only the free ones
get that far. A try that succeeds takes its count back.

A name is locked for an address, never for everyone: otherwise a stranger could keep its owner out for good. A browser
in which the account has signed in before is known by a cookie (as OWASP's device cookies) and counts for itself, so
that failures of others behind the same address do not lock it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import TooManyRequestsError
from licsrv.people import credentials, lockout_rules, store
from licsrv.people.lockout_rules import ADDRESS, NAME, Failures, Limit
from licsrv.people.tables import SignInFailures
from licsrv.platform import addresses

KNOWN_FOR = timedelta(days=180)
_HALF = 32  # hex digits of an account and of where the try comes from, in one key


@dataclass(frozen=True)
class Counted:
    """One key under which a try counts.

    Args:
        of: ``name``, ``browser`` or ``address``, for the audit and the refusal.
    """

    key: str
    limit: Limit
    of: str


@dataclass(frozen=True)
class Keys:
    """Every key under which a try counts, hashed; the first is that of the account."""

    counted: tuple[Counted, ...]


def keys_of(name: str, address: str, *, known: str = "", key: bytes, now: datetime) -> Keys:
    """Return the keys of a try.

    Args:
        known: The cookie of a known browser; one that is not ours, has ended or is of another account is ignored.
    """
    if browser := known_browser_id(known, name, key=key, now=now):
        return Keys((Counted(_key(name, f"browser:{browser}", key=key), NAME, "browser"),))
    caller = f"address:{addresses.caller_of(address)}"
    return Keys(
        (
            Counted(_key(name, caller, key=key), NAME, "name"),
            Counted(credentials.keyed_digest(caller, key=key), ADDRESS, "address"),
        )
    )


def account_key(name: str, *, key: bytes) -> str:
    """Return what every key of an account begins with."""
    return credentials.keyed_digest(f"account:{name}", key=key)[:_HALF]


def _key(name: str, origin: str, *, key: bytes) -> str:
    return account_key(name, key=key) + credentials.keyed_digest(origin, key=key)[:_HALF]


def known_browser(name: str, *, key: bytes, now: datetime) -> str:
    """Return the cookie of a browser in which an account has just signed in: ``<id>.<end>.<mac>``."""
    told = f"{credentials.new_secret()[:22]}.{int((now + KNOWN_FOR).timestamp())}"
    return f"{told}.{_mac(told, name, key=key)}"


def known_browser_id(cookie: str, name: str, *, key: bytes, now: datetime) -> str | None:
    """Return the id in the cookie of a known browser; None where it is none of this account, or over."""
    told, _, mac = cookie.rpartition(".")
    browser, _, end = told.partition(".")
    if not credentials.is_same(mac, _mac(told, name, key=key)):
        return None
    return browser if int(end) > now.timestamp() else None


def _mac(told: str, name: str, *, key: bytes) -> str:
    return credentials.keyed_digest(f"known-browser:{name}:{told}", key=key)


def count_try(session: Session, keys: Keys, *, now: datetime) -> tuple[datetime, str] | None:
    """Count a try, or return until when nothing may be tried, and for which key (then nothing is counted)."""
    rows = _rows(session, keys, now=now)
    waits = [
        (until, one.of)
        for one in keys.counted
        if (until := lockout_rules.waits_until(one.limit, _of(rows[one.key]), now=now)) is not None
    ]
    if waits:
        return max(waits)
    for one in keys.counted:
        row = rows[one.key]
        row.failures = lockout_rules.remembered(one.limit, _of(row), now=now) + 1
        row.last_at = now
        session.add(row)
    return None


def forgive(session: Session, keys: Keys, *, now: datetime) -> None:
    """Take a try back that succeeded; the account's failures from there are over, the address's other ones are not."""
    rows = _rows(session, keys, now=now)
    for one in keys.counted:
        row = rows[one.key]
        row.failures = max(row.failures - 1, 0) if one.of == "address" else 0
        session.add(row)


def note_lock(session: Session, keys: Keys, *, subject: str, cause: Cause, now: datetime) -> None:
    """Write into the audit that a failure made the next try wait, and for how long."""
    rows = _rows(session, keys, now=now)
    for one in keys.counted:
        until = lockout_rules.waits_until(one.limit, _of(rows[one.key]), now=now)
        if until is not None:
            detail = {"of": one.of, "failures": rows[one.key].failures, "until": until.isoformat()}
            audit.record(session, Action.SIGN_IN_LOCKED, subject=subject, cause=cause, detail=detail, now=now)


def must_wait(until: datetime, of: str, *, now: datetime) -> TooManyRequestsError:
    """Return the refusal of a try that has to wait; the same whether the account exists or not."""
    is_address = of == "address"  # no operator can lift it
    return TooManyRequestsError(
        "Signing in failed too often from this address." if is_address else "Signing in failed too often.",
        action="Wait, and try again."
        if is_address
        else "Wait, and try again; an operator can lift this by `licsrv accounts enable`.",
        retry_after=max(math.ceil((until - now).total_seconds()), 1),
    )


def _rows(session: Session, keys: Keys, *, now: datetime) -> dict[str, SignInFailures]:
    return store.failures_for_update(session, [one.key for one in keys.counted], now=now)


def _of(row: SignInFailures) -> Failures:
    return Failures(row.failures, row.last_at)
