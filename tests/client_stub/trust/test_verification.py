from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from client_stub.trust import errors
from client_stub.trust.claims import LeaseStatus, License
from client_stub.trust.device_match import Part, PartVerdict
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.verification import LEEWAY, authenticate_license, verify_lease, verify_license
from tests.client_stub.signing import (
    DEVICE,
    NONCE,
    NOW,
    OTHER_DEVICE,
    SigningKey,
    Vendor,
    base64url,
    dev_claim,
    encode,
    lease_claims,
    license_claims,
)
from tests.tables import each

SECOND = timedelta(seconds=1)
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493


def verify(text: str | bytes, keys: PinnedKeys) -> License:
    return verify_license(text, keys, device_info=DEVICE, now=NOW)


@pytest.fixture(scope="module")
def believed(vendor: Vendor, keys: PinnedKeys) -> License:
    return authenticate_license(vendor.license_string(), keys)


def test_a_good_license_is_read(vendor: Vendor, keys: PinnedKeys) -> None:
    read = verify_license(
        vendor.license_string(test=True),
        keys,
        device_info=DEVICE,
        now=NOW,
        issuer="https://license.example",
        product="cad",
    )

    assert (read.license_id, read.string_id, read.code, read.product) == ("lic_1", "ls_1", "PL0001", "cad")
    assert (read.features, read.quantity) == (("draw", "export"), 5)
    assert (read.is_test, read.is_provisional) == (True, False)
    assert (read.issued_at, read.expires_at) == (NOW, NOW + timedelta(days=365))
    assert read.key_id == vendor.license_key.kid


def test_bytes_are_as_good_as_text(vendor: Vendor, keys: PinnedKeys) -> None:
    text = vendor.license_string()

    assert verify(text.encode(), keys) == verify(text, keys)


def test_a_license_without_an_end_never_ends(vendor: Vendor, keys: PinnedKeys) -> None:
    text = vendor.license_string(exp=None)

    read = verify_license(text, keys, device_info=DEVICE, now=NOW + timedelta(days=36500))

    assert read.expires_at is None


def test_claims_that_are_not_known_are_ignored(vendor: Vendor, keys: PinnedKeys) -> None:
    assert verify(vendor.license_string(later="more"), keys).license_id == "lic_1"


def test_a_license_is_valid_between_its_first_and_last_moment(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            (NOW - LEEWAY - SECOND, errors.NotYetValidError),
            (NOW - LEEWAY, None),
            (NOW + timedelta(days=365) + LEEWAY - SECOND, None),
            (NOW + timedelta(days=365) + LEEWAY, errors.ExpiredError),
        ]
    ):
        with row as (now, error):

            def attempt() -> License:
                return verify_license(vendor.license_string(), keys, device_info=DEVICE, now=now)

            if error is None:
                assert attempt().license_id == "lic_1"
            else:
                with pytest.raises(error):
                    attempt()


def test_another_machine_is_refused_part_by_part(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.DeviceMismatchError) as caught:
        verify_license(vendor.license_string(), keys, device_info=OTHER_DEVICE, now=NOW)

    assert caught.value.match.parts[Part.CPU] is PartVerdict.MATCHES
    assert str(caught.value) == (
        "The license was issued for another machine (mac differs, disk differs, board differs, cpu matches)."
    )


def test_a_machine_with_two_parts_exchanged_is_still_the_same(vendor: Vendor, keys: PinnedKeys) -> None:
    text = vendor.license_string()

    read = verify_license(text, keys, device_info="A8:BB:CC:00:11:22|s1|brd-9|cpu-2", now=NOW)

    assert read.license_id == "lic_1"


def test_a_provisional_license_does_not_know_its_product_yet(vendor: Vendor, keys: PinnedKeys) -> None:
    unknown = vendor.license_string(product="", prov=True)

    assert verify_license(unknown, keys, device_info=DEVICE, now=NOW, product="cad").product == ""
    with pytest.raises(errors.WrongProductError):
        verify_license(vendor.license_string(product=""), keys, device_info=DEVICE, now=NOW, product="cad")


def test_a_device_text_that_is_none_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.InvalidDeviceInfoError):
        verify_license(vendor.license_string(), keys, device_info="no device", now=NOW)


def test_issuer_and_product_have_to_be_the_expected_ones(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [({"issuer": "https://other.example"}, errors.WrongIssuerError), ({"product": "cam"}, errors.WrongProductError)]
    ):
        with row as (expected, error), pytest.raises(error):
            verify_license(vendor.license_string(), keys, device_info=DEVICE, now=NOW, **expected)


