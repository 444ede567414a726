"""`licsrv search` and what support does at the terminal go through the same use cases as the console."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

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


def test_what_a_device_would_get_is_explained_at_a_date_and_under_a_policy(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, stranger = house.codes.used, "04:7C:16:00:00:77|WD-77|BOARD-77|CPU-77"
    policy = tmp_path / "policy.json"
    policy.write_text('{"places.amount_counts": false, "places.limit": 9}')

    shown = licsrv("explain", code, "--device", stranger)
    now = licsrv("explain", code, "--device", stranger, "--json").document
    then = licsrv("explain", code, "--device", stranger, "--policy", policy, "--json").document
    late = licsrv("explain", code, "--device", stranger, "--at", "2099-01-31", "--json").document
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{stranger}\n"))
    piped = licsrv("explain", code, "--device", "-", "--json").document

    assert (shown.exit_code, "2 of 2 places are taken, so it gets none." in shown.out) == (0, True)
    assert (now["gets_license"], now["code"]) == (False, "DEVICE_LIMIT_REACHED")
    assert piped["trace"] == now["trace"]
    assert (then["gets_license"], then["places"]) == (True, 9)
    assert (late["at"], late["code"]) == ("2099-01-30T16:00:00Z", "LICENSE_EXPIRED")


@pytest.mark.parametrize("policy", ["", "[]", "{", '{"places.limit": 0}', '{"x": 1}'])
def test_a_file_that_is_no_policy_is_refused(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, policy: str
) -> None:
    file = tmp_path / "policy.json"
    file.write_text(policy)

    ran = licsrv("explain", sqlite_house.codes.used, "--device", "A|B|C|D", "--policy", file)

    assert (ran.exit_code, "policy" in ran.err.lower()) == (1, True)
    assert "Traceback" not in ran.err
