"""Entitlements: what people type is stored in one form, granted in one way, and never becomes more than was meant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.licensing import entitlements
from licsrv.licensing.entitlements import Entitlement
from tests.tables import each

SHANGHAI = ZoneInfo("Asia/Shanghai")
NOW = datetime(2027, 3, 1, tzinfo=UTC)
END = datetime(2027, 3, 31, 16, tzinfo=UTC)
_NAMES = st.sampled_from(["draw", "export", "solver"])
_GRANTS = st.builds(
    Entitlement,
    _NAMES,
    st.none() | st.sampled_from(["3", "10", "full"]),
    st.none() | st.sampled_from([NOW - timedelta(days=1), NOW, NOW + timedelta(seconds=1), END]),
)


TYPED = (
    (" draw ", "draw"),
    ("export = 3", "export=3"),
    ("solver until 2027-03-31", "solver until 2027-03-31T16:00:00Z"),
    ("solver=9  UNTIL 2027-03-31T23:59:59.7+08:00", "solver=9 until 2027-03-31T15:59:59Z"),
    ("view a=b=c", "view a=b=c"),
)
REFUSED = (
    "=3",
    "until 2027-03-31",
    "draw until",
    "Until",
    "export=",
    "solver until tomorrow",
    "solver until 2027-03-31 until 2028-01-01",
    "a,b",
    "",
)
PRODUCT = ["draw", "export=3", "solver until 2027-03-31T16:00:00Z"]
OWN: tuple[tuple[list[str] | None, list[str]], ...] = (
    (None, PRODUCT),
    ([], []),
    (["export"], ["export=3"]),
    (["export=10", "draw"], ["draw", "export=10"]),
    (["solver=2 until 2028-01-01T00:00:00Z", "gone"], ["solver=2 until 2028-01-01T00:00:00Z"]),
)


def test_what_is_typed_is_stored_in_one_form() -> None:
    for row in each(TYPED):
        with row as (typed, stored):
            assert entitlements.canonical(typed, SHANGHAI) == stored
            assert entitlements.read(stored).text == stored
            assert entitlements.canonical(stored) == stored


def test_what_cannot_be_read_is_refused_and_grants_nothing_where_it_is_stored() -> None:
    for row in each(REFUSED):
        with row as typed:
            with pytest.raises(ValueError, match=r"^Write"):
                entitlements.canonical(typed, SHANGHAI)
            # Only a name for which no program asks.
            assert entitlements.claims([typed], at=NOW) == {"feat": [typed]}
    with pytest.raises(ValueError, match="as a moment"):
        entitlements.canonical("solver until 2027-03-31")


def test_a_license_says_its_own_value_and_end_of_what_its_product_has() -> None:
    for row in each(OWN):
        with row as (own, granted):
            assert entitlements.of_license(own, PRODUCT) == granted
            assert [text for text, is_granted in entitlements.choices(own, PRODUCT) if is_granted] == granted
    assert entitlements.unknown(["draw", "gone=1"], PRODUCT) == ["gone"]
    assert entitlements.twice(["draw", "export=3", "export"]) == "export"


@given(st.lists(_GRANTS, unique_by=lambda one: one.name))
def test_claims_say_what_is_granted_and_what_has_ended_is_not_among_it(granted: list[Entitlement]) -> None:
    claims = entitlements.claims([one.text for one in granted], at=NOW)
    lasting = [one for one in granted if one.ends_at is None or one.ends_at > NOW]

    assert sorted(entitlements.of_claims(claims), key=str) == sorted(lasting, key=str)
    # A program that knows no ends gets only what has none.
    assert claims["feat"] == [one.name for one in granted if one.ends_at is None]


SOON, LATE = "2027-03-31T16:00:00Z", "2028-03-31T16:00:00Z"
LESS: tuple[tuple[str, list[str], bool], ...] = (
    ("draw", ["export", "draw"], False),
    ("draw", [], True),
    ("export=3", ["export=10"], False),
    ("export=10", ["export=9"], True),
    ("export=full", ["export=basic"], True),
    ("export=3", ["export"], True),
    ("export", ["export=3"], True),
    (f"solver until {SOON}", [f"solver until {LATE}"], False),
    (f"solver until {LATE}", [f"solver until {SOON}"], True),
    (f"solver until {LATE}", ["solver"], False),
    ("solver", [f"solver until {LATE}"], True),
    (f"solver=3 until {SOON}", [f"solver=4 until {LATE}"], False),
)


def test_less_is_told_from_more() -> None:
    for row in each(LESS):
        with row as (had, has, is_less):
            assert entitlements.exceeds([entitlements.read(had)], has) is is_less
