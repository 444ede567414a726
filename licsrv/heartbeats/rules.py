"""The terms of the lease for a device that checks in, and the day for which it counts. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import SoldLicense, Status
from licsrv.licensing.policies import Times

# A device that may not work asks again soon, so that a renewal or a reinstatement reaches it within the hour.
RETRY_WHEN_REFUSED = timedelta(hours=1)

_PLACE_GIVEN_BACK = "This device's place on the license was given back; request a new license."
_COPIED = "Two copies of this machine are in use; the vendor's support decides which of them works on."
_LEASE_STATUS = {
    Status.EXPIRED: "EXPIRED",
    Status.FROZEN: "FROZEN",
    Status.REVOKED: "REVOKED",
    Status.RELEASED: "RELEASED",
    # The contract has five words. An unconfirmed license has run out of its provisional time.
    Status.NOT_ACTIVATED: "EXPIRED",
}


class Beat(NamedTuple):
    """One device's check-in.

    Args:
        digest: That of its license string.
        text_hash: That of its fingerprint.
        link: What its last lease gave it to present; empty where it presents nothing.
        address: From where it came; of it the network is kept, and only of devices whose check-ins forked.
    """

    digest: str
    text_hash: str
    device_info: str
    client_version: str
    client_name: str = ""
    link: str = ""
    address: str = ""

    def __repr__(self) -> str:
        """Leave out what no log may hold."""
        return f"Beat({self.digest!r})"


class LeaseTerms(NamedTuple):
    """What a lease says. ``lease_until`` is how long the answer holds without asking again."""

    status: str
    reason: str
    issued_at: datetime
    lease_until: datetime
    next_at: datetime
    license_expires_at: datetime | None

    @property
    def may_work(self) -> bool:
        """Whether the software may run under this lease."""
        return self.status == "ACTIVE"


def decide(license: SoldLicense, *, device_has_place: bool, times: Times, now: datetime) -> LeaseTerms:
    """Decide the terms of a device's lease: an ordinary answer for every status, never an error."""
    status = lifecycle.status(license, now)
    ends_at = lifecycle.end_of_use(license)
    if status is Status.ACTIVE and device_has_place:
        until = now + times.grace
        until = until if ends_at is None else min(until, ends_at)
        return LeaseTerms(
            "ACTIVE", "", now, lease_until=until, next_at=min(now + times.interval, until), license_expires_at=ends_at
        )
    again_at = now + min(times.interval, RETRY_WHEN_REFUSED)
    if status is Status.ACTIVE:
        return LeaseTerms(
            "RELEASED", _PLACE_GIVEN_BACK, now, lease_until=again_at, next_at=again_at, license_expires_at=ends_at
        )
    return LeaseTerms(
        _LEASE_STATUS[status],
        lifecycle.reason(license, now).en,
        now,
        lease_until=again_at,
        next_at=again_at,
        license_expires_at=ends_at,
    )


def refuse_copy(terms: LeaseTerms, times: Times) -> LeaseTerms:
    """Return the terms for a proven copy of a machine: it stops until staff decides, whatever else forbids it."""
    if not terms.may_work:
        return terms
    again_at = terms.issued_at + min(times.interval, RETRY_WHEN_REFUSED)
    return terms._replace(status="REVOKED", reason=_COPIED, lease_until=again_at, next_at=again_at)
