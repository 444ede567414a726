"""Which version a client is offered, edge by edge."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.licensing.tables import License
from licsrv.releases import rules, versions
from licsrv.releases.rules import Candidate, Choice, Client, Holder
from licsrv.releases.versions import Scheme, Version
from tests.conftest import NOW

DAY = timedelta(days=1)
SECOND = timedelta(seconds=1)
HOLDER = Holder("device", None)


def version(text: str) -> Version:
    return versions.parse(text, Scheme.PEP440)


def candidate(
    text: str, *, minimum: str | None = None, percent: int = 100, published_at: datetime = NOW - DAY
) -> Candidate:
    return Candidate(text, version(text), version(minimum) if minimum else None, percent, published_at)


def choose(
    *candidates: Candidate, runs: str = "1.0", channel: str = "stable", holder: Holder | None = HOLDER
) -> Choice | None:
    oldest_first = sorted(candidates, key=lambda each: each.version)
    client = Client(version(runs), channel, "linux", holder)
    return rules.choose({(channel, "linux"): oldest_first}, client, now=NOW)


def test_the_newest_is_offered() -> None:
    assert choose(candidate("1.9"), candidate("1.10"), candidate("1.2")) == Choice("1.10", forced=False)


@pytest.mark.parametrize("runs", ["2.0", "2.0.0", "2.0.post1", "2.1", "3.0rc1"])
def test_nothing_is_offered_that_is_not_newer(runs: str) -> None:
    assert choose(candidate("1.9"), candidate("2.0"), runs=runs) is None


def test_channels_and_platforms_do_not_mix() -> None:
    catalogue = {("beta", "linux"): [candidate("2.0")], ("stable", "windows"): [candidate("3.0")]}
    client = Client(version("1.0"), "stable", "linux", HOLDER)

    assert rules.choose(catalogue, client, now=NOW) is None


@pytest.mark.parametrize(
    ("runs", "channel", "expected"),
    [
        ("1.0", "stable", "1.5"),
        ("2.0b1", "stable", "2.0rc1"),
        ("1.0", "beta", "2.0rc1"),
    ],
)
def test_pre_releases_are_for_other_channels_and_for_who_runs_one(runs: str, channel: str, expected: str) -> None:
    assert choose(candidate("1.5"), candidate("2.0rc1"), runs=runs, channel=channel) == Choice(expected, forced=False)


@pytest.mark.parametrize(("published_at", "is_offered"), [(NOW - SECOND, True), (NOW, True), (NOW + SECOND, False)])
def test_a_version_waits_for_its_publication(published_at: datetime, *, is_offered: bool) -> None:
    assert (choose(candidate("2.0", published_at=published_at)) is not None) is is_offered


@pytest.mark.parametrize(
    ("maintained_until", "expected"),
    [(None, "3.0"), (NOW - DAY + SECOND, "3.0"), (NOW - DAY, "2.0"), (NOW - 3 * DAY + SECOND, "2.0")],
)
def test_maintenance_covers_what_was_published_before_its_end(maintained_until: datetime | None, expected: str) -> None:
    older, newer = candidate("2.0", published_at=NOW - 3 * DAY), candidate("3.0", published_at=NOW - DAY)

    assert choose(older, newer, holder=Holder("device", maintained_until)) == Choice(expected, forced=False)


def test_an_upgrade_published_after_the_end_of_maintenance_is_not_offered() -> None:
    assert choose(candidate("2.0"), holder=Holder("device", NOW - 2 * DAY)) is None


@pytest.mark.parametrize(
    ("runs", "forced"), [("1.0", True), ("1.4.9", True), ("1.5", False), ("1.5.0", False), ("1.6", False)]
)
def test_a_client_below_the_minimum_must_upgrade(runs: str, *, forced: bool) -> None:
    assert choose(candidate("2.0", minimum="1.5"), runs=runs) == Choice("2.0", forced)


def test_only_the_minimum_of_the_version_offered_counts() -> None:
    assert choose(candidate("2.0", minimum="1.5"), candidate("3.0")) == Choice("3.0", forced=False)
    held_back = candidate("3.0", minimum="2.5", percent=0)
    assert choose(candidate("2.0"), held_back) == Choice("2.0", forced=False)


@pytest.mark.parametrize(("percent", "expected"), [(100, "2.0"), (99, "1.5"), (1, "1.5"), (0, "1.5")])
def test_without_a_license_only_what_is_for_everyone_is_offered(percent: int, expected: str) -> None:
    found = choose(candidate("1.5"), candidate("2.0", percent=percent), holder=None)

    assert found == Choice(expected, forced=False)


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 100), st.integers(0, 100))
def test_a_device_that_is_in_stays_in_while_the_share_grows(release: str, device: str, one: int, other: int) -> None:
    small, large = sorted((one, other))

    if rules.is_rolled_out(release, device, percent=small):
        assert rules.is_rolled_out(release, device, percent=large)
    assert rules.is_rolled_out(release, device, percent=100)
    assert not rules.is_rolled_out(release, device, percent=0)


def test_a_share_is_about_that_share_and_another_one_for_each_version() -> None:
    devices = [f"device-{number}" for number in range(4000)]

    first = {device for device in devices if rules.is_rolled_out("one", device, percent=25)}
    second = {device for device in devices if rules.is_rolled_out("other", device, percent=25)}

    assert 900 < len(first) < 1100
    assert 180 < len(first & second) < 320


LICENSE = License(
    id="L", code="C", source="manual", created_at=NOW, activated_at=NOW, facts_changed_at=NOW, expires_at=NOW + DAY
)


@dataclass(frozen=True)
class Facts:
    """A license as far as maintenance goes."""

    created_at: datetime = NOW
    activated_at: datetime | None = NOW + DAY
    expires_at: datetime | None = None
    maintenance_until: datetime | None = None


@pytest.mark.parametrize(
    ("facts", "months", "expected"),
    [
        (Facts(), None, None),
        (Facts(expires_at=NOW + 9 * DAY), None, NOW + 9 * DAY),
        (Facts(expires_at=NOW + 9 * DAY, maintenance_until=NOW + 5 * DAY), 12, NOW + 5 * DAY),
        (Facts(expires_at=NOW + 9 * DAY), 12, datetime(2027, 3, 2, 9, 30, tzinfo=UTC)),
        (Facts(), 1, datetime(2026, 4, 2, 9, 30, tzinfo=UTC)),
        (Facts(activated_at=None), 12, datetime(2027, 3, 1, 9, 30, tzinfo=UTC)),
    ],
)
def test_maintenance_counts_from_the_activation_else_ends_with_the_license(
    facts: Facts, months: int | None, expected: datetime | None
) -> None:
    assert rules.maintenance_end(facts, months) == expected


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ((2026, 1, 31), 1, (2026, 2, 28)),
        ((2028, 1, 31), 1, (2028, 2, 29)),
        ((2028, 2, 29), 12, (2029, 2, 28)),
        ((2026, 12, 15), 1, (2027, 1, 15)),
        ((2026, 11, 30), 1, (2026, 12, 30)),
        ((2026, 3, 1), 1200, (2126, 3, 1)),
    ],
)
def test_months_are_those_of_the_calendar(start: tuple[int, int, int], months: int, end: tuple[int, int, int]) -> None:
    assert rules.add_months(datetime(*start, 9, 30, tzinfo=UTC), months) == datetime(*end, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "may"),
    [
        ({}, True),
        ({"expires_at": None}, True),
        ({"expires_at": NOW + SECOND}, True),
        ({"expires_at": NOW}, False),
        ({"frozen_at": NOW}, True),
        ({"revoked_at": NOW}, False),
        ({"released_at": NOW}, False),
        ({"activated_at": None}, False),
        ({"activated_at": None, "provisional_until": NOW + SECOND}, True),
        ({"activated_at": None, "provisional_until": NOW}, False),
    ],
)
def test_a_dead_license_gets_nothing(changes: dict[str, datetime | None], *, may: bool) -> None:
    license = LICENSE.model_copy(update=changes)

    assert rules.may_upgrade(license, device_has_place=True, now=NOW) is may
    assert rules.may_upgrade(license, device_has_place=False, now=NOW) is False


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 100), st.integers(-5, 5)),
        max_size=12,
        unique_by=lambda each: each[0],
    ),
    st.integers(0, 9),
)
def test_what_is_offered_is_always_newer_and_always_applicable(offered: list[tuple[int, int, int]], runs: int) -> None:
    candidates = [
        candidate(f"{major}.0", percent=percent, published_at=NOW + days * DAY) for major, percent, days in offered
    ]
    holder = replace(HOLDER, maintained_until=NOW - DAY)

    choice = choose(*candidates, runs=f"{runs}.0", holder=holder)

    client = Client(version(f"{runs}.0"), "stable", "linux", holder)
    newer = [each for each in candidates if each.version > client.version and rules.is_applicable(each, client, NOW)]
    expected = max(newer, key=lambda each: each.version).id if newer else None
    assert (choice.release_id if choice else None) == expected
