"""Devices as fingerprints, bound to the client by the shared vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from licsrv.errors import InvalidRequestError
from licsrv.licensing import fingerprints
from licsrv.licensing.fingerprints import Agreement, Part
from licsrv.licensing.issuing import strings

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "device_match.json").read_text("utf-8"))
KEY = b"k" * 32
WORDS = {
    "matches": {Agreement.AGREES},
    "differs": {Agreement.DIFFERS},
    "absent": {Agreement.NOT_GIVEN, Agreement.NOT_KNOWN},
}


def named(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", VECTORS[section], ids=lambda case: case.get("name"))


def full_text(case: dict[str, Any]) -> str:
    unit, times = case.get("append", ["", 0])
    return str(case["text"]) + str(unit) * int(times)


def hashed(text: str) -> dict[str, list[str]]:
    return fingerprints.hash_parts(fingerprints.parse(text), key=KEY)


@named("normal_forms")
def test_a_device_text_has_one_normal_form(case: dict[str, Any]) -> None:
    expected = {}
    unit, times = case.get("append", ["", 0])
    for part in Part:
        listed = case["normal"][part]
        values = listed if isinstance(listed, list) else [listed] if listed else []
        if values:
            expected[part] = {unit * times if value == "@appended" else value for value in values}
    if not expected:
        with pytest.raises(InvalidRequestError):  # a device that cannot be told apart gets no license bound to it
            fingerprints.parse(full_text(case))
        return

    facts = fingerprints.parse(full_text(case))

    assert {part: set(values) for part, values in facts.values.items()} == expected


@named("refused")
def test_what_is_no_device_text_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError):
        fingerprints.parse(full_text(case))


@named("bindings")
def test_a_device_has_one_claim_per_salt(case: dict[str, Any]) -> None:
    if set(case["dev"]) == {"v", "s"}:
        return  # refused before it gets here

    claim = strings.device_claim(fingerprints.parse(case["text"]), salt=bytes.fromhex(case["salt_hex"]), most=8)

    assert claim == case["dev"]


@named("pairs")
def test_two_devices_compare_part_by_part(case: dict[str, Any]) -> None:
    try:
        known, given_parts = hashed(case["registered"]), hashed(case["presented"])
    except InvalidRequestError:
        return  # a device without facts gets no license here, so the question does not arise

    match = fingerprints.match(known, given_parts)

    assert match.is_same_device is case["same"]
    assert match.agreeing == case["agreeing"]
    for part, word in case["parts"].items():
        assert match.parts[Part(part)] in WORDS[word], part


def test_raw_values_show_up_nowhere() -> None:
    facts = fingerprints.parse("04:7C:16:5E:E3:5D|SECRET-DISK|BOARD|CPU")

    assert "SECRET" not in repr(facts)
    assert "SECRET" not in json.dumps(fingerprints.hash_parts(facts, key=KEY))


def test_another_key_gives_other_hashes() -> None:
    facts = fingerprints.parse("04:7C:16:5E:E3:5D|D|B|C")

    assert fingerprints.hash_parts(facts, key=KEY) != fingerprints.hash_parts(facts, key=b"x" * 32)


def test_a_device_is_looked_up_by_its_cpu_only_when_it_has_nothing_else() -> None:
    assert fingerprints.selective_parts(hashed("|||CPU")) == hashed("|||CPU")["cpu"]
    assert hashed("M|||CPU")["cpu"][0] not in fingerprints.selective_parts(hashed("M|||CPU"))


values = st.lists(st.sampled_from(["A1", "B2", "C3", "D4", "E5"]), max_size=3).map(",".join)
texts = st.tuples(values, values, st.sampled_from(["", "X", "Y"]), st.sampled_from(["", "P", "Q"])).map("|".join)


@given(texts, texts)
def test_devices_that_are_the_same_share_a_part_by_which_they_are_found(known: str, given_text: str) -> None:
    try:
        left, right = hashed(known), hashed(given_text)
    except InvalidRequestError:
        return

    if fingerprints.match(left, right).is_same_device:
        # A device known by its CPU alone is found by it, and whoever is it presents the CPU.
        found_by = set(fingerprints.lookup_parts(right))
        assert found_by & set(fingerprints.selective_parts(left))


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        fingerprints.parse(text)
    except InvalidRequestError:
        return
