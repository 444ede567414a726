"""``licsrv reports``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from tests.cli.conftest import FurnishedHouse, Run

REPORTS = ("active-devices", "refusals", "expiries", "usage")
SPAN = ("--from", "2026-01-01", "--to", "2026-12-31")


@pytest.mark.parametrize("report", REPORTS)
def test_every_report_is_shown_and_exported(house: FurnishedHouse, licsrv: Run, tmp_path: Path, report: str) -> None:
    file = tmp_path / f"{report}.csv"

    shown = licsrv("reports", "show", report, *SPAN, "--json").document
    table = licsrv("reports", "show", report, *SPAN)
    wrote = licsrv("reports", "export", report, file, *SPAN, "--json").document

    assert len(shown["days"]) == 365
    assert all(len(series["values"]) == 365 for series in shown["series"])
    assert table.exit_code == 0
    assert wrote == {"file": str(file), "bytes": file.stat().st_size}
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))))
    if report == "expiries":
        assert len(rows) == sum(series["total"] for series in shown["series"]) > 0
    assert not list(tmp_path.glob(".*.draft"))


def test_a_spreadsheet_is_written_where_its_library_is(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    pytest.importorskip("xlsxwriter", reason="XLSXWRITER IS NOT INSTALLED: XLSX FILES ARE LEFT OUT")

    assert licsrv("reports", "export", "expiries", tmp_path / "x.xlsx", *SPAN).exit_code == 0
    assert (tmp_path / "x.xlsx").read_bytes()[:2] == b"PK"


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("show", "nothing"), 2),
        (("show", "usage", "--from", "soon"), 1),
        (("show", "usage", "--by", "product"), 1),
        (("export", "usage", "x.pdf"), 1),
    ],
)
def test_what_cannot_be_is_refused(house: FurnishedHouse, licsrv: Run, words: tuple[str, ...], exit_code: int) -> None:
    ran = licsrv("reports", *words)

    assert (ran.exit_code, bool(ran.err)) == (exit_code, True)
