"""What holds for all bytes: nothing but the signed text is believed, and nothing but VerificationError is raised."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from client_stub.trust.errors import VerificationError
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.verification import authenticate_license, verify_lease, verify_license
from tests.client_stub.signing import DEVICE, NONCE, NOW, Vendor, base64url
from tests.soak import rounds, sample

VENDOR = Vendor()
KEYS = PinnedKeys.from_jwks(VENDOR.jwks)
LICENSE_STRING = VENDOR.license_string()
LICENSE = authenticate_license(LICENSE_STRING, KEYS)
LEASE = VENDOR.lease()

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def is_believed_license(text: str | bytes) -> bool:
    try:
        verify_license(text, KEYS, device_info=DEVICE, now=NOW)
    except VerificationError:
        return False
    return True


def is_believed_lease(text: str | bytes) -> bool:
    try:
        verify_lease(text, KEYS, license=LICENSE, nonce=NONCE, now=NOW)
    except VerificationError:
        return False
    return True


@rounds(everyday=60, short=300, whole=len(LICENSE_STRING))
def test_every_flipped_bit_of_a_license_string_is_noticed(rounds: int) -> None:
    original = LICENSE_STRING.encode()

    for position in sample(range(len(original)), short=rounds):
        for bit in range(8):
            changed = bytearray(original)
            changed[position] ^= 1 << bit
            assert not is_believed_license(bytes(changed)), (position, bit)


@rounds(everyday=100, short=300, whole=len(LEASE))
def test_every_exchanged_character_of_a_lease_is_noticed(rounds: int) -> None:
    for position in sample(range(len(LEASE)), short=rounds):
        for other in "Aa0_.":
            if other != LEASE[position]:
                assert not is_believed_lease(LEASE[:position] + other + LEASE[position + 1 :]), (position, other)


def test_every_truncation_is_noticed() -> None:
    assert not any(is_believed_license(LICENSE_STRING[:length]) for length in range(len(LICENSE_STRING)))


@given(st.binary(max_size=1100) | st.text(max_size=1100))
def test_any_bytes_are_refused_politely(text: str | bytes) -> None:
    assert not is_believed_license(text)
    assert not is_believed_lease(text)


@given(st.lists(st.binary(max_size=60).map(base64url), min_size=3, max_size=3).map(".".join))
def test_any_three_parts_are_refused_politely(text: str) -> None:
    assert not is_believed_license(text)


@given(st.sampled_from(["iss", "jti", "sub", "code", "product", "iat", "nbf", "exp", "dev", "feat", "n"]), JSON_VALUES)
def test_any_signed_claim_is_read_or_refused(name: str, value: object) -> None:
    text = VENDOR.license_string(**{name: value})

    is_believed_license(text)


@given(st.sampled_from(["v", "s", "m", "d", "b", "c", "x"]), JSON_VALUES)
def test_any_signed_device_claim_is_read_or_refused(name: str, value: object) -> None:
    is_believed_license(VENDOR.license_string(dev={"v": 1, "s": "AAECAwQFBgcICQoL", name: value}))


@given(st.sampled_from(["status", "reason", "iat", "exp", "next", "nonce", "license_exp"]), JSON_VALUES)
def test_any_signed_lease_is_read_or_refused(name: str, value: object) -> None:
    is_believed_lease(VENDOR.lease(**{name: value}))


@given(st.text(max_size=60))
def test_any_device_text_is_compared_or_refused(device_info: str) -> None:
    with pytest.raises(VerificationError):
        verify_license(LICENSE_STRING, KEYS, device_info=device_info, now=NOW)


def test_the_unchanged_texts_are_believed() -> None:
    assert is_believed_license(LICENSE_STRING)
    assert is_believed_lease(LEASE)
