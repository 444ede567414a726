"""``licsrv seats``, and the seats on the license page of the terminal."""

from __future__ import annotations

from datetime import timedelta

from licsrv.desk.licenses.actions.answers import ActionAnswer
from licsrv.desk.licenses.seats import SeatsShown
from licsrv.platform.clock import Clock
from licsrv.seats.tables import Seat, Waiting
from tests.cli.conftest import ANN, FurnishedHouse, Run
from tests.cli.furnishing import HOSTILE


def floats(house: FurnishedHouse, licsrv: Run) -> str:
    """Let the places of a license float, with a seat in use and a program that waits; return its code."""
    code = house.codes.used
    licsrv("products", "set", "OFFI1", "--name", "CADPRO")
    licsrv("products", "policy", "OFFI1", "--set", "places.floating=yes", "--reason", "teams")
    devices = licsrv("devices", "list", code, "--json").document["devices"]
    first, second = sorted(devices, key=lambda one: one["name"] != HOSTILE)
    now, license_id = Clock().now(), house.license(code).id
    until = now + timedelta(minutes=9)
    with house.writing() as session:
        session.add(
            Seat(id="seat1", license_id=license_id, device_id=first["id"], session="s", holder="h", since=now,
                 until=until, seconds=900)
        )  # fmt: skip
        session.add(Waiting(license_id=license_id, holder="w", device_id=second["id"], since=now, until=until))
    return code


def test_seats_and_the_line_are_listed_and_are_on_the_license_page(house: FurnishedHouse, licsrv: Run) -> None:
    code = floats(house, licsrv)

    found = licsrv("seats", "list", code, "--json").document["seats"]
    for text in (licsrv("seats", "list", code).out, licsrv("licenses", "show", code).out):
        assert "1 of 2 seats in use." in text
        assert "本田の机" in text

    assert [(one["id"], one["name"]) for one in found["held"]] == [("seat1", HOSTILE)]
    assert [(one["position"], one["name"]) for one in found["line"]] == [(1, "本田の机")]


def test_a_seat_is_freed_for_a_reason_and_a_license_of_fixed_places_has_none(
    sqlite_house: FurnishedHouse, licsrv: Run
) -> None:
    code = floats(sqlite_house, licsrv)

    listed = licsrv("seats", "list", code, "--json").document["seats"]
    freed = licsrv("seats", "free", code, "seat1", "--reason", "hangs", "--yes")
    answer = licsrv("seats", "free", code, "seat1", "--reason", "hangs", "--yes", "--json").document
    again = licsrv("seats", "free", code, "seat1", "--reason", "hangs", "--yes")
    fixed = licsrv("seats", "list", sqlite_house.codes.frozen)

    assert (freed.exit_code, "Free seat seat1" in freed.out) == (0, True)
    assert SeatsShown.model_validate(listed).model_dump(mode="json") == listed
    assert ActionAnswer.model_validate(answer).model_dump(mode="json") == answer
    assert "No change needed" in again.out
    assert "0 of 2 seats in use." in licsrv("seats", "list", code).out
    entry = licsrv("audit", "list", "--of", code, "--json").document["entries"][0]
    assert (entry["action"], entry["actor"], entry["reason"]) == ("SEAT_FREED", ANN, "hangs")
    assert fixed.exit_code == 0


def test_explain_says_that_places_float(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    code = floats(sqlite_house, licsrv)

    out = licsrv("explain", code, "--device", "AA:AA:AA:AA:AA:01|NEW-DISK-1|NEW-BOARD-1|CPU").out
    document = licsrv("explain", code, "--device", "AA:AA:AA:AA:AA:01|NEW-DISK-1|NEW-BOARD-1|CPU", "--json").document

    assert "The 2 seats of the license float" in out
    assert "1 of 2 taken" in out
    assert (document["floating"], document["places"], document["places_taken"]) == (True, 2, 1)
