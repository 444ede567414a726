"""The gate before the open API: no more than five authentication failures in a row, over all replicas.

The gateway locks a key pair for five minutes after more than five consecutive failures (protocol §3.2), and then
nothing works any more. So calls under way are counted in the database before they are made, the first failure pauses
everything for a while, and after each pause a single call tries the way.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import MarketplaceAuthenticationError
from licsrv.marketplace import store
from licsrv.marketplace.tables import CallUnderWay
from licsrv.platform.ids import new_id

MOST_FAILURES = 5
LOCK_TIME = timedelta(minutes=6)  # the documented five, and one because clocks differ
_PAUSES = (timedelta(seconds=10), timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2), LOCK_TIME)
_MOMENT = timedelta(milliseconds=250)
_LONGEST_CALL = timedelta(minutes=10)
_CAUSE = Cause("marketplace")


@dataclass(frozen=True)
class Entered:
    """The call may be made; :func:`leave` has to follow its end."""

    call_id: str


@dataclass(frozen=True)
class Closed:
    """The call may not be made before ``until``. ``is_paused`` is False when only too many are under way."""

    until: datetime
    is_paused: bool
    reason: str


def room(failures: int, most: int = MOST_FAILURES) -> int:
    """Return how many calls may be under way: after a failure one is enough.

    Five together can fail at once. ``most`` is more while the key pair is proven (docs/adr/0016).
    """
    return 1 if failures else most


def pause(failures: int, *, locked: bool) -> timedelta:
    """Return how long everything waits after so many failures in a row (at least 1)."""
    return LOCK_TIME if locked else _PAUSES[min(failures, len(_PAUSES)) - 1]


def enter(
    session: Session, key_pair: str, *, span: timedelta, now: datetime, most: int = MOST_FAILURES
) -> Entered | Closed:
    """Ask to make a call that takes at most ``span``.

    Deadlines further ahead than any pause or call are ignored: a wrong clock wrote them.
    """
    gate = store.gate_for_update(session, key_pair)
    if gate.paused_until is not None and now < gate.paused_until <= now + 2 * LOCK_TIME:
        return Closed(gate.paused_until, True, gate.reason)
    if store.calls_under_way(session, key_pair, now=now, latest=now + _LONGEST_CALL) >= room(gate.failures, most):
        return Closed(now + _MOMENT, False, "as many calls as are safe are under way")

    call = CallUnderWay(id=new_id(now), key_pair=key_pair, ends_at=now + span)
    session.add(call)
    return Entered(call.id)


def leave(session: Session, key_pair: str, entered: Entered, error: BaseException | None, *, now: datetime) -> None:
    """Record how a call ended; only an authentication failure closes the gate, any other answer opens it.

    A call that got no answer says nothing about the key pair and leaves the count as it is.
    """
    store.end_call(session, entered.call_id)
    gate = store.gate_for_update(session, key_pair)
    if isinstance(error, MarketplaceAuthenticationError):
        gate.failures = max(gate.failures + 1, MOST_FAILURES if error.locked else 1)
        gate.paused_until = now + pause(gate.failures, locked=error.locked)
        gate.reason = error.message[:500]
        session.add(gate)
        detail = {"failures": gate.failures, "until": gate.paused_until.isoformat(), "why": gate.reason}
        audit.record(session, Action.MARKETPLACE_PAUSED, subject=key_pair, cause=_CAUSE, detail=detail, now=now)
    elif gate.failures and _proves_key_pair(error):
        gate.failures, gate.paused_until, gate.reason = 0, None, ""
        session.add(gate)
        audit.record(session, Action.MARKETPLACE_RESUMED, subject=key_pair, cause=_CAUSE, now=now)


def _proves_key_pair(error: BaseException | None) -> bool:
    """Whether the gateway let the call through: it succeeded, or the API behind it answered with a code of its own."""
    return error is None or bool(getattr(error, "error_code", ""))
