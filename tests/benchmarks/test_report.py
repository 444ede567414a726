"""The table: verdicts at the very target, quantities that mean something, three forms of one result."""

from __future__ import annotations

import json

import pytest

from benchmarks.report import Figure, Report, Target, at_least, at_most

REPORT = Report(
    {"cores": "2"},
    "full",
    [
        Figure("heartbeat", "share of a bare route", 0.3, "×", at_least(0.27)),
        Figure("heartbeat", "p99", 30.04, "ms", at_most(25)),
        Figure("heartbeat", "check-ins", 6543.21, "/s"),
    ],
    ["Read this first."],
)


@pytest.mark.parametrize(
    ("target", "measured", "verdict"),
    [
        (at_least(0.27), 0.27, "pass"),
        (at_least(0.27), 0.2699, "MISS"),
        (at_most(25), 25.0, "pass"),
        (at_most(25), 25.01, "MISS"),
        (None, 1.0, ""),
    ],
)
def test_the_target_itself_is_good_and_a_hair_beyond_it_is_not(
    target: Target | None, measured: float, verdict: str
) -> None:
    assert Figure("path", "name", measured, target=target).verdict == verdict


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [(0.2749, "×", "0.27 ×"), (24.96, "ms", "25.0 ms"), (6543.21, "/s", "6,543 /s"), (4, "", "4"), (0, "%", "0 %")],
)
def test_quantities_are_shown_with_as_many_digits_as_mean_something(value: float, unit: str, shown: str) -> None:
    assert Figure("path", "name", value, unit).cells()[2] == shown


def test_the_text_ends_in_the_table_and_says_how_many_targets_are_met() -> None:
    text = REPORT.text()

    assert "1 of 2 targets met." in text
    assert "Read this first." in text
    assert text.splitlines()[-2].split() == ["heartbeat", "p99", "30.0", "ms", "≤", "25", "ms", "MISS"]


def test_markdown_has_a_row_for_each_figure() -> None:
    rows = [line for line in REPORT.markdown().splitlines() if line.startswith("|")]

    assert len(rows) == 2 + len(REPORT.figures)
    assert rows[2] == "| heartbeat | share of a bare route | 0.30 × | ≥ 0.27 × | pass |"


def test_json_holds_unrounded_values_and_only_judges_where_there_is_a_target() -> None:
    first, _, last = json.loads(REPORT.json())["figures"]

    assert first["target"] == {"bound": "at_least", "value": 0.27}
    assert first["met"] is True
    assert last["value"] == 6543.21
    assert "met" not in last
