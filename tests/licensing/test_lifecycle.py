"""What a license is at a moment: the edges, with the exact moment on both sides."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest

from licsrv.errors import (
    DeviceLimitError,
    LicenseExpiredError,
    LicenseFrozenError,
    LicenseNotFoundError,
    LicenseReleasedError,
    LicenseRevokedError,
)
from licsrv.licensing import lifecycle
from licsrv.licensing.lifecycle import KnownDevice, Status
from tests.conftest import NOW

MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True)
class Facts:
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
    assert bool(lifecycle.reason(facts, NOW)) is (expected is not Status.ACTIVE)


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


def test_the_reason_of_a_revocation_is_told_to_the_customer() -> None:
    facts = replace(ACTIVE, revoked_at=NOW, revoked_reason="Paid back on 3 March.")

    with pytest.raises(LicenseRevokedError, match=r"Paid back on 3 March\."):
        lifecycle.require_usable(facts, NOW)


@dataclass(frozen=True)
class ProductFacts:
    device_limit: int | None = None
    amount_is_places: bool = True


@pytest.mark.parametrize(
    ("device_limit", "amount", "product", "expected"),
    [
        (None, None, None, 3),
        (None, 5, None, 5),
        (None, 0, None, 3),
        (7, 5, ProductFacts(2), 7),
        (None, 5, ProductFacts(2), 10),
        (None, 5, ProductFacts(None), 5),
        (None, 5, ProductFacts(2, amount_is_places=False), 2),
        (None, 5, ProductFacts(None, amount_is_places=False), 3),
        (None, None, ProductFacts(2), 2),
    ],
)
def test_places(device_limit: int | None, amount: int | None, product: ProductFacts | None, expected: int) -> None:
    assert lifecycle.places(device_limit=device_limit, amount=amount, product=product, default=3) == expected


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


PARTS = {"mac": ["m"], "disk": ["d"], "board": ["b"], "cpu": ["c"]}
KNOWN = KnownDevice("device", PARTS, has_place=True)
GONE = KnownDevice("gone", PARTS, has_place=False)
STRANGER = {"mac": ["x"], "disk": ["y"], "board": ["b"]}


def decide(devices: list[KnownDevice], given: dict[str, list[str]], taken: int, places: int) -> lifecycle.Admission:
    return lifecycle.decide_activation(ACTIVE, devices, given, places_taken=taken, places=places, now=NOW)


def test_a_known_device_is_served_when_the_license_is_full() -> None:
    admission = decide([KNOWN], PARTS, 1, 1)

    assert (admission.device_id, admission.takes_place) == ("device", False)


def test_a_new_device_takes_a_free_place() -> None:
    assert decide([KNOWN], STRANGER, 1, 2).takes_place is True


def test_a_new_device_is_refused_when_the_license_is_full_and_told_how_it_differs() -> None:
    with pytest.raises(DeviceLimitError) as caught:
        decide([KNOWN], STRANGER, 1, 1)

    assert caught.value.extra["parts"] == {"mac": "differs", "disk": "differs", "board": "agrees", "cpu": "not given"}
    assert (caught.value.extra["places"], caught.value.extra["places_taken"]) == (1, 1)


def test_a_device_that_gave_its_place_back_takes_one_again_if_there_is_one() -> None:
    admission = decide([GONE], PARTS, 0, 1)

    assert (admission.device_id, admission.takes_place) == ("gone", True)
    with pytest.raises(DeviceLimitError):
        decide([GONE], PARTS, 1, 1)
