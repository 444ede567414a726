"""What holds for all bytes of a license file: one change and it is refused, politely, whatever the change is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.verification import verify_license_file
from tests.client_stub.signing import DEVICE, NOW, Vendor, armour
from tests.soak import rounds, sample

VENDOR = Vendor()
FIRST = PinnedKeys.from_jwks(VENDOR.jwks)
BOTH = PinnedKeys.from_jwks(VENDOR.jwks_with_second)
SINGLE_FILE = VENDOR.license_file()
DOUBLE_FILE = VENDOR.license_file(is_double=True)


def is_believed(raw: bytes, keys: PinnedKeys = BOTH) -> bool:
    try:
        verify_license_file(raw, keys, device_info=DEVICE, now=NOW)
    except VerificationError:
        return False
    return True


def test_the_unchanged_files_are_believed() -> None:
    assert all(is_believed(raw, keys) for raw in (SINGLE_FILE, DOUBLE_FILE) for keys in (FIRST, BOTH))


@rounds(everyday=60, short=400, whole=len(SINGLE_FILE))
def test_every_flipped_bit_of_a_file_is_noticed(rounds: int) -> None:
    for position in sample(range(len(SINGLE_FILE)), short=rounds):
        for bit in range(8):
            changed = bytearray(SINGLE_FILE)
            changed[position] ^= 1 << bit
            assert not is_believed(bytes(changed)), (position, bit)


@rounds(everyday=200, short=2000, whole=len(DOUBLE_FILE))
def test_every_changed_byte_of_a_file_with_two_signatures_is_noticed(rounds: int) -> None:
    for position in sample(range(len(DOUBLE_FILE)), short=rounds):
        other = (
            b"B" if DOUBLE_FILE[position] == ord("A") else b"A"
        )  # of the alphabet, so that most get as far as the signatures
        assert not is_believed(DOUBLE_FILE[:position] + other + DOUBLE_FILE[position + 1 :]), position


@rounds(everyday=200, short=1000, whole=len(SINGLE_FILE))
def test_every_removed_and_every_doubled_byte_is_noticed(rounds: int) -> None:
    for position in sample(range(len(SINGLE_FILE)), short=rounds):
        assert not is_believed(SINGLE_FILE[:position] + SINGLE_FILE[position + 1 :]), position
        assert not is_believed(SINGLE_FILE[: position + 1] + SINGLE_FILE[position:]), position


def test_every_truncation_is_noticed() -> None:
    assert not any(is_believed(SINGLE_FILE[:length]) for length in range(len(SINGLE_FILE)))
    assert not any(is_believed(DOUBLE_FILE[:length]) for length in range(0, len(DOUBLE_FILE), 7))


@given(st.binary(max_size=3000))
def test_any_bytes_are_refused_politely(raw: bytes) -> None:
    assert not is_believed(raw)
    assert not is_believed(armour(raw))


@given(st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=3)), min_size=1, max_size=4))
def test_any_edit_is_refused_politely(edits: list[tuple[int, bytes]]) -> None:
    changed = bytearray(SINGLE_FILE)
    for place, replacement in edits:
        start = place % len(changed)
        changed[start : start + 1] = replacement

    assert bytes(changed) == SINGLE_FILE or not is_believed(bytes(changed))


@given(
    st.sampled_from(["iss", "jti", "sub", "code", "iat", "exp", "dev", "feat", "n", "maint", "order", "file", "txt"]),
    st.none() | st.booleans() | st.integers() | st.text(max_size=10) | st.lists(st.text(max_size=3), max_size=3),
)
def test_any_signed_claim_is_read_or_refused(name: str, value: object) -> None:
    changes: dict[str, Any] = {name: value}

    is_believed(VENDOR.license_file(**changes))


def test_garbage_of_ten_megabytes_is_refused_by_its_size() -> None:
    garbage = bytes(10_000_000)

    with pytest.raises(VerificationError, match="larger than"):
        verify_license_file(garbage, BOTH, device_info=DEVICE, now=NOW)
