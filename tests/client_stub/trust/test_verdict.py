from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from client_stub.trust import verdict as verdicts
from client_stub.trust.claims import Lease, License, read_lease, read_license
from client_stub.trust.seats import Seat
from client_stub.trust.tokens import Token
from client_stub.trust.verdict import Evidence, Permission, Reason
from tests.client_stub.signing import NOW, dev_claim, lease_claims, license_claims, unix
from tests.tables import each

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


def test_a_lease_carries_the_program_through_an_outage_until_it_ends() -> None:
    for row in each(
        [
            (timedelta(0), Permission.ALLOWED, Reason.LICENSED),
            (1.25 * DAY - SECOND, Permission.ALLOWED, Reason.LICENSED),
            (1.25 * DAY, Permission.ALLOWED_OFFLINE, Reason.LICENSED),
            (7 * DAY, Permission.ALLOWED_OFFLINE, Reason.LICENSED),
            (7 * DAY + 5 * MINUTE - SECOND, Permission.ALLOWED_OFFLINE, Reason.LICENSED),
            (7 * DAY + 5 * MINUTE, Permission.DENIED, Reason.LEASE_ENDED),
        ]
    ):
        with row as (since_lease, permission, reason):
            verdict = verdicts.decide(license_with(), evidence_with(lease_with()), now=NOW + since_lease)

            assert (verdict.permission, verdict.reason) == (permission, reason)
            assert verdict.is_allowed == (permission is not Permission.DENIED)
            assert verdict.until == (NOW + 7 * DAY if verdict.is_allowed else None)


def test_a_string_just_handed_out_works_without_a_lease_for_the_first_grace() -> None:
    for row in each(
        [
            (timedelta(0), Permission.ALLOWED),
            (DAY - SECOND, Permission.ALLOWED),
            (DAY, Permission.ALLOWED_OFFLINE),
            (7 * DAY + 5 * MINUTE - SECOND, Permission.ALLOWED_OFFLINE),
            (7 * DAY + 5 * MINUTE, Permission.DENIED),
        ]
    ):
        with row as (since_issue, permission):
            verdict = verdicts.decide(license_with(), evidence_with(), now=NOW + since_issue)

            assert verdict.permission is permission


def test_the_first_grace_counts_from_when_an_old_string_was_handed_out_again() -> None:
    old = license_with(iat=unix(NOW - 60 * DAY), nbf=unix(NOW - 60 * DAY))

    assert verdicts.decide(old, evidence_with(), now=NOW).permission is Permission.ALLOWED


def test_a_clock_set_back_by_more_than_a_day_is_noticed() -> None:
    for row in each([(timedelta(0), Reason.LICENSED), (DAY, Reason.LICENSED), (DAY + SECOND, Reason.CLOCK_SET_BACK)]):
        with row as (behind, reason):
            now = NOW + HOUR

            verdict = verdicts.decide(
                license_with(), evidence_with(lease_with(), highest_seen_at=now + behind), now=now
            )

            assert verdict.reason is reason


def test_a_clock_does_not_matter_where_nothing_ends() -> None:
    forever = license_with(exp=None)
    offline = replace(evidence_with(highest_seen_at=NOW + 1000 * DAY), needs_contact=False)

    assert verdicts.decide(forever, offline, now=NOW).permission is Permission.ALLOWED
    for row in each([(license_with(), offline), (forever, replace(offline, needs_contact=True))]):
        with row as (license, evidence):
            assert verdicts.decide(license, evidence, now=NOW).reason is Reason.CLOCK_SET_BACK


def test_the_days_until_the_end_are_counted_and_within_a_month_said() -> None:
    end = NOW + 365 * DAY
    for row in each(
        [
            (365 * DAY, 365, False),
            (30 * DAY + SECOND, 31, False),
            (30 * DAY, 30, True),
            (7 * DAY, 7, True),
            (DAY + SECOND, 2, True),
            (DAY, 1, True),
            (SECOND, 1, True),
            (-MINUTE, 0, True),
        ]
    ):
        with row as (left, days, is_said):
            evidence = replace(evidence_with(), needs_contact=False)

            verdict = verdicts.decide(license_with(exp=unix(end)), evidence, now=end - left)

            assert (verdict.days_left, bool(verdict.notice)) == (days, is_said)
            assert not is_said or ("a day" in verdict.notice if days <= 1 else f"in {days} days" in verdict.notice)


