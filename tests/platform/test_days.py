"""Typed days: which moments they begin and end at, in every zone; and moments, which stay what they are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.platform import days

SHANGHAI = ZoneInfo("Asia/Shanghai")
# Zones that changed their clocks at midnight, or are far from UTC on either side.
ZONES = [
    ZoneInfo(name)
    for name in (
        "UTC", "Asia/Shanghai", "America/Sao_Paulo", "Africa/Cairo", "Atlantic/Azores", "Pacific/Kiritimati",
        "Pacific/Niue", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu",
    )
]  # fmt: skip
BOUNDED = st.dates(date(2000, 1, 1), date(8999, 12, 31))


@pytest.mark.parametrize(
    ("text", "zone", "begin", "end"),
    [
        ("2027-01-31", SHANGHAI, "2027-01-30T16:00:00Z", "2027-01-31T16:00:00Z"),
        ("2027-01-31", UTC, "2027-01-31T00:00:00Z", "2027-02-01T00:00:00Z"),
        (" 2027-12-31 ", ZoneInfo("America/New_York"), "2027-12-31T05:00:00Z", "2028-01-01T05:00:00Z"),
        ("2027-03-28", ZoneInfo("Europe/Berlin"), "2027-03-27T23:00:00Z", "2027-03-28T22:00:00Z"),
        ("2028-02-29", UTC, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
        ("2027-01-31T16:00:00Z", SHANGHAI, "2027-01-31T16:00:00Z", "2027-01-31T16:00:00Z"),
        ("2027-01-31 16:00:00.5+08:00", SHANGHAI, "2027-01-31T08:00:00.500Z", "2027-01-31T08:00:00.500Z"),
        ("2027-01-31t23:59z", SHANGHAI, "2027-01-31T23:59:00Z", "2027-01-31T23:59:00Z"),
    ],
)
def test_a_day_has_two_ends_and_a_moment_is_both(text: str, zone: ZoneInfo, begin: str, end: str) -> None:
    typed = days.read(text)

    assert typed.begin(zone) == datetime.fromisoformat(begin)
    assert typed.end(zone) == datetime.fromisoformat(end)
    assert typed.end(zone).utcoffset() == timedelta()


@pytest.mark.parametrize(
    "text",
    [
        "", "20270131", "2027-1-31", "2027-02-30", "2027-W01-1", "1800000000", "2027-01-31T16:00", "２027-01-31", "now",
        "1999-12-31", "9000-01-01", "9999-12-31T23:59:59-23:00", "0001-01-01T00:00:00+23:00", "2027-01-31\n2027-01-31",
    ],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Write a|out of|day|month|range"):
        days.read(text)


@given(BOUNDED, st.sampled_from(ZONES))
def test_a_day_is_what_lies_between_its_ends(day: date, zone: ZoneInfo) -> None:
    begin, end = days.begins_at(day, zone), days.ends_at(day, zone)

    assert begin <= end == days.begins_at(day + timedelta(days=1), zone)
    assert days.day_of(begin, zone) == day
    assert days.day_of(begin - timedelta(microseconds=1), zone) < day
    assert days.last_day(end, zone) == day


def test_an_end_is_said_with_its_zone() -> None:
    end = days.read("2027-01-31").end(SHANGHAI)

    assert days.until(end, SHANGHAI) == "the end of 2027-01-31 in Asia/Shanghai (2027-01-31 16:00 UTC)"
    assert days.until(end + timedelta(hours=1), SHANGHAI) == "2027-01-31 17:00 UTC"
