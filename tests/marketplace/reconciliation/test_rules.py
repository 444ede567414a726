"""The comparison itself: what counts as a difference, at which moment, and that taking a word over leaves none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.marketplace.licenses import codes
from licsrv.marketplace.open_api import amounts
from licsrv.marketplace.open_api.code_answers import CodeState, ReportedStatus
from licsrv.marketplace.open_api.order_answers import order
from licsrv.marketplace.reconciliation import rules
from licsrv.marketplace.reconciliation.rules import Kind, Missing, Ours, Silent, Word
from tests.conftest import NOW

ENDS = datetime(2027, 2, 28, 23, 59, 59, tzinfo=UTC)
PAST, SECOND, MINUTE, DAY = NOW - timedelta(days=40), timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)
OURS = Ours(NOW - timedelta(days=90), ENDS, None, None, "OFFI1", 2)
THEIRS = Word("ALIVE", ENDS, "OFFI1", 2)


def kinds(ours: Ours, said: rules.Said, *, alive_unfreezes: bool = True, now: datetime = NOW) -> set[Kind]:
    return {one.kind for one in rules.compare(ours, said, alive_unfreezes=alive_unfreezes, now=now).found}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [
        ({}, {}, set()),
        ({}, {"status": "EXPIRED", "expires_at": None}, {Kind.STATUS}),
        ({}, {"status": "EXPIRED", "expires_at": PAST}, {Kind.STATUS, Kind.EXPIRY}),
        ({}, {"status": "EXPIRED"}, {Kind.STATUS}),  # an end that is to come cannot be meant beside EXPIRED
        ({"expires_at": PAST}, {"status": "EXPIRED", "expires_at": PAST}, set()),
        ({"expires_at": PAST}, {"status": "EXPIRED", "expires_at": None}, set()),
        ({"expires_at": PAST}, {}, {Kind.STATUS, Kind.EXPIRY}),
        ({"expires_at": PAST}, {"expires_at": None}, {Kind.STATUS}),
        ({"expires_at": None}, {}, {Kind.EXPIRY}),
        ({"expires_at": None}, {"expires_at": None}, set()),
        ({}, {"expires_at": None}, set()),
        ({}, {"expires_at": ENDS + SECOND}, {Kind.EXPIRY}),
        ({"expires_at": ENDS + timedelta(microseconds=999_999)}, {}, set()),  # their moments are whole seconds
        ({}, {"status": "RELEASED", "product_id": "OFFI2"}, {Kind.STATUS}),
        ({"is_revoked": True}, {"status": "RELEASED"}, {Kind.STATUS}),
        ({"is_revoked": True}, {}, set()),
        ({}, {"product_id": "OFFI2", "amount": 1}, {Kind.PRODUCT, Kind.AMOUNT}),
        ({}, {"product_id": None, "amount": None}, set()),
        ({}, {"product_id": "", "amount": 0}, set()),
        ({"amount": None}, {}, {Kind.AMOUNT}),
        ({}, {"amount": 10**9}, set()),
        ({}, {"product_id": "x" * 129}, set()),
        ({}, {"status": "UNKNOWN", "amount": 1}, {Kind.UNANSWERED, Kind.AMOUNT}),
        ({}, {"status": "NOT_ACTIVATED"}, {Kind.STATUS}),
        ({}, {"status": "NOT_RECEIVED"}, {Kind.STATUS}),
        ({}, {"status": "", "amount": 1}, {Kind.AMOUNT}),  # an order states no status
        ({"expires_at": PAST}, {"status": "", "expires_at": PAST}, set()),
    ],
)
def test_what_differs(ours: dict[str, Any], theirs: dict[str, Any], expected: set[Kind]) -> None:
    assert kinds(replace(OURS, **ours), replace(THEIRS, **theirs)) == expected


@pytest.mark.parametrize(
    ("status", "alive_unfreezes", "expected"),
    [("ALIVE", True, {Kind.STATUS}), ("ALIVE", False, set()), ("EXPIRED", True, set()), ("EXPIRED", False, set())],
)
def test_a_frozen_license_reads_as_expired_or_as_alive(status: str, alive_unfreezes: bool, expected: set[Kind]) -> None:
    frozen = replace(OURS, frozen_at=PAST)

    assert kinds(frozen, replace(THEIRS, status=status), alive_unfreezes=alive_unfreezes) == expected


@pytest.mark.parametrize(
    ("before_the_end", "status", "expected"),
    [
        (timedelta(minutes=14, seconds=59), "EXPIRED", set()),
        (timedelta(minutes=15), "EXPIRED", {Kind.STATUS}),
        (timedelta(minutes=-14, seconds=-59), "ALIVE", set()),
        (timedelta(minutes=-15), "ALIVE", {Kind.STATUS}),
    ],
)
def test_at_the_very_end_two_clocks_may_differ(before_the_end: timedelta, status: str, expected: set[Kind]) -> None:
    now = ENDS - before_the_end

    assert kinds(OURS, replace(THEIRS, status=status), now=now) == expected
    assert kinds(OURS, replace(THEIRS, status=status, expires_at=None), now=now) == expected


def test_two_ends_are_no_matter_of_clocks() -> None:
    other = replace(THEIRS, status="EXPIRED", expires_at=ENDS - DAY)

    assert kinds(OURS, other, now=ENDS - MINUTE) == {Kind.STATUS, Kind.EXPIRY}


def test_what_the_marketplace_does_not_know_differs_unless_it_is_revoked() -> None:
    assert kinds(OURS, Missing("gone")) == {Kind.UNKNOWN}
    assert kinds(replace(OURS, is_revoked=True), Missing("gone")) == set()


def test_silence_judges_nothing_else() -> None:
    comparison = rules.compare(OURS, Silent("502"), alive_unfreezes=True, now=NOW)

    assert {one.kind for one in comparison.found} == comparison.judged == {Kind.UNANSWERED}


@pytest.mark.parametrize(
    ("word", "not_judged"),
    [
        (THEIRS, set()),
        (replace(THEIRS, expires_at=None), {Kind.EXPIRY}),
        (replace(THEIRS, expires_at=PAST), {Kind.EXPIRY}),
        (replace(THEIRS, product_id=None, amount=None), {Kind.PRODUCT, Kind.AMOUNT}),
        (replace(THEIRS, status="UNKNOWN"), {Kind.STATUS}),
        (replace(THEIRS, status=""), {Kind.STATUS}),
        (Word("RELEASED"), set()),
    ],
)
def test_only_what_is_stated_is_judged(word: Word, not_judged: set[Kind]) -> None:
    judged = rules.compare(OURS, word, alive_unfreezes=True, now=NOW).judged

    assert judged == frozenset(Kind) - not_judged


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("92020005", Missing("no")),
        ("CBC.0199", Missing("no")),
        ("92020011", Word("NOT_ACTIVATED")),
        ("92020004", Word("NOT_RECEIVED")),
        ("92020002", Silent("no")),
        ("95000004", Silent("no")),
    ],
)
def test_what_a_refusal_says(code: str, said: rules.Said) -> None:
    assert rules.word_of_refusal(code, "no") == said


# Orders


def an_order(kind: str = "NEW", **line: Any) -> Word:
    told = {"orderLineId": "L", "chargingMode": "PERIOD", "periodType": "year", "periodNumber": 1} | line
    info = {"orderId": "CS1", "orderType": kind, "createTime": "20260227090000", "orderLine": [told]}
    return rules.word_of_order(order({"orderInfo": info}, "L"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"expireTime": "20270228235959"}, set()),
        ({"expireTime": "20270227235959"}, {Kind.EXPIRY}),
        ({}, set()),  # worked out as 2027-02-27 09:00: near enough to what refreshInstance stated exactly
        ({"periodType": "month"}, {Kind.EXPIRY}),
        ({"chargingMode": "ONE_TIME"}, set()),
    ],
)
def test_the_end_of_an_order(line: dict[str, Any], expected: set[Kind]) -> None:
    assert kinds(OURS, an_order(**line)) == expected


def test_an_unsubscription_says_nothing_of_what_holds() -> None:
    assert an_order("UNSUBSCRIBE", expireTime="20260301000000") == Word()


def test_the_current_order_is_the_last_that_holds() -> None:
    def orders(*names: str) -> list[Any]:
        pairs = [name.split(":") for name in names]
        return [SimpleNamespace(order_id=name, order_line_id="L", scene=scene) for name, scene in pairs]

    def current(*names: str) -> str | None:
        found = rules.current_order(orders(*names), ended_by={"UNDONE"})
        return found[0] if found else None

    assert current() is None
    assert current("A:NEW") == "A"
    assert current("A:NEW", "B:RENEWAL") == "B"
    assert current("A:NEW", "B:RENEWAL", "B:UNDONE") == "A"
    assert current("A:NEW", "B:RENEWAL", "C:RENEWAL", "B:UNDONE") == "C"
    assert current("A:UNDONE") is None


# Nights


@pytest.mark.parametrize(
    ("local", "hour", "night"),
    [
        ("2026-03-02T01:59", 2, None),
        ("2026-03-02T02:00", 2, "2026-03-02"),
        ("2026-03-02T07:59", 2, "2026-03-02"),
        ("2026-03-02T08:00", 2, None),
        ("2026-03-02T23:00", 23, "2026-03-02"),
        ("2026-03-03T04:59", 23, "2026-03-02"),
        ("2026-03-03T05:00", 23, None),
        ("2026-03-03T00:00", 0, "2026-03-03"),
    ],
)
def test_a_night_begins_at_its_hour_and_may_start_late(local: str, hour: int, night: str | None) -> None:
    began = rules.night_of(datetime.fromisoformat(local).replace(tzinfo=UTC), hour)

    assert (began.date().isoformat() if began else None) == night


# Laws

moments = st.none() | st.integers(-3000, 3000).map(lambda hours: NOW + timedelta(hours=hours))
ours = st.builds(
    Ours,
    activated_at=st.just(PAST),
    expires_at=moments,
    frozen_at=st.none() | st.just(PAST),
    released_at=st.none(),
    product_id=st.sampled_from(["", "OFFI1", "OFFI2"]),
    amount=st.none() | st.integers(0, 3),
    is_revoked=st.booleans(),
)
words = st.builds(
    Word,
    status=st.sampled_from(["ALIVE", "EXPIRED", "RELEASED", "UNKNOWN"]),
    expires_at=moments,
    product_id=st.none() | st.sampled_from(["OFFI1", "OFFI2"]),
    amount=st.none() | st.integers(0, 3),
)


def taken_over(known: Ours, word: Word, *, alive_unfreezes: bool, now: datetime) -> Ours:
    """Return the license after ``answers.apply_state`` and a repair's amount: the same steps on plain values."""
    if word.status == "RELEASED":
        return replace(known, released_at=now)
    state = CodeState(ReportedStatus(word.status), word.expires_at, None, word.product_id, None, word.amount, raw={})
    expires_at = codes._expiry(state, known, now)  # type: ignore[arg-type]  # it reads the facts that both have
    unfrozen = word.status == "ALIVE" and alive_unfreezes
    return replace(
        known,
        expires_at=expires_at,
        frozen_at=None if unfrozen else known.frozen_at,
        product_id=word.product_id or known.product_id,
        amount=word.amount if amounts.read(word.amount) is not None else known.amount,
    )


