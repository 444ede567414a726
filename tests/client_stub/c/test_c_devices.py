"""The C library knows a machine by the same rules as server, emulator and Python client."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from client_stub.trust import devices
from client_stub.trust.device_match import Part
from tests.client_stub.c.c_verifier import SOURCES, Tool
from tests.client_stub.make_text_signer import license_string, part_hash

DEVICES: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent.parent / "vectors" / "device_match.json").read_text("utf-8")
)
MEMBERS = {Part.MAC: "m", Part.DISK: "d", Part.BOARD: "b", Part.CPU: "c"}


def named(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", DEVICES[section], ids=lambda case: case["name"])


def full_text(case: dict[str, Any]) -> str:
    unit, times = case.get("append", ["", 0])
    return str(case["text"]) + str(unit) * int(times)


def dev_claim(text: str, before: Mapping[Part, Sequence[str]] | None = None) -> dict[str, object]:
    """The claim `dev` for a device text, with the salt that the test keys use."""
    claim: dict[str, object] = {"v": 1, "s": "AAECAwQFBgcICQoL"}
    for part, values in (devices.parse(text).values if before is None else before).items():
        hashes = [part_hash(part.value, value) for value in values]
        claim[MEMBERS[part]] = hashes if part in (Part.MAC, Part.DISK) else hashes[0]
    return claim


def bound_before(case: dict[str, Any]) -> Mapping[Part, Sequence[str]] | None:
    before = case.get("registered_before")
    return {Part(part): values for part, values in before.items()} if before is not None else None


@named("normal_forms")
def test_a_device_text_has_one_normal_form(tool: Tool, case: dict[str, Any]) -> None:
    normal = tool.ask("device", full_text(case))["normal"]

    unit, times = case.get("append", ["", 0])
    for part in Part:
        listed = case["normal"][part.value]
        expected = listed if isinstance(listed, list) else [listed] if listed else []
        assert set(normal[part.value]) == {unit * times if value == "@appended" else value for value in expected}


@named("refused")
def test_what_is_no_device_text_is_refused(tool: Tool, case: dict[str, Any]) -> None:
    assert tool.ask("device", full_text(case))["verdict"] == "DEVICE_INFO"


@named("pairs")
def test_two_devices_compare_part_by_part(tool: Tool, case: dict[str, Any]) -> None:
    license = {
        "text": license_string(dev=dev_claim(case["registered"], bound_before(case))),
        "device": case["presented"],
    }

    answer = tool.verify("string", license)

    assert answer["verdict"] == ("OK" if case["same"] else "WRONG_DEVICE")
    assert answer["device"] == {**case["parts"], "agreeing": case["agreeing"], "required": case["required"]}


def letters() -> Iterator[str]:
    """Every character that a command line can hold, but those that a device text is split at."""
    return (
        chr(point) for point in range(1, sys.maxunicode + 1) if not 0xD800 <= point <= 0xDFFF and chr(point) not in "|,"
    )


def device_texts() -> Iterator[str]:
    """All characters as disks, each between two letters so that none of them is stripped; 600 to a text."""
    every = [f"x{letter}1" for letter in letters() if letter.upper() != letter or letter.isspace()]
    return (f"|{','.join(every[at : at + 600])}||" for at in range(0, len(every), 600))


def test_every_letter_has_the_upper_case_that_python_gives_it(tool: Tool) -> None:
    if unicodedata.unidata_version not in (SOURCES / "src" / "upper_table.h").read_text("utf-8"):
        pytest.skip("this Python's Unicode is not the one that the table was made from")

    for text in device_texts():
        assert set(tool.ask("device", text)["normal"]["disk"]) == set(devices.parse(text).values[Part.DISK])


def test_blanks_are_those_of_python(tool: Tool) -> None:
    blanks = "".join(letter for letter in letters() if letter.isspace())

    normal = tool.ask("device", f"|{blanks}a{blanks}2{blanks}|{blanks}|")["normal"]

    assert normal == {"mac": [], "disk": [f"A{blanks}2"], "board": [], "cpu": []}


def test_the_table_of_letters_is_the_one_that_its_maker_makes() -> None:
    table = (SOURCES / "src" / "upper_table.h").read_text("utf-8")
    if unicodedata.unidata_version not in table:
        pytest.skip("this Python's Unicode is not the one that the table was made from")

    made = subprocess.run([sys.executable, SOURCES / "make_upper_table.py"], capture_output=True, text=True)

    assert made.stdout == table