# -- what is signed with what -------------------------------------------------------------------------------------


def test_a_lease_is_no_license(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.WrongTypeError):
        verify(vendor.lease(), keys)


def test_a_license_is_no_lease(vendor: Vendor, keys: PinnedKeys, believed: License) -> None:
    with pytest.raises(errors.WrongTypeError):
        verify_lease(vendor.license_string(), keys, license=believed, nonce=NONCE, now=NOW)


def test_a_key_of_another_purpose_makes_no_license(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(["lease_key", "release_key"]):
        with row as purpose:
            key: SigningKey = getattr(vendor, purpose)

            with pytest.raises(errors.WrongKeyPurposeError):
                verify(key.sign(license_claims(), "license+jwt"), keys)


def test_a_license_key_makes_no_lease(vendor: Vendor, keys: PinnedKeys, believed: License) -> None:
    text = vendor.license_key.sign(lease_claims(), "lease+jwt")

    with pytest.raises(errors.WrongKeyPurposeError):
        verify_lease(text, keys, license=believed, nonce=NONCE, now=NOW)


def test_a_key_that_is_not_pinned_is_unknown(keys: PinnedKeys) -> None:
    with pytest.raises(errors.UnknownKeyError):
        verify(SigningKey("license").sign(license_claims(), "license+jwt"), keys)


def test_a_stranger_under_a_pinned_key_id_has_a_bad_signature(vendor: Vendor, keys: PinnedKeys) -> None:
    text = SigningKey("license").sign(license_claims(), "license+jwt", kid=vendor.license_key.kid)

    with pytest.raises(errors.BadSignatureError):
        verify(text, keys)


def test_another_header_is_refused_even_when_signed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "Ed25519"},
            {"alg": "eddsa"},
            {"alg": None},
            {"typ": "JWT"},
            {"typ": "LICENSE+JWT"},
            {"typ": None},
            {"kid": None},
            {"kid": 7},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"jwk": {}},
            {"jku": "https://keys.example"},
        ]
    ):
        with row as header, pytest.raises(errors.WrongTypeError):
            verify(vendor.license_key.sign(license_claims(), "license+jwt", **header), keys)


# -- shapes -------------------------------------------------------------------------------------------------------


def test_what_is_not_three_canonical_parts_is_malformed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            lambda text: "",
            lambda text: ".",
            lambda text: "..",
            lambda text: text + ".",
            lambda text: "." + text,
            lambda text: text + "." + text,
            lambda text: text.rsplit(".", 1)[0],
            lambda text: text.rsplit(".", 1)[0] + ".",
            lambda text: text + "=",
            lambda text: text + "\n",
            lambda text: " " + text,
            lambda text: text[:10] + " " + text[10:],
            lambda text: text.replace(".", "。"),
            lambda text: text + "é",
            lambda text: text + "\ud800",
            lambda text: text[:-1],
            lambda text: text + "A" * 1024,
        ]
    ):
        with row as change, pytest.raises(errors.MalformedError):
            verify(change(vendor.license_string()), keys)


def test_only_one_spelling_of_a_signature_is_accepted(vendor: Vendor, keys: PinnedKeys) -> None:
    text = vendor.license_string()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    signature = base64.urlsafe_b64decode(text.rsplit(".", 1)[1] + "==")
    spellings = [
        text[:-1] + letter
        for letter in alphabet
        if base64.urlsafe_b64decode((text[:-1] + letter).rsplit(".", 1)[1] + "==") == signature
    ]
    assert len(spellings) == 16

    refused = [spelling for spelling in spellings if spelling != text]

    for spelling in refused:
        with pytest.raises(errors.MalformedError):
            verify(spelling, keys)


def test_a_signature_has_one_number_only(vendor: Vendor, keys: PinnedKeys) -> None:
    """S + L is the same number to careless verifiers (RFC 8032 §8.4)."""
    head, signature_part = vendor.license_string().rsplit(".", 1)
    signature = base64.urlsafe_b64decode(signature_part + "==")
    larger = (int.from_bytes(signature[32:], "little") + ED25519_ORDER).to_bytes(32, "little")

    with pytest.raises(errors.BadSignatureError):
        verify(f"{head}.{base64url(signature[:32] + larger)}", keys)


