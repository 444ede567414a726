from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_stub.trust import devices
from client_stub.trust.device_match import Part
from client_stub.trust.errors import InvalidDeviceInfoError

SALT = bytes(12)
VALUES = st.text(alphabet="abcXYZ019:-. ", max_size=8)
DEVICE_TEXTS = st.tuples(st.lists(VALUES, max_size=3), st.lists(VALUES, max_size=3), VALUES, VALUES).map(
    lambda parts: "|".join([",".join(parts[0]), ",".join(parts[1]), parts[2], parts[3]])
)


@given(DEVICE_TEXTS)
def test_every_device_is_the_same_machine_as_itself(text: str) -> None:
    device = devices.parse(text)

    is_a_model_only = set(device.values) == {Part.CPU}
    assert devices.bind(device, SALT).compare(device).is_same_machine is not is_a_model_only


@given(DEVICE_TEXTS)
def test_a_normal_form_is_its_own_normal_form(text: str) -> None:
    device = devices.parse(text)

    again = devices.parse("|".join(",".join(device.values.get(part, ())) for part in Part))

    assert again.values == device.values


@given(DEVICE_TEXTS, DEVICE_TEXTS)
def test_only_parts_with_a_common_value_agree(one: str, other: str) -> None:
    registered, presented = devices.parse(one), devices.parse(other)

    match = devices.bind(registered, SALT).compare(presented)

    common = [part for part in Part if set(registered.values.get(part, ())) & set(presented.values.get(part, ()))]
    assert match.agreeing == sum(1 if part is Part.CPU else 2 for part in common)


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(InvalidDeviceInfoError):
        devices.parse(text)


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(InvalidDeviceInfoError, match="not valid text"):
        devices.parse("\ud800|||")


def test_the_explanation_names_parts_and_no_values() -> None:
    registered = devices.bind(devices.parse("04:7C:16:5E:E3:5D|S1||CPU-1"), SALT)

    match = registered.compare(devices.parse("AA:BB:CC:00:11:22|S1|BRD|"))

    assert match.explain() == "mac differs, disk matches, board absent, cpu absent"
