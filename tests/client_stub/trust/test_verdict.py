from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from client_stub.trust import verdict as verdicts
from client_stub.trust.claims import Lease, License, read_lease, read_license
from client_stub.trust.tokens import Token
from client_stub.trust.verdict import Evidence, Permission, Reason
from tests.client_stub.signing import NOW, lease_claims, license_claims, unix

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def license_with(**changes: Any) -> License:
    return read_license(Token("kid", license_claims(**changes)))


def lease_with(**changes: Any) -> Lease:
    return read_lease(Token("kid", lease_claims(**changes)))


def evidence_with(lease: Lease | None = None, *, highest_seen_at: datetime = NOW) -> Evidence:
    return Evidence(lease=lease, obtained_at=NOW, first_grace=7 * DAY, highest_seen_at=highest_seen_at)


@pytest.mark.parametrize(
    ("since_lease", "permission", "reason"),
    [
        (timedelta(0), Permission.ALLOWED, Reason.LICENSED),
        (1.25 * DAY - SECOND, Permission.ALLOWED, Reason.LICENSED),
        (1.25 * DAY, Permission.ALLOWED_OFFLINE, Reason.LICENSED),
        (7 * DAY, Permission.ALLOWED_OFFLINE, Reason.LICENSED),
        (7 * DAY + 5 * MINUTE - SECOND, Permission.ALLOWED_OFFLINE, Reason.LICENSED),
        (7 * DAY + 5 * MINUTE, Permission.DENIED, Reason.LEASE_ENDED),
    ],
)
def test_a_lease_carries_the_program_through_an_outage_until_it_ends(
    since_lease: timedelta, permission: Permission, reason: Reason
) -> None:
    verdict = verdicts.decide(license_with(), evidence_with(lease_with()), now=NOW + since_lease)

    assert (verdict.permission, verdict.reason) == (permission, reason)
    assert verdict.is_allowed == (permission is not Permission.DENIED)
    assert verdict.until == (NOW + 7 * DAY if verdict.is_allowed else None)


@pytest.mark.parametrize(
    ("since_issue", "permission"),
    [
        (timedelta(0), Permission.ALLOWED),
        (DAY - SECOND, Permission.ALLOWED),
        (DAY, Permission.ALLOWED_OFFLINE),
        (7 * DAY + 5 * MINUTE - SECOND, Permission.ALLOWED_OFFLINE),
        (7 * DAY + 5 * MINUTE, Permission.DENIED),
    ],
)
def test_a_string_just_handed_out_works_without_a_lease_for_the_first_grace(
    since_issue: timedelta, permission: Permission
) -> None:
    verdict = verdicts.decide(license_with(), evidence_with(), now=NOW + since_issue)

    assert verdict.permission is permission


def test_the_first_grace_counts_from_when_an_old_string_was_handed_out_again() -> None:
    old = license_with(iat=unix(NOW - 60 * DAY), nbf=unix(NOW - 60 * DAY))

    assert verdicts.decide(old, evidence_with(), now=NOW).permission is Permission.ALLOWED


@pytest.mark.parametrize(
    ("behind", "reason"),
    [(timedelta(0), Reason.LICENSED), (5 * MINUTE, Reason.LICENSED), (5 * MINUTE + SECOND, Reason.CLOCK_SET_BACK)],
)
def test_a_clock_set_back_by_more_than_five_minutes_is_noticed(behind: timedelta, reason: Reason) -> None:
    now = NOW + HOUR

    verdict = verdicts.decide(license_with(), evidence_with(lease_with(), highest_seen_at=now + behind), now=now)

    assert verdict.reason is reason


@pytest.mark.parametrize("status", ["EXPIRED", "FROZEN", "REVOKED", "RELEASED"])
def test_a_refusal_of_the_server_is_repeated_with_its_reason(status: str) -> None:
    verdict = verdicts.decide(
        license_with(), evidence_with(lease_with(status=status, reason="Because of the invoice.")), now=NOW
    )

    assert (verdict.permission, verdict.reason) == (Permission.DENIED, Reason(status))
    assert verdict.sentence == "Because of the invoice."
    assert verdict.action


def test_a_refusal_does_not_lapse_with_its_lease() -> None:
    evidence = evidence_with(lease_with(status="REVOKED"))

    assert verdicts.decide(license_with(), evidence, now=NOW + 300 * DAY).reason is Reason.REVOKED


@pytest.mark.parametrize("status", ["EXPIRED", "FROZEN", "REVOKED", "RELEASED"])
def test_a_refusal_without_a_reason_still_has_a_sentence(status: str) -> None:
    assert verdicts.decide(license_with(), evidence_with(lease_with(status=status)), now=NOW).sentence