@given(ours, words, st.booleans())
def test_what_was_taken_over_differs_no_more(known: Ours, word: Word, alive_unfreezes: bool) -> None:
    after = taken_over(known, word, alive_unfreezes=alive_unfreezes, now=NOW)

    left = rules.compare(after, word, alive_unfreezes=alive_unfreezes, now=NOW)

    assert {one.kind for one in left.found} <= {Kind.UNANSWERED}, "only that the status could not be read"


@given(ours, words, st.booleans())
def test_where_nothing_differs_nothing_that_can_be_seen_would_change(
    known: Ours, word: Word, alive_unfreezes: bool
) -> None:
    if kinds(known, word, alive_unfreezes=alive_unfreezes) or known.expires_at == NOW:
        return

    after = taken_over(known, word, alive_unfreezes=alive_unfreezes, now=NOW)

    is_near = known.expires_at is not None and abs(known.expires_at - NOW) < rules.CLOCKS
    assert rules.lifecycle.status(after, NOW) == rules.lifecycle.status(known, NOW) or is_near
    assert (after.product_id, after.amount) == (known.product_id, known.amount)


@given(words.map(lambda word: replace(word, tolerance=timedelta(seconds=1))))
def test_a_word_that_is_kept_is_read_again(word: Word) -> None:
    assert rules.from_document(rules.as_document(word)) == word