def test_a_signature_of_another_length_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each([0, 1, 63, 65, 128]):
        with row as length:
            head = vendor.license_string().rsplit(".", 1)[0]

            with pytest.raises((errors.BadSignatureError, errors.MalformedError)):
                verify(f"{head}.{base64url(bytes(length))}", keys)


def test_a_license_string_has_at_most_1024_characters(vendor: Vendor, keys: PinnedKeys) -> None:
    texts = [vendor.license_string(dev={"v": 1, "s": base64url(bytes(12))}, filler="A" * n) for n in range(300, 500)]
    assert 1024 in {len(text) for text in texts}

    for text in texts:
        if len(text) <= 1024:
            assert verify(text, keys).license_id == "lic_1"
        else:
            with pytest.raises(errors.MalformedError, match="longer than 1024"):
                verify(text, keys)


def raw_part(text: bytes) -> str:
    return base64url(text)


def test_claims_have_to_be_plain_json_even_when_signed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            b"",
            b"null",
            b"[]",
            b'"text"',
            b"{",
            b"{}{}",
            b'{"a":NaN}',
            b'{"a":Infinity}',
            b'{"a":-Infinity}',
            b'{"a":1.0}',
            b'{"a":1e3}',
            b'{"a":1,"a":1}',
            b'{"a":{"b":1,"b":2}}',
            b'{"a":"\\ud800"}',
            b'{"\\udfff":1}',
            b'{"a":"\xff"}',
            b"\xef\xbb\xbf{}",
            '{"a":1}'.encode("utf-16"),
            b"[" * 300,
            b'{"a":' * 60 + b"1" + b"}" * 59,
        ]
    ):
        with row as payload:
            header = encode({"alg": "EdDSA", "kid": vendor.license_key.kid, "typ": "license+jwt"})

            with pytest.raises(errors.MalformedError):
                verify(vendor.license_key.sign_parts(header, raw_part(payload)), keys)


def test_deep_nesting_and_huge_numbers_in_a_lease_are_refused(
    vendor: Vendor, keys: PinnedKeys, believed: License
) -> None:
    header = encode({"alg": "EdDSA", "kid": vendor.lease_key.kid, "typ": "lease+jwt"})
    for payload in (b"[" * 5900, b'{"a":' * 1100 + b"1" + b"}" * 1100, b'{"iat":' + b"9" * 5000 + b"}"):
        text = vendor.lease_key.sign_parts(header, raw_part(payload))
        with pytest.raises(errors.VerificationError):
            verify_lease(text, keys, license=believed, nonce=NONCE, now=NOW)


def test_a_header_with_a_member_twice_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    kid = vendor.license_key.kid
    header = raw_part(f'{{"alg":"none","alg":"EdDSA","kid":"{kid}","typ":"license+jwt"}}'.encode())

    with pytest.raises(errors.MalformedError):
        verify(vendor.license_key.sign_parts(header, encode(license_claims())), keys)


def test_the_order_of_the_header_does_not_matter(vendor: Vendor, keys: PinnedKeys) -> None:
    header = encode({"typ": "license+jwt", "kid": vendor.license_key.kid, "alg": "EdDSA"})

    read = verify(vendor.license_key.sign_parts(header, encode(license_claims())), keys)

    assert read.license_id == "lic_1"


# -- claims -------------------------------------------------------------------------------------------------------

TOO_LATE = 253402300800
NO_MOMENTS: list[object] = [-1, TOO_LATE, True, "1777881600", []]


def test_claims_that_make_no_sense_are_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            *({name: None} for name in ("iss", "jti", "sub", "code", "product", "iat", "nbf", "dev", "feat", "n")),
            *({name: ""} for name in ("iss", "jti", "sub", "code")),
            *({name: 7} for name in ("iss", "jti", "sub", "code", "product")),
            *({name: value} for name in ("iat", "nbf", "exp") for value in NO_MOMENTS),
            {"n": -1},
            {"n": True},
            {"n": 2**31},
            {"feat": "draw"},
            {"feat": [1]},
            {"test": 1},
            {"test": "true"},
            {"prov": 0},
            {"dev": []},
            {"dev": {}},
            {"dev": dev_claim() | {"v": 2}},
            {"dev": dev_claim() | {"v": True}},
            {"dev": dev_claim() | {"v": "1"}},
            {"dev": dev_claim() | {"g": "AAAAAAAA"}},
            {"dev": dev_claim() | {"s": ""}},
            {"dev": dev_claim() | {"s": base64url(bytes(11))}},
            {"dev": dev_claim() | {"s": base64url(bytes(13))}},
            {"dev": dev_claim() | {"s": 12}},
            {"dev": dev_claim() | {"s": "AAAAAAAAAAAAAAA="}},
            {"dev": dev_claim() | {"m": []}},
            {"dev": dev_claim() | {"m": "AAAAAAAA"}},
            {"dev": dev_claim() | {"m": [1]}},
            {"dev": dev_claim() | {"d": ["AAAAAAA"]}},
            {"dev": dev_claim() | {"b": ["AAAAAAAA"]}},
            {"dev": dev_claim() | {"c": ""}},
            {"dev": dev_claim() | {"c": "AAAAAAAA\n"}},
            {"dev": {"s": dev_claim()["s"]}},
        ]
    ):
        with row as changes, pytest.raises(errors.BadClaimsError):
            verify(vendor.license_string(**changes), keys)