def test_the_days_left_follow_the_newest_signed_end_and_the_threshold_of_the_program() -> None:
    evidence = replace(evidence_with(lease_with(license_exp=unix(NOW + 40 * DAY))), remind_within=60 * DAY)

    verdict = verdicts.decide(license_with(exp=unix(NOW + 35 * DAY)), evidence, now=NOW)

    assert (verdict.days_left, "in 40 days" in verdict.notice) == (40, True)


def test_a_license_without_an_end_and_a_denied_one_count_no_days() -> None:
    endless = verdicts.decide(license_with(exp=None), replace(evidence_with(), needs_contact=False), now=NOW)
    denied = verdicts.decide(license_with(), evidence_with(lease_with(status="FROZEN")), now=NOW)

    assert [(verdict.days_left, verdict.notice) for verdict in (endless, denied)] == [(None, ""), (None, "")]


def test_a_lease_that_ended_in_a_sleep_counts_until_the_grace_ends() -> None:
    now = NOW + 8 * DAY
    for row in each([(now + SECOND, Permission.ALLOWED_OFFLINE), (now - 5 * MINUTE, Permission.DENIED)]):
        with row as (grace_until, permission):
            evidence = replace(evidence_with(lease_with()), grace_until=grace_until)

            assert verdicts.decide(license_with(), evidence, now=now).permission is permission


def test_a_refusal_of_the_server_is_repeated_with_its_reason() -> None:
    for row in each(["EXPIRED", "FROZEN", "REVOKED", "RELEASED"]):
        with row as status:
            verdict = verdicts.decide(
                license_with(), evidence_with(lease_with(status=status, reason="Because of the invoice.")), now=NOW
            )

            assert (verdict.permission, verdict.reason) == (Permission.DENIED, Reason(status))
            assert verdict.sentence == "Because of the invoice."
            assert verdict.action


def test_a_refusal_does_not_lapse_with_its_lease() -> None:
    evidence = evidence_with(lease_with(status="REVOKED"))

    assert verdicts.decide(license_with(), evidence, now=NOW + 300 * DAY).reason is Reason.REVOKED


def test_a_refusal_without_a_reason_still_has_a_sentence() -> None:
    for row in each(["EXPIRED", "FROZEN", "REVOKED", "RELEASED"]):
        with row as status:
            assert verdicts.decide(license_with(), evidence_with(lease_with(status=status)), now=NOW).sentence


def test_a_license_ends_five_minutes_after_its_last_moment() -> None:
    for row in each([(5 * MINUTE - SECOND, Reason.LICENSED), (5 * MINUTE, Reason.EXPIRED)]):
        with row as (after_end, reason):
            end = NOW + 3 * DAY
            evidence = evidence_with(lease_with(license_exp=unix(end)))

            verdict = verdicts.decide(license_with(exp=unix(end)), evidence, now=end + after_end)

            assert verdict.reason is reason


def test_the_newest_signed_word_tells_when_a_license_ends() -> None:
    for row in each(
        [
            (timedelta(0), unix(NOW + 300 * DAY), Reason.LICENSED),
            (timedelta(0), None, Reason.LICENSED),
            (timedelta(0), unix(NOW + DAY), Reason.EXPIRED),
            (-SECOND, unix(NOW + 300 * DAY), Reason.EXPIRED),
        ]
    ):
        with row as (lease_age, license_exp, reason):
            lease = lease_with(iat=unix(NOW + lease_age), license_exp=license_exp)

            verdict = verdicts.decide(license_with(exp=unix(NOW + DAY)), evidence_with(lease), now=NOW + 2 * DAY)

            assert verdict.reason is reason