@pytest.mark.parametrize(
    ("after_end", "reason"),
    [(5 * MINUTE - SECOND, Reason.LICENSED), (5 * MINUTE, Reason.EXPIRED)],
)
def test_a_license_ends_five_minutes_after_its_last_moment(after_end: timedelta, reason: Reason) -> None:
    end = NOW + 3 * DAY
    evidence = evidence_with(lease_with(license_exp=unix(end)))

    verdict = verdicts.decide(license_with(exp=unix(end)), evidence, now=end + after_end)

    assert verdict.reason is reason


@pytest.mark.parametrize(
    ("lease_age", "license_exp", "reason"),
    [
        (timedelta(0), unix(NOW + 300 * DAY), Reason.LICENSED),
        (timedelta(0), None, Reason.LICENSED),
        (timedelta(0), unix(NOW + DAY), Reason.EXPIRED),
        (-SECOND, unix(NOW + 300 * DAY), Reason.EXPIRED),
    ],
    ids=["renewed", "made endless", "still ending", "older than the string"],
)
def test_the_newest_signed_word_tells_when_a_license_ends(
    lease_age: timedelta, license_exp: int | None, reason: Reason
) -> None:
    lease = lease_with(iat=unix(NOW + lease_age), license_exp=license_exp)

    verdict = verdicts.decide(license_with(exp=unix(NOW + DAY)), evidence_with(lease), now=NOW + 2 * DAY)

    assert verdict.reason is reason


def test_a_license_that_has_not_begun_is_refused() -> None:
    verdict = verdicts.decide(license_with(nbf=unix(NOW + HOUR)), evidence_with(), now=NOW)

    assert verdict.reason is Reason.NOT_YET_VALID


def test_the_verdict_lasts_until_lease_or_license_ends() -> None:
    end = NOW + 2 * DAY
    evidence = evidence_with(lease_with(license_exp=unix(end)))

    assert verdicts.decide(license_with(exp=unix(end)), evidence, now=NOW).until == end


def test_a_set_back_clock_is_named_before_everything_that_depends_on_the_clock() -> None:
    evidence = evidence_with(lease_with(status="REVOKED"), highest_seen_at=NOW + DAY)

    assert verdicts.decide(license_with(), evidence, now=NOW - 400 * DAY).reason is Reason.CLOCK_SET_BACK


def test_the_latest_possible_ends_do_not_overflow() -> None:
    last = 253402300799
    evidence = evidence_with(lease_with(exp=last, next=32503679999, license_exp=last))

    assert verdicts.decide(license_with(exp=last), evidence, now=NOW).is_allowed


# -- without contact, and with a list ------------------------------------------------------------------------------


def test_where_no_contact_is_needed_the_license_alone_decides() -> None:
    alone = replace(evidence_with(), needs_contact=False)

    for since in (timedelta(0), 300 * DAY):
        verdict = verdicts.decide(license_with(), alone, now=NOW + since)
        assert (verdict.permission, verdict.until) == (Permission.ALLOWED, NOW + 365 * DAY)
    assert verdicts.decide(license_with(), alone, now=NOW + 366 * DAY).reason is Reason.EXPIRED
    assert verdicts.decide(license_with(exp=None), alone, now=NOW + 9000 * DAY).until is None


def test_where_no_contact_is_needed_an_overdue_check_in_is_told_and_forgiven() -> None:
    alone = replace(evidence_with(lease_with()), needs_contact=False)

    verdict = verdicts.decide(license_with(), alone, now=NOW + 30 * DAY)

    assert verdict.permission is Permission.ALLOWED_OFFLINE


@pytest.mark.parametrize(
    ("listed_after", "lease_after", "reason"),
    [
        (timedelta(0), None, Reason.REVOKED),
        (DAY, None, Reason.REVOKED),
        (-SECOND, None, Reason.LICENSED),
        (DAY, timedelta(0), Reason.REVOKED),
        (DAY, DAY, Reason.REVOKED),
        (DAY, DAY + SECOND, Reason.LICENSED),
    ],
    ids=["issued together", "listed later", "issued anew", "older lease", "same moment", "younger lease"],
)
def test_the_youngest_signed_word_tells_whether_a_license_is_revoked(
    listed_after: timedelta, lease_after: timedelta | None, reason: Reason
) -> None:
    lease = None if lease_after is None else lease_with(iat=unix(NOW + lease_after))
    evidence = replace(evidence_with(lease), listed_at=NOW + listed_after)

    assert verdicts.decide(license_with(), evidence, now=NOW + 2 * DAY).reason is reason


def test_a_lease_that_refuses_is_not_lifted_by_its_age() -> None:
    evidence = replace(evidence_with(lease_with(status="FROZEN")), listed_at=NOW - DAY)

    assert verdicts.decide(license_with(), evidence, now=NOW).reason is Reason.FROZEN
