"""Devices as fingerprints, bound to the client by the shared vectors."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from client_stub.trust import devices as device_rules
from client_stub.trust import shared_values as client_values
from licsrv.errors import InvalidRequestError
from licsrv.licensing import fingerprints, shared_values
from licsrv.licensing.fingerprints import Agreement, Part
from licsrv.licensing.issuing import strings
from tests.tables import each

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


def registered(case: dict[str, Any]) -> dict[str, list[str]]:
    before = case.get("registered_before")
    if before is None:
        return hashed(case["registered"])
    facts = fingerprints.DeviceFacts({Part(part): tuple(values) for part, values in before.items()})
    return fingerprints.hash_parts(facts, key=KEY)


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
        known, given_parts = registered(case), hashed(case["presented"])
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
    assert fingerprints.selective_parts(hashed("|||CPU-1")) == hashed("|||CPU-1")["cpu"]
    assert hashed("M1|||CPU-1")["cpu"][0] not in fingerprints.selective_parts(hashed("M1|||CPU-1"))


values = st.lists(st.sampled_from(["A1", "B2", "C3", "D4", "E5"]), max_size=3).map(",".join)
texts = st.tuples(values, values, st.sampled_from(["", "X1", "Y2"]), st.sampled_from(["", "P1", "Q2"])).map("|".join)


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


CONSTANTS = st.sampled_from(
    [
        "QM00001", "QM00007", "drive-scsi0", "persistent-disk-0", "123456789", "00000000", "None.", "无", "FIRMWARE-7",
        "WD-0001", "To be filled by O.E.M.", "Not Specified 1", "00:05:9A:3C:7A:00", "XXXX",
    ]
)  # fmt: skip
OWN_MACS = st.integers(0, 2**22 - 1).map(lambda number: f"3C5282{number:06X}")


@given(OWN_MACS, OWN_MACS, CONSTANTS, st.sampled_from(["disk", "board"]), st.booleans())
def test_no_two_machines_that_share_a_cpu_and_one_constant_are_one(
    mac: str, other: str, constant: str, part: str, with_disks_of_their_own: bool
) -> None:
    assume(mac != other)

    def machine(own_mac: str) -> str:
        own_disk = f"WD-{own_mac}" if with_disks_of_their_own and part == "board" else ""
        disk, board = (constant, "") if part == "disk" else (own_disk, constant)
        return f"{own_mac}|{disk}|{board}|BFEBFBFF000906EA"

    one, another = hashed(machine(mac)), hashed(machine(other))

    assert not fingerprints.is_same_device(one, another)
    assert not fingerprints.match(one, another).is_same_device
    assert fingerprints.is_same_device(one, one)


@given(st.permutations([f"3C5282{number * 7:06X}" for number in range(180)]))
def test_of_many_addresses_the_same_two_are_bound_whatever_their_order(macs: list[str]) -> None:
    facts = fingerprints.parse(",".join(macs) + "|WD-0001||")

    bound = fingerprints.binding(facts)

    assert list(facts.values[Part.MAC]) == macs
    assert bound.values == {Part.MAC: ("3C5282000000", "3C5282000007"), Part.DISK: ("WD-0001",)}


def test_only_what_is_around_a_value_may_be_unprintable() -> None:
    assert fingerprints.parse("\ufeff3C5282000007\r\n|\nWD-0001\t||\r\n") == fingerprints.parse(
        "3C5282000007|WD-0001||"
    )
    for text in each(["3C5282000007|WD\n0001||", "3C5282000007|W\ufeffD1||", "3C5282000007|\x07WD1||"]):
        with text as device_info, pytest.raises(InvalidRequestError):
            fingerprints.parse(device_info)


@given(st.sampled_from(list(Part)), st.text(alphabet="0123456789ABNOTQM.- ", max_size=12))
def test_server_and_client_agree_on_what_many_machines_have(part: Part, text: str) -> None:
    value = device_rules.normal_value(device_rules.Part(part.value), text)
    assume(value)

    assert fingerprints.is_shared(part, value) is device_rules.is_shared(device_rules.Part(part.value), value)


def test_the_witnesses_have_one_list() -> None:
    header = (Path(__file__).parents[2] / "client_stub/c/src/shared_values.h").read_text("utf-8")
    of_c = [re.findall(r'^    "([^"]+)",$', table, re.MULTILINE) for table in header.split("[] = {")[1:]]

    assert of_c == [list(shared_values.SHARED_VALUES), list(shared_values.SHARED_MACS)]
    assert client_values.SHARED_VALUES == shared_values.SHARED_VALUES
    assert client_values.SHARED_MACS == shared_values.SHARED_MACS