def test_a_lease_moves_an_end_by_one_grace_at_most() -> None:
    """A stolen lease key signs any end; the license, and so the license key, says how far it counts."""
    end, week, far = NOW + DAY, 7 * DAY, datetime(2040, 1, 1, tzinfo=UTC)
    for row in each(
        [
            (end, end - HOUR, end - HOUR),
            (end, end, end),
            (end, end + week, end + week),
            (end, end + week + SECOND, end + week),
            (end, far, end + week),
            (end, None, end + week),
            (None, far, far),
            (None, None, None),
        ]
    ):
        with row as (license_end, lease_end, counts):
            license = license_with(exp=license_end and unix(license_end))
            lease = lease_with(license_exp=lease_end and unix(lease_end))

            assert verdicts.license_end(license, lease, grace=week) == counts
            if counts is not None:
                long = lease_with(license_exp=lease_end and unix(lease_end), exp=unix(far + 300 * DAY))
                verdict = verdicts.decide(license, evidence_with(long), now=counts + 5 * MINUTE)
                assert verdict.reason is Reason.EXPIRED


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


def test_a_license_lifts_an_older_listed_revocation_and_a_lease_none() -> None:
    for row in each(
        [
            (timedelta(0), None, Reason.REVOKED),
            (DAY, None, Reason.REVOKED),
            (-SECOND, None, Reason.LICENSED),
            (-SECOND, timedelta(0), Reason.LICENSED),
            (DAY, timedelta(0), Reason.REVOKED),
            (DAY, DAY, Reason.REVOKED),
            (DAY, DAY + SECOND, Reason.REVOKED),
            (DAY, 6 * DAY, Reason.REVOKED),
        ]
    ):
        with row as (listed_after, lease_after, reason):
            lease = None if lease_after is None else lease_with(iat=unix(NOW + lease_after))
            evidence = replace(evidence_with(lease), listed_at=NOW + listed_after)

            assert verdicts.decide(license_with(), evidence, now=NOW + 2 * DAY).reason is reason


def test_a_lease_that_refuses_is_not_lifted_by_its_age() -> None:
    evidence = replace(evidence_with(lease_with(status="FROZEN")), listed_at=NOW - DAY)

    assert verdicts.decide(license_with(), evidence, now=NOW).reason is Reason.FROZEN


# -- floating ------------------------------------------------------------------------------------------------------

FLOATING: dict[str, Any] = {"dev": dev_claim() | {"v": 2, "f": 1}}


def test_a_floating_license_needs_a_seat_that_has_not_ended() -> None:
    seat = seat_until(NOW + 15 * MINUTE)
    for row in each(
        [
            (FLOATING, None, NOW, Reason.NO_SEAT, None),
            (FLOATING, seat, NOW + 15 * MINUTE - SECOND, Reason.LICENSED, NOW + 15 * MINUTE),
            (FLOATING, seat, NOW + 15 * MINUTE, Reason.NO_SEAT, None),
            (FLOATING, seat_until(NOW + 30 * DAY), NOW, Reason.LICENSED, NOW + 7 * DAY),  # the lease ends first
            (FLOATING, seat_until(NOW + 30 * DAY), NOW + 8 * DAY, Reason.LEASE_ENDED, None),
            (FLOATING | {"exp": unix(NOW + DAY)}, seat_until(NOW + 2 * DAY), NOW, Reason.LICENSED, NOW + DAY),
            ({}, None, NOW, Reason.LICENSED, NOW + 7 * DAY),
        ]
    ):
        with row as (claims, held, now, reason, until):
            license = license_with(**claims)
            lease = lease_with(license_exp=claims.get("exp", unix(NOW + 365 * DAY)))

            verdict = verdicts.decide(license, replace(evidence_with(lease), seat=held), now=now)

            assert (verdict.reason, verdict.until) == (reason, until)


def test_a_clock_that_is_set_back_gains_no_seat_and_no_feature() -> None:
    forever: dict[str, Any] = {"exp": None}
    for row in each(
        [(FLOATING, Reason.CLOCK_SET_BACK), ({"ent": {"x": {"exp": 1}}}, Reason.CLOCK_SET_BACK), ({}, None)]
    ):
        with row as (claims, reason):
            evidence = replace(
                evidence_with(highest_seen_at=NOW + 2 * DAY), needs_contact=False, seat=seat_until(NOW + DAY)
            )

            verdict = verdicts.decide(license_with(**forever | claims), evidence, now=NOW)

            assert verdict.reason == (reason or Reason.LICENSED)


def seat_until(end: datetime) -> Seat:
    return Seat(
        "https://license.example", "lic_1", "seat_1",
        string_id="ls_1", session="s" * 16, issued_at=NOW, expires_at=end, renew_at=NOW, nonce="n", is_borrowed=False,
    )  # fmt: skip
