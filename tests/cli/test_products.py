"""``licsrv products``."""

from __future__ import annotations

import pytest

from tests.cli.conftest import FurnishedHouse, Run


def test_a_product_is_described_and_listed(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv(
        "products", "set", "OFFI1", "--name", "Office One", "--device-limit", 2, "--feature", "cad", "--feature", "dwg",
        "--json",
    )  # fmt: skip

    product = {
        "product_id": "OFFI1", "name": "Office One", "device_limit": 2, "amount_is_places": True,
        "features": ["cad", "dwg"], "second_signature": False, "deliver_as": "auto", "one_off": False,
        "learned_parts": 2, "learned_days": 30, "weak_binding": False, "signed_as": "OFFI1", "former_names": [],
    }  # fmt: skip
    assert (ran.exit_code, ran.document["product"]) == (0, product)
    assert ran.document["changes"]["name"] == {"before": None, "after": "Office One"}
    assert licsrv("products", "list", "--json").document == {"products": [product]}
    assert licsrv("licenses", "show", house.codes.used, "--json").document["license"]["places"] == 4


def test_only_what_is_named_changes_and_is_noted(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--name", "Office One", "--feature", "cad")

    ran = licsrv("products", "set", "OFFI1", "--amount-is-not-places")

    assert ran.out.splitlines() == ["Product OFFI1 is described:", "amount_is_places  yes -> no"]
    entry = licsrv("audit", "list", "--of", "OFFI1", "--json").document["entries"][0]
    assert entry["action"] == "POLICY_CHANGED"
    change = {"places.amount_counts": {"before": None, "after": False}}
    assert entry["detail"] == {"product_id": "OFFI1", "version": 1, **change}


def test_the_same_again_changes_and_notes_nothing(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--name", "Office One")

    ran = licsrv("products", "set", "OFFI1", "--name", "Office One")

    assert (ran.exit_code, "No change needed" in ran.out) == (0, True)
    assert len(licsrv("audit", "list", "--of", "OFFI1", "--json").document["entries"]) == 1


def test_a_new_name_says_whom_it_reaches_and_keeps_the_old_one(house: FurnishedHouse, licsrv: Run) -> None:
    described = licsrv("products", "set", "OFFI1", "--name", "Office One", "--json").document
    assert "renamed" not in described

    ran = licsrv("products", "set", "OFFI1", "--name", "Office 365", "--json")

    renamed = ran.document["renamed"]
    assert (renamed["signed_as"], renamed["former_names"]) == ("OFFI1", ["Office One"])
    assert (renamed["live_licenses"] > 0, renamed["devices"]) == (True, 0)
    assert f"{renamed['live_licenses']} live licenses change their name, and 0 devices have seen" in ran.err
    entry = licsrv("audit", "list", "--of", "OFFI1", "--json").document["entries"][0]
    assert entry["detail"]["name"] == {"before": "Office One", "after": "Office 365"}
    assert "renamed" not in licsrv("products", "set", "OFFI1", "--name", "Office 365", "--json").document


def test_limit_and_features_can_be_taken_away(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("products", "set", "OFFI1", "--device-limit", 2, "--feature", "cad")

    product = licsrv("products", "set", "OFFI1", "--no-device-limit", "--no-features", "--json").document["product"]

    assert (product["device_limit"], product["features"]) == (None, [])


def test_a_product_without_a_name_is_called_by_its_id(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    assert licsrv("products", "set", "OFFI9", "--json").document["product"]["name"] == "OFFI9"


def test_the_longest_id_is_noted(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("products", "set", "p" * 128, "--name", "Long")

    assert ran.exit_code == 0
    entry = licsrv("audit", "list", "--action", "PRODUCT_CHANGED", "--json").document["entries"][0]
    assert entry["detail"]["product_id"] == "p" * 128


def test_a_description_that_no_license_string_could_carry_is_refused(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    features = [word for number in range(20) for word in ("--feature", f"feature-{number:02}" * 4)]

    ran = licsrv("products", "set", "OFFI1", *features)

    assert ran.exit_code == 1
    assert "would be longer than the 1024 characters that can travel" in ran.err
    assert licsrv("products", "list", "--json").document == {"products": []}


@pytest.mark.parametrize(
    "options",
    [
        ("--name", ""), ("--name", "x" * 65), ("--name", "a\x1bb"), ("--device-limit", 0), ("--feature", " "),
        ("--feature", "x" * 101), ("--feature", "=3"),
        ("--feature", "a", "--feature", "a=1"), ("--feature", "a", "--no-features"),
        ("--device-limit", 1, "--no-device-limit"),
        ("--deliver-as", "pigeon"), ("--deliver-as", ""),
    ],
)  # fmt: skip
def test_wrong_options_are_usage_errors(sqlite_house: FurnishedHouse, licsrv: Run, options: tuple[object, ...]) -> None:
    assert licsrv("products", "set", "OFFI1", *options).exit_code == 2
    assert licsrv("products", "list").err.startswith("No product is described yet")


def test_a_product_that_travels_as_a_file_may_have_more_features(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    features = [word for number in range(20) for word in ("--feature", f"feature-{number:02}" * 4)]

    ran = licsrv("products", "set", "OFFI1", *features, "--deliver-as", "file", "--json")

    assert (ran.exit_code, ran.document["product"]["deliver_as"]) == (0, "file")
    back = licsrv("products", "set", "OFFI1", "--deliver-as", "auto")
    assert (back.exit_code, "--deliver-as file" in back.err) == (1, True)


def test_a_second_signature_without_a_key_for_it_says_what_to_do(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("products", "set", "OFFI1", "--second-signature")

    assert (ran.exit_code, "second_signature" in ran.out) == (0, True)
    assert "`licsrv keys new license --algorithm ML-DSA-65`" in ran.err
    doctor = licsrv("doctor", "--offline")
    assert (doctor.exit_code, "--algorithm ML-DSA-65" in doctor.out.replace("\n", " ")) == (1, True)
    licsrv("keys", "new", "license", "--algorithm", "ML-DSA-65")
    assert licsrv("products", "set", "OFFI1", "--second-signature").err == ""
    assert (
        licsrv("products", "set", "OFFI1", "--no-second-signature").out.splitlines()[1] == "second_signature  yes -> no"
    )