def test_the_last_moment_of_the_calendar_is_an_end_like_any_other(vendor: Vendor, keys: PinnedKeys) -> None:
    assert verify(vendor.license_string(exp=TOO_LATE - 1), keys).expires_at is not None


# -- leases -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", list(LeaseStatus))
def test_a_lease_is_believed_whatever_it_says(
    vendor: Vendor, keys: PinnedKeys, believed: License, status: LeaseStatus
) -> None:
    text = vendor.lease(status=status.value, reason="Because.")

    lease = verify_lease(text, keys, license=believed, nonce=NONCE, now=NOW)

    assert (lease.status, lease.reason) == (status, "Because.")
    assert lease.next_heartbeat_at == NOW + timedelta(days=1)


@pytest.mark.parametrize("changes", [{"jti": "ls_2"}, {"sub": "lic_2"}, {"iss": "https://other.example"}], ids=repr)
def test_a_lease_of_another_license_is_refused(
    vendor: Vendor, keys: PinnedKeys, believed: License, changes: dict[str, Any]
) -> None:
    with pytest.raises(errors.ForeignLeaseError):
        verify_lease(vendor.lease(**changes), keys, license=believed, nonce=NONCE, now=NOW)


@pytest.mark.parametrize("nonce", ["nonce-2", "NONCE-1", "nonce-1 ", "", "ключ"])
def test_the_answer_to_another_question_is_refused(
    vendor: Vendor, keys: PinnedKeys, believed: License, nonce: str
) -> None:
    with pytest.raises(errors.NonceMismatchError):
        verify_lease(vendor.lease(), keys, license=believed, nonce=nonce, now=NOW)


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("status", "reason", "iat", "exp", "next", "nonce")),
        {"status": "active"},
        {"status": "NOT_ACTIVATED"},
        {"status": []},
        {"reason": 1},
        {"nonce": ""},
        {"license_exp": "never"},
        {"exp": 0},
    ],
    ids=repr,
)
def test_a_lease_that_makes_no_sense_is_refused(
    vendor: Vendor, keys: PinnedKeys, believed: License, changes: dict[str, Any]
) -> None:
    with pytest.raises(errors.BadClaimsError):
        verify_lease(vendor.lease(**changes), keys, license=believed, nonce=NONCE, now=NOW)


def test_a_lease_is_good_until_its_last_moment(vendor: Vendor, keys: PinnedKeys, believed: License) -> None:
    end = NOW + timedelta(days=7) + LEEWAY

    assert verify_lease(vendor.lease(), keys, license=believed, nonce=NONCE, now=end - SECOND).nonce == NONCE
    with pytest.raises(errors.LeaseEndedError):
        verify_lease(vendor.lease(), keys, license=believed, nonce=NONCE, now=end)


def test_a_fresh_lease_is_believed_when_our_clock_is_behind(
    vendor: Vendor, keys: PinnedKeys, believed: License
) -> None:
    lease = verify_lease(vendor.lease(), keys, license=believed, nonce=NONCE, now=NOW - timedelta(days=400))

    assert lease.issued_at == NOW


def test_every_error_has_a_code_of_its_own_and_something_to_do() -> None:
    classes = errors.VerificationError.__subclasses__()

    assert len({error.code for error in classes}) == len(classes)
    assert all(error.action for error in classes)
    documented = errors.__doc__ or ""
    assert all(f"{error.__name__} " in documented and error.code in documented for error in classes)


def test_no_message_repeats_what_was_verified(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.VerificationError) as caught:
        verify(vendor.license_string(dev="SECRET-SERIAL"), keys)

    assert "SECRET-SERIAL" not in json.dumps([str(caught.value), caught.value.action])
