"""``licsrv devices``."""

from __future__ import annotations

import pytest

from tests.cli.conftest import FurnishedHouse, Run
from tests.cli.furnishing import HOSTILE


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
    assert (entry["action"], entry["actor"], entry["reason"]) == ("DEVICE_RELEASED", "staff:ann", "broken")
    assert "given back" in licsrv("devices", "list", house.codes.used).out


def test_releasing_a_device_again_changes_nothing(house: FurnishedHouse, licsrv: Run) -> None:
    device_id = device_named(licsrv, house.codes.used, HOSTILE)
    licsrv("devices", "release", house.codes.used, device_id, "--reason", "broken")

    ran = licsrv("devices", "release", house.codes.used, device_id, "--reason", "broken")

    assert (ran.exit_code, "gave its place back already" in ran.out) == (0, True)
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
