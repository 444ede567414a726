"""``licsrv bulk``."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from licsrv.desk.bulk.tables import BulkJob
from tests.cli.conftest import ANN, FurnishedHouse, Run

REASON = ("--reason", "Charged back.")


def test_a_list_is_tried_dry_started_carried_out_and_told(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    codes, result = tmp_path / "codes.csv", tmp_path / "result.csv"
    codes.write_text(f"code\n{house.codes.used}\n=1+1\n")

    job = licsrv("bulk", "prepare", "revoke", codes, *REASON, "--json").document["job"]
    before = house.license(house.codes.used).revoked_at
    started = licsrv("bulk", "start", job["id"], "--yes", "--json").document["job"]
    ran = licsrv("bulk", "run", "--json").document["jobs"]
    wrote = licsrv("bulk", "result", job["id"], result)

    assert (job["state"], job["planned"]) == ("CHECKED", {"CHANGE": 1, "UNKNOWN": 1})
    assert before is None
    assert started["state"] == "RUNNING"
    assert [(one["id"], one["state"], one["changed"]) for one in ran] == [(job["id"], "FINISHED", 1)]
    assert house.license(house.codes.used).revoked_by == ANN
    assert wrote.exit_code == 0
    rows = list(csv.DictReader(io.StringIO(result.read_text(encoding="utf-8-sig"))))
    assert [(row["given"], row["outcome"]) for row in rows] == [(house.codes.used, "CHANGED"), ("'=1+1", "")]
    assert licsrv("audit", "verify").exit_code == 0


def test_somebody_else_has_to_agree_above_the_limit(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LICSRV_BULK_APPROVAL_ABOVE", "0")
    codes = tmp_path / "codes.txt"
    codes.write_text(house.codes.used)
    job_id = licsrv("bulk", "prepare", "revoke", codes, *REASON, "--json").document["job"]["id"]

    waiting = licsrv("bulk", "start", job_id, "--yes", "--json").document["job"]
    nothing = licsrv("bulk", "run")
    own = licsrv("bulk", "approve", job_id, *REASON)
    renamed = licsrv("bulk", "approve", job_id, *REASON, "--as", "bob")
    monkeypatch.setenv("SUDO_UID", "1235")
    other = licsrv("bulk", "approve", job_id, *REASON, "--as", "bob", "--json").document["job"]

    assert waiting["state"] == "WAITING"
    assert "no job" in nothing.out
    for one in (own, renamed):  # another name is no other person
        assert (one.exit_code, "cannot decide" in one.err) == (1, True)
    assert (other["state"], other["decided_by"]) == ("RUNNING", "terminal:1235 (bob)")
    assert f"{job_id}: FINISHED, 1 license(s) changed." in licsrv("bulk", "run").out


def test_jobs_are_listed_shown_rejected_and_stopped(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    codes = tmp_path / "codes.txt"
    codes.write_text(house.codes.used)
    prepared = licsrv("bulk", "prepare", "set-maintenance", codes, *REASON, "--until", "2030-01-31")
    job_id = licsrv("bulk", "list", "--json").document["jobs"][0]["id"]

    shown = licsrv("bulk", "show", job_id)
    rejected = licsrv("bulk", "reject", job_id, *REASON, "--as", "bob")
    stopped = licsrv("bulk", "stop", job_id, *REASON)

    assert "1 CHANGE" in prepared.out
    assert licsrv("bulk", "show", job_id, "--json").document["job"]["until"] == "2030-01-31T16:00:00Z"
    assert job_id in licsrv("bulk", "list").out
    assert "set_maintenance" in shown.out
    assert (rejected.exit_code, "CHECKED" in rejected.err) == (1, True)
    assert "STOPPED" in stopped.out
    assert house.license(house.codes.used).maintenance_until is None


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        (("show", "nobody"), 1),
        (("start", "nobody", "--yes"), 1),
        (("result", "nobody", "x.csv"), 1),
        (("prepare", "delete", "LIST", *REASON), 2),
        (("prepare", "revoke", "none.csv", *REASON), 2),
        (("prepare", "extend_grace", "LIST", *REASON, "--until", "soon"), 2),
        (("prepare", "extend_grace", "LIST", *REASON), 1),
        (("prepare", "extend", "LIST", *REASON, "--until", "2020-01-31"), 1),
        (("prepare", "extend", "LIST", *REASON, "--until", "2036-01-31", "--terms", '{"places": 1}'), 1),
        (("prepare", "set-terms", "LIST", *REASON), 1),
        (("prepare", "set-terms", "LIST", *REASON, "--terms", "{"), 1),
        (("prepare", "set-terms", "LIST", *REASON, "--terms", '{"places": 0}'), 1),
    ],
)
def test_what_cannot_be_is_refused_with_one_sentence(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path, words: tuple[str, ...], exit_code: int
) -> None:
    (tmp_path / "list.txt").write_text("x")

    ran = licsrv("bulk", *(str(tmp_path / "list.txt") if word == "LIST" else word for word in words))

    assert ran.exit_code == exit_code
    assert ran.err
    assert "Traceback" not in ran.err


def test_an_unexpected_failure_is_logged_beside_the_answer_and_tells_no_values(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    codes = tmp_path / "codes.txt"
    codes.write_text(house.codes.used)
    job_id = licsrv("bulk", "prepare", "revoke", codes, *REASON, "--json").document["job"]["id"]
    licsrv("bulk", "start", job_id, "--yes")
    with house.writing() as session:
        session.get_one(BulkJob, job_id).action = "an action of a later version"[:20]

    ran = licsrv("bulk", "run", "--json")

    assert [(job["state"], job["outcomes"]) for job in ran.document["jobs"]] == [("FINISHED", {"FAILED": 1})]
    assert "a row of bulk work failed and is left out" in ran.err
    assert ("KeyError" in ran.err, "locals" in ran.err) == (True, False)


def test_a_list_of_own_sales_gets_new_terms(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    licsrv("licenses", "add", "OWN-1", "--expires", "2030-01-31")
    codes = tmp_path / "codes.txt"
    codes.write_text(f"OWN-1\n{house.codes.used}\n")
    terms = '{"places": 7, "customer": "Ann & Sons"}'

    prepared = licsrv("bulk", "prepare", "set-terms", codes, *REASON, "--terms", terms, "--json").document["job"]
    licsrv("bulk", "start", prepared["id"], "--yes")
    licsrv("bulk", "run")

    assert prepared["terms"] == {"places": 7, "customer": "Ann & Sons"}
    assert prepared["planned"] == {"CHANGE": 1, "REFUSED": 1}
    changed = house.license("OWN-1")
    assert (changed.device_limit, changed.customer) == (7, "Ann & Sons")
    assert house.license(house.codes.used).device_limit is None
