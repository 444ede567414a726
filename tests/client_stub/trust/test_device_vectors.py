"""The client against the vectors that bind server, emulator and client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from client_stub.trust import claims, devices
from client_stub.trust.device_match import Part
from client_stub.trust.errors import InvalidDeviceInfoError
from client_stub.trust.tokens import Token
from tests.client_stub.signing import license_claims
from tests.tables import each

VECTORS = json.loads((Path(__file__).parent.parent.parent / "vectors" / "device_match.json").read_text("utf-8"))


def named(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", VECTORS[section], ids=lambda case: case.get("name"))


def full_text(case: dict[str, Any]) -> str:
    unit, times = case.get("append", ["", 0])
    return str(case["text"]) + str(unit) * int(times)


@named("normal_forms")
def test_a_device_text_has_one_normal_form(case: dict[str, Any]) -> None:
    device = devices.parse(full_text(case))

    unit, times = case.get("append", ["", 0])
    for part in Part:
        listed = case["normal"][part.value]
        expected = listed if isinstance(listed, list) else [listed] if listed else []
        expected = [unit * times if value == "@appended" else value for value in expected]
        assert set(device.values.get(part, ())) == set(expected)


@named("refused")
def test_what_is_no_device_text_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(InvalidDeviceInfoError):
        devices.parse(full_text(case))


def test_a_value_has_one_hash_per_salt() -> None:
    for row in each(VECTORS["hashes"]):
        with row as case:
            assert (
                devices.hash_value(Part(case["kind"]), case["value"], bytes.fromhex(case["salt_hex"])) == case["hash"]
            )


@named("bindings")
def test_a_device_has_one_claim_per_salt(case: dict[str, Any]) -> None:
    read = claims.read_license(Token("kid", license_claims(dev=case["dev"])))

    assert read.binding == devices.bind(devices.parse(case["text"]), bytes.fromhex(case["salt_hex"]))


@named("pairs")
@pytest.mark.parametrize("salt", [bytes(12), bytes(range(12))], ids=["zero salt", "another salt"])
def test_two_devices_compare_part_by_part(case: dict[str, Any], salt: bytes) -> None:
    before = case.get("registered_before")
    device = devices.parse(case["registered"])
    if before is not None:
        device = devices.DeviceInfo({Part(part): tuple(values) for part, values in before.items()})
    registered = devices.bind(device, salt)

    match = registered.compare(devices.parse(case["presented"]))

    assert {part.value: verdict.value for part, verdict in match.parts.items()} == case["parts"]
    assert (match.agreeing, match.required, match.is_same_machine) == (case["agreeing"], case["required"], case["same"])
