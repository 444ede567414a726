"""`licsrv search` and what support does at the terminal go through the same use cases as the console."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest

from tests.cli.conftest import FurnishedHouse, Run
from tests.cli.furnishing import HOSTILE
from tests.conftest import DEVICE


def test_a_license_is_found_by_code_and_fingerprint(house: FurnishedHouse, licsrv: Run) -> None:
    by_code = licsrv("search", house.codes.used.lower(), "--json").document
    by_device = licsrv("search", DEVICE, "--json").document

    assert [hit["license"]["code"] for hit in by_code["hits"]] == [house.codes.used]
    assert house.codes.used in [hit["license"]["code"] for hit in by_device["hits"]]
    assert HOSTILE in json.dumps(by_device, ensure_ascii=False)


def test_people_read_a_table_and_what_is_pasted_is_judged(
    sqlite_house: FurnishedHouse, licsrv: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("eyJhbGciOiJub25lIn0.e30.AAAA\n"))

    foreign = licsrv("search", "-")
    shown = licsrv("search", sqlite_house.codes.used)

    assert (foreign.exit_code, "did not issue" in foreign.out) == (0, True)
    assert sqlite_house.codes.used in shown.out
    assert "Nothing was found" in licsrv("search", "nobody at all").err


def test_a_grace_is_given_and_taken_away(house: FurnishedHouse, licsrv: Run) -> None:
    until = (datetime.now(UTC) + timedelta(days=80)).date().isoformat()
    with house.writing() as session:
        from sqlalchemy import update

        from licsrv.licensing.tables import License

        session.execute(update(License).values(expires_at=datetime.now(UTC) - timedelta(days=1)))

    given = licsrv("licenses", "grace", house.codes.used, "--until", until, "--reason", "Renewal is late", "--json")
    taken = licsrv("licenses", "grace", house.codes.used, "--until", "none", "--reason", "Renewed")

    assert given.document["changed"] is True
    assert given.document["license"]["status"] == "ACTIVE"
    assert given.document["undo"]["action"] == "extend_grace"
    assert (taken.exit_code, "It may not be used" in taken.out) == (0, True)
    late = licsrv("licenses", "grace", house.codes.used, "--until", "2099-01-01", "--reason", "too long")
    assert (late.exit_code, "90 days" in late.err) == (1, True)


def test_maintenance_notes_and_issuing_anew(house: FurnishedHouse, licsrv: Run) -> None:
    code = house.codes.used

    kept = licsrv("licenses", "maintenance", code, "--until", "2030-01-31", "--reason", "Bought", "--json")
    noted = licsrv("licenses", "note", code, HOSTILE)
    anew = licsrv("licenses", "reissue", code, "--reason", "It leaked", "--json")
    again = licsrv("licenses", "reissue", code, "--reason", "It leaked")

    assert kept.document["license"]["maintenance_until"] == "2030-01-31T16:00:00Z"
    assert noted.exit_code == 0
    assert anew.document["changed"] is True
    assert "No change needed" in again.out
    actions = [entry["action"] for entry in licsrv("audit", "list", "--of", code, "--json").document["entries"]]
    assert actions[:3] == ["LICENSE_REISSUED", "NOTE_ADDED", "MAINTENANCE_CHANGED"]


@pytest.mark.parametrize("until", ["", "tomorrow", "2027-02-30", "9999-12-31T23:59:59-23:00", "9999-12-31"])
def test_a_moment_that_is_none_is_refused(sqlite_house: FurnishedHouse, licsrv: Run, until: str) -> None:
    ran = licsrv("licenses", "grace", sqlite_house.codes.used, "--until", until, "--reason", "because")

    assert ran.exit_code == 2


def test_an_empty_note_is_refused(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    assert licsrv("licenses", "note", sqlite_house.codes.used, "  ").exit_code == 1
