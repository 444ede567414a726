"""What a license is at a moment: the edges, with the exact moment on both sides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from licsrv.errors import (
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseReleasedError,
    LicenseRevokedError,
)
from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import Status
from licsrv.licensing.origins import BY_HAND
from licsrv.words.sentences import Sentence
from tests.conftest import NOW

MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Facts:
    source: str = BY_HAND.source
    activated_at: datetime | None = NOW - timedelta(days=30)
    provisional_until: datetime | None = None
    expires_at: datetime | None = NOW + timedelta(days=30)
    grace_until: datetime | None = None
    frozen_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_reason: str | None = None
    refused_reason: str | None = None
    released_at: datetime | None = None


ACTIVE = Facts()
NEW = Facts(activated_at=None, expires_at=None)

STATUS = [
    ("never activated", NEW, Status.NOT_ACTIVATED),
    ("activated", ACTIVE, Status.ACTIVE),
    ("without an end", replace(ACTIVE, expires_at=None), Status.ACTIVE),
    ("a moment before its end", replace(ACTIVE, expires_at=NOW + MOMENT), Status.ACTIVE),
    ("at its end", replace(ACTIVE, expires_at=NOW), Status.EXPIRED),
    ("expired, just inside its grace", replace(ACTIVE, expires_at=NOW, grace_until=NOW + MOMENT), Status.ACTIVE),
    ("expired, at the end of its grace", replace(ACTIVE, expires_at=NOW - MOMENT, grace_until=NOW), Status.EXPIRED),
    ("frozen in its grace", replace(ACTIVE, expires_at=NOW, grace_until=NOW + MOMENT, frozen_at=NOW), Status.FROZEN),
    ("revoked in grace", replace(ACTIVE, expires_at=NOW, grace_until=NOW + MOMENT, revoked_at=NOW), Status.REVOKED),
    ("released in grace", replace(ACTIVE, expires_at=NOW, grace_until=NOW + MOMENT, released_at=NOW), Status.RELEASED),
    ("provisional, a moment before its end", replace(NEW, provisional_until=NOW + MOMENT), Status.ACTIVE),
    ("provisional, at its end", replace(NEW, provisional_until=NOW), Status.NOT_ACTIVATED),
    ("frozen and expired", replace(ACTIVE, expires_at=NOW, frozen_at=NOW), Status.FROZEN),
    ("revoked and frozen", replace(ACTIVE, revoked_at=NOW, frozen_at=NOW), Status.REVOKED),
    ("released and everything else",
     replace(ACTIVE, released_at=NOW, revoked_at=NOW, frozen_at=NOW, expires_at=NOW), Status.RELEASED),
    ("frozen before it was activated", replace(NEW, frozen_at=NOW), Status.FROZEN),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [case[1:] for case in STATUS], ids=[case[0] for case in STATUS])
def test_status(facts: Facts, expected: Status) -> None:
    assert lifecycle.status(facts, NOW) is expected
    assert all((lifecycle.reason(facts, NOW).en, lifecycle.reason(facts, NOW).zh)) is (expected is not Status.ACTIVE)


@pytest.mark.parametrize(
    ("facts", "refusal"),
    [
        (NEW, LicenseNotFoundError),
        (replace(ACTIVE, expires_at=NOW), LicenseExpiredError),
        (replace(ACTIVE, frozen_at=NOW), LicenseFrozenError),
        (replace(ACTIVE, revoked_at=NOW), LicenseRevokedError),
        (replace(ACTIVE, released_at=NOW), LicenseReleasedError),
    ],
)
def test_a_license_that_is_not_active_is_refused_with_something_to_do(facts: Facts, refusal: type[Exception]) -> None:
    with pytest.raises(refusal) as caught:
        lifecycle.require_usable(facts, NOW)

    assert caught.value.action  # type: ignore[attr-defined]


def test_the_customer_reads_the_reason_of_a_revocation() -> None:
    given = "Paid back on 3 March."
    facts = replace(ACTIVE, revoked_at=NOW, revoked_reason=given)

    assert lifecycle.reason(facts, NOW) == Sentence(en=given, zh=given)
    with pytest.raises(LicenseRevokedError, match=r"Paid back on 3 March\."):
        lifecycle.require_usable(facts, NOW)


STATED = NOW - timedelta(hours=1)


@pytest.mark.parametrize(
    ("current", "new", "stated_at", "may_shorten", "accepted"),
    [
        (NOW, NOW + MOMENT, STATED, False, True),
        (NOW, NOW, STATED, False, False),
        (NOW, NOW - MOMENT, STATED, False, False),
        (NOW, NOW - MOMENT, STATED, True, True),
        (NOW, NOW + MOMENT, STATED - MOMENT, True, False),
        (None, NOW, STATED, False, True),
        (NOW, None, STATED, True, True),
        (NOW, None, STATED, False, False),
    ],
)
def test_a_late_statement_about_the_end_changes_nothing(
    current: datetime | None, new: datetime | None, stated_at: datetime, may_shorten: bool, accepted: bool
) -> None:
    assert lifecycle.accepts_expiry(current, STATED, new, stated_at=stated_at, may_shorten=may_shorten) is accepted
