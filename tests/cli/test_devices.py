"""``licsrv devices``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.cli.conftest import ANN, FurnishedHouse, Run
from tests.cli.furnishing import HOSTILE
from tests.heartbeats.copies import remember_copies


def device_named(licsrv: Run, code: str, name: str) -> str:
    devices = licsrv("devices", "list", code, "--json").document["devices"]
    (device_id,) = [device["id"] for device in devices if device["name"] == name]
    return str(device_id)


def test_the_devices_of_a_license_are_listed(house: FurnishedHouse, licsrv: Run) -> None:
    document = licsrv("devices", "list", house.codes.used, "--json").document

    assert document["code"] == house.codes.used
    assert [device["has_place"] for device in document["devices"]] == [True, True]
    assert "本田の机" in licsrv("devices", "list", house.codes.used).out


def test_a_license_without_devices_says_so(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("licenses", "add", "BY-HAND")

    ran = licsrv("devices", "list", "BY-HAND")

    assert (ran.exit_code, ran.out, ran.err) == (0, "", "No device has asked for this license yet.\n")


def test_a_released_device_gives_its_place_back(house: FurnishedHouse, licsrv: Run) -> None:
    device_id = device_named(licsrv, house.codes.used, HOSTILE)

    ran = licsrv("devices", "release", house.codes.used, device_id, "--reason", "broken", "--json")

    assert ran.exit_code == 0
    assert (ran.document["changed"], ran.document["places_taken"]) == (True, 1)
    assert house.license(house.codes.used).places_taken == 1
    entry = licsrv("audit", "list", "--of", house.codes.used, "--json").document["entries"][0]
    assert (entry["action"], entry["actor"], entry["reason"]) == ("DEVICE_RELEASED", ANN, "broken")
    assert "given back" in licsrv("devices", "list", house.codes.used).out


def test_releasing_a_device_again_changes_nothing(house: FurnishedHouse, licsrv: Run) -> None:
    device_id = device_named(licsrv, house.codes.used, HOSTILE)
    licsrv("devices", "release", house.codes.used, device_id, "--reason", "broken")

    ran = licsrv("devices", "release", house.codes.used, device_id, "--reason", "broken")

    assert (ran.exit_code, "No change needed" in ran.out) == (0, True)
    assert house.license(house.codes.used).places_taken == 1


def test_a_device_of_another_license_is_not_released(house: FurnishedHouse, licsrv: Run) -> None:
    device_id = device_named(licsrv, house.codes.used, HOSTILE)

    ran = licsrv("devices", "release", house.codes.frozen, device_id, "--reason", "broken")

    assert ran.exit_code == 1
    assert ran.err.startswith(f"licsrv: {house.codes.frozen} has no device '{device_id}'.")
    assert house.license(house.codes.used).places_taken == 2


@pytest.mark.parametrize("arguments", [("--reason", " "), ()])
def test_a_reason_is_required(sqlite_house: FurnishedHouse, licsrv: Run, arguments: tuple[str, ...]) -> None:
    assert licsrv("devices", "release", sqlite_house.codes.used, "d", *arguments).exit_code == 2


def test_a_license_file_is_written_for_a_device_and_noted(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    device_id, out = device_named(licsrv, house.codes.used, HOSTILE), tmp_path / "license.lic"

    ran = licsrv("devices", "file", house.codes.used, device_id, "--out", out, "--reason", "No network.", "--json")

    assert ran.exit_code == 0
    assert (ran.document["file"], ran.document["bytes"]) == (str(out), out.stat().st_size)
    assert house.codes.used in out.read_text(encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".draft"] == []
    entry = licsrv("audit", "list", "--of", house.codes.used, "--json").document["entries"][0]
    assert (entry["action"], entry["actor"], entry["reason"]) == ("LICENSE_DOWNLOADED", ANN, "No network.")
    assert entry["detail"] == {"device": device_id, "issued": ran.document["issued_id"]}
    again = licsrv("devices", "file", house.codes.used, device_id, "--out", out, "--reason", "No network.")
    assert again.out.startswith(f"Wrote the license file of device {device_id} to ")


def test_a_clock_is_reset_for_a_device_and_the_file_written(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    device_id, out = device_named(licsrv, house.codes.used, HOSTILE), tmp_path / "reset.jws"
    command = ("devices", "clock-reset", house.codes.used, device_id, "--reason", "Battery.", "--yes")

    ran = licsrv(*command, "--out", out, "--json")

    assert (ran.exit_code, ran.document["changed"], ran.document["file"]) == (0, True, str(out))
    assert out.read_text("ascii").count(".") == 2
    entry = licsrv("audit", "list", "--of", house.codes.used, "--json").document["entries"][0]
    assert (entry["action"], entry["actor"], entry["reason"]) == ("CLOCK_RESET", ANN, "Battery.")
    nowhere = licsrv(*command, "--out", tmp_path / "none" / "reset.jws")
    assert nowhere.exit_code == 1
    assert licsrv("audit", "list", "--of", house.codes.used, "--json").document["entries"][0] == entry
    assert licsrv(*command).out == f"Reset the clock of {device_id}.\n"


def test_a_license_file_that_cannot_be_written_is_not_noted(house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    device_id = device_named(licsrv, house.codes.used, HOSTILE)
    file = ("devices", "file", house.codes.used, device_id, "--reason", "No network.")
    (tmp_path / "other.txt").write_text("AA:BB:CC:DD:EE:FF|OTHER|OTHER|OTHER")

    nowhere = licsrv(*file, "--out", tmp_path / "none" / "license.lic")
    other = licsrv(*file, "--out", tmp_path / "license.lic", "--fingerprint", tmp_path / "other.txt")
    frozen = licsrv("devices", "file", house.codes.frozen, "none", "--reason", "No.", "--out", tmp_path / "x.lic")

    assert [ran.exit_code for ran in (nowhere, other, frozen)] == [1, 1, 1]
    assert "No such file" in nowhere.err
    assert not (tmp_path / "license.lic").exists()
    actions = [entry["action"] for entry in licsrv("audit", "list", "--json").document["entries"]]
    assert "LICENSE_DOWNLOADED" not in actions


def test_one_of_two_copies_is_let_work_and_that_is_taken_back(house: FurnishedHouse, licsrv: Run) -> None:
    code, device_id = house.codes.used, device_named(licsrv, house.codes.used, HOSTILE)
    with house.writing() as session:
        remember_copies(session, device_id, now=datetime.now(UTC))
    command = ("devices", "bless", code, device_id, "0000000a", "--reason", "It is the one in the office.")

    assert f"clones: 1 machine is in use in two copies: {code}." in licsrv("desk").out
    assert "COPY-1" in licsrv("devices", "list", code).out
    done = licsrv(*command, "--json")
    [copied] = licsrv("devices", "list", code, "--json").document["copied"]
    again, back = licsrv(*command), licsrv(*command, "--undo")
    unknown = licsrv("devices", "bless", code, device_id, "0000000c", "--reason", "No.")

    assert (done.exit_code, done.document["changed"], done.document["undo"]["branch"]) == (0, True, "0000000a")
    assert sorted((copy["branch"], copy["is_blessed"]) for copy in copied["copies"]) == [
        ("0000000a", True), ("0000000b", False),
    ]  # fmt: skip
    assert "No change needed" in again.out
    assert "Treat the copy" in back.out
    assert (unknown.exit_code, "no proven copy" in unknown.err) == (1, True)
    entries = licsrv("audit", "list", "--of", code, "--json").document["entries"][:2]
    assert [(entry["action"], entry["actor"]) for entry in entries] == [("COPY_UNBLESSED", ANN), ("COPY_BLESSED", ANN)]


def test_a_released_place_is_given_back_and_none_was_unseen(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    code = sqlite_house.codes.used
    device_id = licsrv("devices", "list", code, "--json").document["devices"][0]["id"]
    licsrv("devices", "release", code, device_id, "--reason", "broken", "--yes")

    restored = licsrv("devices", "restore", code, device_id, "--reason", "by mistake", "--yes", "--json")
    unseen = licsrv("devices", "release-unseen", code, "--reason", "tidy", "--yes")

    assert (restored.exit_code, restored.document["changed"]) == (0, True)
    assert (unseen.exit_code, "No change needed" in unseen.out) == (0, True)
