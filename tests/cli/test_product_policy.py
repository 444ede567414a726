"""``licsrv products policy``."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.conftest import FurnishedHouse, Run

WHY = ("--reason", "Repairs are frequent.")


@pytest.fixture(autouse=True)
def product(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--name", "Office One")


def values(ran: object) -> dict[str, tuple[object, bool]]:
    document = ran.document  # type: ignore[attr-defined]
    shown = document.get("policy", document)["values"]
    return {one["name"]: (one["value"], one["is_stated"]) for one in shown}


def test_it_says_what_each_value_means_and_who_says_it(licsrv: Run) -> None:
    shown = licsrv("products", "policy", "OFFI1")

    text = " ".join(shown.out.split())
    assert "time.grace_hours 168 LICSRV_LEASE_GRACE_HOURS" in text
    assert "recognition.learned_parts 2 built in" in text
    document = licsrv("products", "policy", "OFFI1", "--json").document
    grace = next(one for one in document["values"] if one["name"] == "time.grace_hours")
    assert grace["says"]["en"] == "A device works for 168 hours without contact."
    assert (document["version"], document["can_be_undone"]) == (0, False)


def test_a_change_is_a_version_and_can_be_undone(licsrv: Run) -> None:
    changed = licsrv("products", "policy", "OFFI1", "--set", "moves.per_place=1", "--set", "time.grace_hours=48.5",
                     "--set", "recognition.weak_binding=yes", *WHY, "--json")  # fmt: skip

    assert (changed.exit_code, changed.document["changed"]) == (0, True)
    assert values(changed)["time.grace_hours"] == (48.5, True)
    assert values(changed)["recognition.weak_binding"] == (True, True)
    undone = licsrv("products", "policy", "OFFI1", "--undo", *WHY, "--json")
    assert values(undone)["moves.per_place"] == (4, False)
    assert [one["restores"] for one in undone.document["policy"]["versions"]] == [0, None]
    actions = [one["action"] for one in licsrv("audit", "list", "--of", "OFFI1", "--json").document["entries"]]
    assert actions == ["POLICY_CHANGED", "POLICY_CHANGED", "PRODUCT_CHANGED"]


def test_the_options_of_set_are_the_same_values(licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--device-limit", 3, "--learned-parts", 0, "--weak-binding")

    shown = values(licsrv("products", "policy", "OFFI1", "--json"))
    assert (shown["places.limit"], shown["recognition.learned_parts"]) == ((3, True), (0, True))
    licsrv("products", "policy", "OFFI1", "--set", "places.limit=default", *WHY)
    assert licsrv("products", "list", "--json").document["products"][0]["device_limit"] is None


def test_a_file_names_every_problem_at_once(licsrv: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text(json.dumps({"moves.per_place": -1, "colour": "red", "time.grace_hours": [], "places.limit": 2}))

    ran = licsrv("products", "policy", "OFFI1", "--file", file, *WHY)

    assert ran.exit_code == 1
    for name in ("moves.per_place", "colour", "time.grace_hours"):
        assert name in ran.err
    assert "places.limit" not in ran.err
    assert licsrv("products", "policy", "OFFI1", "--json").document["version"] == 0


def test_a_file_changes_what_it_names(licsrv: Run, tmp_path: Path) -> None:
    file = tmp_path / "policy.json"
    file.write_text('{"moves.per_place": 1}')
    licsrv("products", "policy", "OFFI1", "--set", "places.limit=2", *WHY)

    shown = values(licsrv("products", "policy", "OFFI1", "--file", file, *WHY, "--json"))

    assert (shown["moves.per_place"], shown["places.limit"]) == ((1, True), (2, True))
    schema = licsrv("products", "policy", "OFFI1", "--schema").document
    assert schema["properties"]["moves.per_place"]["maximum"] == 10_000


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"a":1,"a":2}', b"\xff\xfe{", b"{" * 500, b" " * 70_000])
def test_a_file_that_is_no_policy_is_refused(licsrv: Run, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "policy.json"
    file.write_bytes(content)

    assert licsrv("products", "policy", "OFFI1", "--file", file, *WHY).exit_code == 2


WRONG = [
    ("--set", "moves.per_place"), ("--set", "=1"), ("--undo", "--set", "places.limit=1"),
    ("--set", "places.limit=1", "--set", "places.limit=2"),
]  # fmt: skip


@pytest.mark.parametrize("options", [*[(*one, *WHY) for one in WRONG], ("--set", "places.limit=1")])
def test_wrong_options_are_usage_errors(licsrv: Run, options: tuple[str, ...]) -> None:
    assert licsrv("products", "policy", "OFFI1", *options).exit_code == 2


def test_a_contradiction_and_an_unknown_product_are_refused(licsrv: Run) -> None:
    contradicts = licsrv("products", "policy", "OFFI1", "--set", "time.check_in_hours=200", *WHY)
    unknown = licsrv("products", "policy", "OFFI2")
    undo = licsrv("products", "policy", "OFFI1", "--undo", *WHY)

    assert (contradicts.exit_code, "time.grace_hours" in contradicts.err) == (1, True)
    assert (unknown.exit_code, "licsrv products set" in unknown.err) == (1, True)
    assert (undo.exit_code, "no earlier version" in undo.err) == (1, True)


def test_a_dry_run_says_whom_it_concerns_and_changes_nothing(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("products", "policy", "OFFI1", "--set", "moves.per_place=0", "--dry-run", "--json")

    preview = ran.document
    assert preview["devices"] >= 1
    [effect] = preview["effects"]
    assert effect["count"] == preview["devices"]
    assert effect["devices"][0]["code"] == sqlite_house.codes.used
    assert "give" in licsrv("products", "policy", "OFFI1", "--set", "moves.per_place=0", "--dry-run").out
    assert licsrv("products", "policy", "OFFI1", "--json").document["version"] == 0


def test_a_damaged_policy_is_named_by_doctor_and_mended_by_an_undo(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("products", "policy", "OFFI1", "--set", "moves.per_place=1", *WHY)
    with closing(sqlite3.connect(sqlite_house.url.removeprefix("sqlite:///"))) as connection, connection:
        connection.execute("UPDATE policy_versions SET stated = '{'")

    found = licsrv("doctor")
    shown = licsrv("products", "policy", "OFFI1")
    undone = licsrv("products", "policy", "OFFI1", "--undo", *WHY)

    assert "The policy of OFFI1 is damaged" in " ".join(found.out.split())
    assert (shown.exit_code, "is damaged" in shown.err) == (0, True)
    assert (undone.exit_code, undone.err) == (0, "")
    assert "Every policy can be read." in licsrv("doctor").out
