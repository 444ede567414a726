"""What the program may do at a moment, from what has been signed and when it was last heard.

Pure: license, lease and times in, a ``Verdict`` out. The caller has verified signatures, device and nonce already.

First match wins:

1. No license -> DENIED (the caller says why: NO_LICENSE, DEVICE_MISMATCH, ...).
2. The clock is more than a day behind the highest time seen -> DENIED, CLOCK_SET_BACK. (When the server has just
   confirmed the time, ``now`` is the server's, so this cannot happen.) Where nothing ends, a clock that is behind gains
   nothing, so this rule does not apply. ``clock_memory`` says which moments count as seen.
3. The newest lease does not say ACTIVE -> DENIED with its status and its reason. A refusal does not lapse with the
   lease: only a newer lease lifts it. Then the revocation list: a license that it names -> DENIED, REVOKED, unless the
   license is younger than the list. A lease does not lift it; a newer list or license does.
4. The license has not begun, or has ended. A lease that is younger than the license may move the end: to an earlier
   moment, or to a later one within the first grace. Beyond that only a new license counts, because a stolen lease key
   must not be worth more than one grace.
5. The lease has ended; or there was none yet, and the first grace is over -> DENIED, LEASE_ENDED. When it ended while
   the computer slept, the program may work for some minutes more, until the server was asked.
6. The license is floating, and there is no seat that has not ended -> DENIED, NO_SEAT.
7. The check-in is overdue -> ALLOWED_OFFLINE, until the lease or the seat ends.
8. Otherwise ALLOWED.

A license string that was just handed out works without a lease: ALLOWED for a day, ALLOWED_OFFLINE until the first
grace is over (counted from when the string was received, or issued if that is later; the seven days of a lease unless
configured otherwise).

An allowed verdict says how many days are left, and within ``remind_within`` of the end a sentence for the user.

Where no check-in is to be expected (a license file that works offline, an instance of ISCDesk without a license
server), rule 5 does not apply and the license alone decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from client_stub.trust.claims import Lease, LeaseStatus, License
from client_stub.trust.errors import (
    DeviceMismatchError,
    ExpiredError,
    LeaseEndedError,
    NotYetValidError,
    VerificationError,
)
from client_stub.trust.seats import Seat
from client_stub.trust.verification import LEEWAY

CLOCK_TOLERANCE = timedelta(days=1)
"""A second operating system, a wrong time zone or daylight saving shift a clock by hours."""
REMIND_WITHIN = timedelta(days=30)
_DAY = timedelta(days=1)
_LAST = datetime.max.replace(tzinfo=UTC)
FIRST_CHECK_IN_WITHIN = timedelta(days=1)
OVERDUE_AFTER = 1.25
"""Share of the heartbeat interval after which a check-in is overdue; above the jitter of the heartbeat loop."""


class Permission(StrEnum):
    """Whether the program may work."""

    ALLOWED = "ALLOWED"
    ALLOWED_OFFLINE = "ALLOWED_OFFLINE"
    DENIED = "DENIED"


class Reason(StrEnum):
    """Why; stable, for programs."""

    LICENSED = "LICENSED"
    NO_LICENSE = "NO_LICENSE"
    REFUSED = "REFUSED"
    REJECTED_BY_PROGRAM = "REJECTED_BY_PROGRAM"
    INVALID_LICENSE = "INVALID_LICENSE"
    DEVICE_MISMATCH = "DEVICE_MISMATCH"
    CLOCK_SET_BACK = "CLOCK_SET_BACK"
    NOT_YET_VALID = "NOT_YET_VALID"
    EXPIRED = "EXPIRED"
    FROZEN = "FROZEN"
    REVOKED = "REVOKED"
    RELEASED = "RELEASED"
    LEASE_ENDED = "LEASE_ENDED"
    NO_SEAT = "NO_SEAT"


@dataclass(frozen=True)
class Verdict:
    """What the program may do now, in words for a person.

    Attributes:
        until: When the program has to stop unless it hears from the server; None when denied or without an end.
        cause: The code of the ``VerificationError`` for which a license is not believed; else empty.
        days_left: Whole days until the license ends, the last one counted; None when denied or without an end.
        notice: What to show the user when the license ends soon; else empty.
    """

    permission: Permission
    reason: Reason
    sentence: str
    action: str = ""
    until: datetime | None = None
    cause: str = ""
    days_left: int | None = None
    notice: str = ""

    @property
    def is_allowed(self) -> bool:
        """True when the program may work, online or not."""
        return self.permission is not Permission.DENIED


@dataclass(frozen=True)
class Evidence:
    """What is known about a license in addition to its claims.

    Attributes:
        obtained_at: When the server handed the string to this machine.
        first_grace: How long it works without a lease; also how far a lease may move its end.
        highest_seen_at: The latest moment that was ever seen, on our clock or in something signed.
        listed_at: When the revocation list that names the license was issued; None when none names it.
        needs_contact: False where the license works without ever hearing from a server.
        grace_until: How long a lease that ended during a sleep of the computer still counts; None without such a sleep.
        remind_within: How long before its end the user is reminded.
        seat: The seat that this program has of a floating license; None without one.
    """

    lease: Lease | None
    obtained_at: datetime
    first_grace: timedelta
    highest_seen_at: datetime
    listed_at: datetime | None = None
    needs_contact: bool = True
    grace_until: datetime | None = None
    remind_within: timedelta = REMIND_WITHIN
    seat: Seat | None = None


_REFUSALS = {
    LeaseStatus.EXPIRED: ("The license has expired.", ExpiredError.action),
    LeaseStatus.FROZEN: ("The license is frozen by the marketplace.", "Look at the order at the marketplace."),
    LeaseStatus.REVOKED: ("The license was revoked by the vendor.", "Ask the vendor's support."),
    LeaseStatus.RELEASED: ("The license was given back.", "Buy a license, or ask the vendor's support."),
}

_NOT_REACHED = "The license server was not reached lately; the program continues to work for now."

NO_LICENSE = Verdict(
    Permission.DENIED,
    Reason.NO_LICENSE,
    "There is no license on this computer yet.",
    action="Connect this computer to the network and ask for the license.",
)


def denied(reason: Reason, sentence: str, action: str = "") -> Verdict:
    """Return a refusal."""
    return Verdict(Permission.DENIED, reason, sentence, action=action)


def denial_of(error: VerificationError) -> Verdict:
    """Return the refusal of a license that is not believed."""
    reason = Reason.DEVICE_MISMATCH if isinstance(error, DeviceMismatchError) else Reason.INVALID_LICENSE
    return Verdict(Permission.DENIED, reason, str(error), action=error.action, cause=error.code)


def decide(license: License, evidence: Evidence, *, now: datetime) -> Verdict:
    """Decide what a verified license allows at ``now`` (steps 2 to 8 of the module's list)."""
    lease = evidence.lease
    refusal = (
        _clock_refusal(license, evidence, now)  # 2
        or _lease_refusal(lease)  # 3
        or _list_refusal(license, evidence)  # 3
        or _span_refusal(license, evidence, now)  # 4
        or _contact_refusal(license, evidence, now)  # 5
        or _seat_refusal(license, evidence, now)  # 6
    )
    if refusal:
        return refusal
    return _permission(license, evidence, now)  # 7, 8


def stated_end(license: License, lease: Lease | None) -> datetime | None:
    """Return when the license ends by the newest signed word, or None when it never does."""
    if lease is not None and lease.issued_at >= license.issued_at:
        return lease.license_expires_at
    return license.expires_at


def license_end(license: License, lease: Lease | None, *, grace: timedelta) -> datetime | None:
    """Return when the license ends, or None when it never does: a lease moves the end by ``grace`` at most."""
    stated = stated_end(license, lease)
    if license.expires_at is None or (stated or _LAST) - license.expires_at <= grace:
        return stated
    return license.expires_at + grace


def _end(license: License, evidence: Evidence) -> datetime | None:
    return license_end(license, evidence.lease, grace=evidence.first_grace)


def contact_end(license: License, evidence: Evidence) -> datetime | None:
    """Return until when the program may work without hearing from the server; None when it never has to."""
    if not evidence.needs_contact:
        return None
    if evidence.lease is not None:
        end = evidence.lease.expires_at
    else:
        end = max(evidence.obtained_at, license.issued_at) + evidence.first_grace
    return end if evidence.grace_until is None else max(end, evidence.grace_until)


def _clock_refusal(license: License, evidence: Evidence, now: datetime) -> Verdict | None:
    ends = [_end(license, evidence), contact_end(license, evidence), *(one.ends_at for one in license.entitlements)]
    if not license.is_floating and not any(ends):
        return None
    if now + CLOCK_TOLERANCE >= evidence.highest_seen_at:
        return None
    return denied(
        Reason.CLOCK_SET_BACK,
        "This computer's clock is behind a time at which the license was already used.",
        "Set date, time and time zone right, or connect this computer to the network.",
    )


def _lease_refusal(lease: Lease | None) -> Verdict | None:
    if lease is None or lease.status is LeaseStatus.ACTIVE:
        return None
    sentence, action = _REFUSALS[lease.status]
    return denied(Reason(lease.status.value), lease.reason or sentence, action)


def _list_refusal(license: License, evidence: Evidence) -> Verdict | None:
    if evidence.listed_at is None:
        return None
    if license.issued_at > evidence.listed_at:
        return None
    sentence, action = _REFUSALS[LeaseStatus.REVOKED]
    return denied(Reason.REVOKED, sentence, action)


def _span_refusal(license: License, evidence: Evidence, now: datetime) -> Verdict | None:
    if now + LEEWAY < license.not_before:
        sentence = "The license begins later than this computer's clock says."
        return denied(Reason.NOT_YET_VALID, sentence, NotYetValidError.action)
    end = _end(license, evidence)
    if end is not None and now - LEEWAY >= end:
        return denied(Reason.EXPIRED, "The license has expired.", ExpiredError.action)
    return None


def _contact_refusal(license: License, evidence: Evidence, now: datetime) -> Verdict | None:
    end = contact_end(license, evidence)
    if end is None or now - LEEWAY < end:
        return None
    return denied(Reason.LEASE_ENDED, "The license was not renewed in time.", LeaseEndedError.action)


def _seat_refusal(license: License, evidence: Evidence, now: datetime) -> Verdict | None:
    if not license.is_floating or (evidence.seat is not None and evidence.seat.is_live(now)):
        return None
    if evidence.seat is None:
        return denied(Reason.NO_SEAT, "This program has no seat of the license.", "Check a seat out.")
    sentence = "The seat of this program was not renewed in time."
    return denied(Reason.NO_SEAT, sentence, "Connect this computer to the network, or check a seat out again.")


def _permission(license: License, evidence: Evidence, now: datetime) -> Verdict:
    end = _end(license, evidence)
    ends = [contact_end(license, evidence), end, _seat_end(license, evidence)]
    until = min((moment for moment in ends if moment is not None), default=None)
    days_left, notice = _reminder(end, evidence.remind_within, now)
    overdue_at = _overdue_at(license, evidence)
    if overdue_at is None or now < overdue_at:
        permission, sentence, action = Permission.ALLOWED, "The license is valid.", ""
    else:
        permission, sentence, action = Permission.ALLOWED_OFFLINE, _NOT_REACHED, LeaseEndedError.action
    return Verdict(
        permission, Reason.LICENSED, sentence, action=action, until=until, days_left=days_left, notice=notice
    )


def _seat_end(license: License, evidence: Evidence) -> datetime | None:
    return evidence.seat.expires_at if license.is_floating and evidence.seat is not None else None


def _reminder(end: datetime | None, remind_within: timedelta, now: datetime) -> tuple[int | None, str]:
    if end is None:
        return None, ""
    left = max(end - now, timedelta(0))
    days = -(-left // _DAY)  # rounded up: on its last day a license has one day left
    if left > remind_within:
        return days, ""
    span = "within a day" if days <= 1 else f"in {days} days"
    return days, f"The license ends {span}, at {end:%Y-%m-%d %H:%M} UTC. Renew it in time."


def _overdue_at(license: License, evidence: Evidence) -> datetime | None:
    lease = evidence.lease
    if lease is None and not evidence.needs_contact:
        return None
    if lease is None:
        return max(evidence.obtained_at, license.issued_at) + FIRST_CHECK_IN_WITHIN
    return lease.issued_at + OVERDUE_AFTER * (lease.next_heartbeat_at - lease.issued_at)
