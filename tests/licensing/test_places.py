"""How many devices a license has room for, and which device gets a place."""

from __future__ import annotations

from dataclasses import replace

import pytest

from licsrv.errors import DeviceLimitError, LicenseExpiredError
from licsrv.licensing.places import Admission, Bought, HeldPlaces, KnownDevice, PlaceRules, limit
from licsrv.licensing.traces import Rule
from licsrv.words import explanations as words
from tests.conftest import NOW
from tests.licensing.test_lifecycle import ACTIVE


@pytest.mark.parametrize(
    ("device_limit", "amount", "product", "expected"),
    [
        (None, None, PlaceRules(None, 3), 3),
        (None, 5, PlaceRules(None, 3), 5),
        (None, 0, PlaceRules(None, 3), 3),
        (7, 5, PlaceRules(2, 3), 7),
        (None, 5, PlaceRules(2, 3), 10),
        (None, 5, PlaceRules(2, 3, amount_counts=False), 2),
        (None, 5, PlaceRules(None, 3, amount_counts=False), 3),
        (None, None, PlaceRules(2, 3), 2),
    ],
)
def test_a_limit_comes_from_the_license_its_amount_its_product_or_the_setting(
    device_limit: int | None, amount: int | None, product: PlaceRules, expected: int
) -> None:
    assert limit(Bought(device_limit, amount), product) == expected


PARTS = {"mac": ["m"], "disk": ["d"], "board": ["b"], "cpu": ["c"]}
KNOWN = KnownDevice("device", PARTS, has_place=True)
GONE = KnownDevice("gone", PARTS, has_place=False)
STRANGER = {"mac": ["x"], "disk": ["y"], "board": ["b"]}


def decide(devices: list[KnownDevice], given: dict[str, list[str]], taken: int, limit: int) -> Admission:
    return HeldPlaces(limit, taken).decide(ACTIVE, devices, given, now=NOW)


def test_a_known_device_is_served_when_the_license_is_full() -> None:
    admission = decide([KNOWN], PARTS, 1, 1)

    assert (admission.device_id, admission.takes_place) == ("device", False)


def test_a_known_device_of_a_floating_license_is_told_that_it_needs_no_place() -> None:
    admission = HeldPlaces(2, 1, PlaceRules(floating=True)).decide(ACTIVE, [KNOWN], PARTS, now=NOW)

    assert [step.template for step in admission.trace if step.rule is Rule.PLACE] == [words.FLOATS]


def test_a_new_device_takes_a_free_place() -> None:
    assert decide([KNOWN], STRANGER, 1, 2).takes_place is True


def test_a_new_device_is_refused_when_the_license_is_full_and_learns_how_it_differs() -> None:
    with pytest.raises(DeviceLimitError) as caught:
        decide([KNOWN], STRANGER, 1, 1)

    assert caught.value.extra["parts"] == {"mac": "differs", "disk": "differs", "board": "agrees", "cpu": "not given"}
    assert (caught.value.extra["places"], caught.value.extra["places_taken"]) == (1, 1)


def test_a_device_that_gave_its_place_back_takes_one_again_if_there_is_one() -> None:
    admission = decide([GONE], PARTS, 0, 1)

    assert (admission.device_id, admission.takes_place) == ("gone", True)
    with pytest.raises(DeviceLimitError):
        decide([GONE], PARTS, 1, 1)


def test_a_license_that_may_not_be_used_is_refused_before_its_places_are_counted() -> None:
    with pytest.raises(LicenseExpiredError):
        HeldPlaces(1, 1).decide(replace(ACTIVE, expires_at=NOW), [KNOWN], PARTS, now=NOW)
