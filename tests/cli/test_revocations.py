"""``licsrv revocations``."""

from __future__ import annotations

from pathlib import Path

import pytest

from licsrv.licensing.key_folder import KeyFolder
from tests.cli.conftest import FurnishedHouse, Run
from tests.licensing.reading import license_entry, read_list


def test_the_list_is_shown_with_its_latest_changes(house: FurnishedHouse, licsrv: Run) -> None:
    before = licsrv("revocations", "show", "--json").document

    licsrv("licenses", "revoke", house.codes.used, "--reason", "Charged back.", "--yes")

    after = licsrv("revocations", "show", "--json").document
    assert (after["number"], after["entries"]) == (before["number"] + 1, before["entries"] + 1)
    newest = after["changes"][0]
    assert (newest["action"], newest["number"]) == ("add", after["number"])
    assert newest["entry"] == license_entry(house.license(house.codes.used).id).hex()
    shown = licsrv("revocations", "show", "--limit", 1).out
    assert f"The list has the number {after['number']} and {after['entries']} entries" in shown
    assert newest["entry"] in shown


def test_the_furnished_house_lists_what_was_released(house: FurnishedHouse, licsrv: Run) -> None:
    assert licsrv("revocations", "show", house.codes.parked, "--json").document["is_listed"] is True
    assert "is not on the list" in licsrv("revocations", "show", house.codes.used).out
    assert licsrv("revocations", "show", "NOBODY").exit_code == 1


def test_what_a_device_gave_back_is_told_with_its_license(house: FurnishedHouse, licsrv: Run) -> None:
    device = licsrv("devices", "list", house.codes.used, "--json").document["devices"][0]["id"]

    licsrv("devices", "release", house.codes.used, device, "--reason", "Lost.", "--yes")

    ran = licsrv("revocations", "show", house.codes.used)
    assert " of its strings and files " in ran.out
    assert ": issued to devices that gave their place back." in ran.out


def test_the_list_is_carried_to_a_site_without_network(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    file, delta = tmp_path / "list.jose", tmp_path / "delta.jose"
    first = licsrv("revocations", "export", file, "--json").document
    licsrv("licenses", "revoke", house.codes.used, "--reason", "Charged back.", "--yes")

    ran = licsrv("revocations", "export", delta, "--since", first["number"])
    again = licsrv("revocations", "export", file)

    jwks = KeyFolder(tmp_path / "keys").read().jwks()
    whole, changed = read_list(file.read_text(), jwks), read_list(delta.read_text(), jwks)
    entry = license_entry(house.license(house.codes.used).id)
    assert (changed.head["since"], changed.add) == (first["number"], [entry])
    assert (whole.head["since"], entry in whole.add) == (0, True)
    assert whole.head["number"] == changed.head["number"] == first["number"] + 1
    assert f"Wrote what changed from {first['number']} to {whole.head['number']} to" in " ".join(ran.out.split())
    assert again.exit_code == 0
    assert {path.name for path in tmp_path.iterdir() if "draft" in path.name} == set()


@pytest.mark.parametrize(("since", "exit_code"), [(-1, 2), ("x", 2), (999, 1)])
def test_a_number_that_no_list_has_is_refused(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, since: object, exit_code: int
) -> None:
    ran = licsrv("revocations", "export", tmp_path / "x.jose", "--since", since)

    assert ran.exit_code == exit_code
    assert not (tmp_path / "x.jose").exists()


def test_a_folder_that_is_not_there_is_one_sentence(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    ran = licsrv("revocations", "export", tmp_path / "nowhere" / "x.jose")

    assert (ran.exit_code, ran.err.count("\n")) == (1, 1)


def test_after_a_restore_the_number_goes_on_beyond_every_list_handed_out(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    before = licsrv("revocations", "export", tmp_path / "list.jose", "--json").document["number"]

    moved = licsrv("revocations", "after-restore", "--reason", "Backup put back.", "--yes", "--json").document["number"]
    licsrv("licenses", "revoke", house.codes.used, "--reason", "Charged back.", "--yes")
    licsrv("revocations", "export", tmp_path / "delta.jose", "--since", before + 7)

    jwks = KeyFolder(tmp_path / "keys").read().jwks()
    delta = read_list((tmp_path / "delta.jose").read_text(), jwks)
    assert moved > before + 999_999
    assert (delta.head["since"], delta.head["number"]) == (before + 7, moved + 1)
    assert delta.add == [license_entry(house.license(house.codes.used).id)]
    assert licsrv("audit", "verify").exit_code == 0
