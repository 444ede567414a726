"""License files: what is believed, and every way in which one is not."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from client_stub.trust import errors
from client_stub.trust.armour import MAXIMUM_BYTES
from client_stub.trust.claims import License
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.verification import LEEWAY, verify_license, verify_license_file
from tests.client_stub.signing import (
    COMMENT,
    DEVICE,
    NOW,
    OTHER_DEVICE,
    SecondKey,
    SigningKey,
    Vendor,
    armour,
    base64url,
    compact,
    encode,
    file_claims,
    file_document,
    license_claims,
    unarmour,
    unix,
)
from tests.tables import each

BEGIN, END = b"-----BEGIN LICENSE-----\n", b"-----END LICENSE-----\n"


@pytest.fixture(scope="module")
def both(vendor: Vendor) -> PinnedKeys:
    """All keys of the vendor, the ML-DSA one too."""
    return PinnedKeys.from_jwks(vendor.jwks_with_second)


def verify(raw: bytes, keys: PinnedKeys, **changes: Any) -> License:
    arguments: dict[str, Any] = {"device_info": DEVICE, "now": NOW} | changes
    return verify_license_file(raw, keys, **arguments)


def test_a_good_file_is_read(vendor: Vendor, keys: PinnedKeys) -> None:
    raw = vendor.license_file(maint=unix(NOW + timedelta(days=30)))

    read = verify(raw, keys, issuer="https://license.example", product="cad")

    assert (read.license_id, read.string_id, read.code, read.features) == (
        "lic_1",
        "lf_1",
        "PL0001",
        ("draw", "export"),
    )
    assert (read.order_id, read.file_name) == ("CS1", "license.lic")
    assert read.maintenance_ends_at == NOW + timedelta(days=30)
    assert read.key_id == vendor.license_key.kid


def test_a_string_says_when_maintenance_ends_too(vendor: Vendor, keys: PinnedKeys) -> None:
    limited = verify_license(vendor.license_string(maint=unix(NOW)), keys, device_info=DEVICE, now=NOW)

    assert limited.maintenance_ends_at == NOW
    with pytest.raises(errors.BadClaimsError):
        verify_license(vendor.license_string(maint="soon"), keys, device_info=DEVICE, now=NOW)


def test_the_members_that_files_add_may_be_absent(vendor: Vendor, keys: PinnedKeys) -> None:
    read = verify(vendor.license_file(order=None, file=None), keys)

    assert (read.order_id, read.file_name, read.maintenance_ends_at) == ("", "", None)


def test_comments_are_for_people(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(["", "#\n", "# one\n", "# 许可证 \U0001f511\n#\n# -----BEGIN LICENSE-----\n"]):
        with row as comment:
            assert verify(vendor.license_file(comment=comment), keys).license_id == "lic_1"


def test_a_file_is_valid_between_its_first_and_last_moment(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            (NOW - LEEWAY - timedelta(seconds=1), errors.NotYetValidError),
            (NOW - LEEWAY, None),
            (NOW + timedelta(days=365) + LEEWAY - timedelta(seconds=1), None),
            (NOW + timedelta(days=365) + LEEWAY, errors.ExpiredError),
        ]
    ):
        with row as (now, error):
            if error is None:
                assert verify(vendor.license_file(), keys, now=now).license_id == "lic_1"
            else:
                with pytest.raises(error):
                    verify(vendor.license_file(), keys, now=now)


def test_a_file_for_something_else_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            ({"device_info": OTHER_DEVICE}, errors.DeviceMismatchError),
            ({"device_info": "no device"}, errors.InvalidDeviceInfoError),
            ({"product": "cam"}, errors.WrongProductError),
            ({"issuer": "https://other.example"}, errors.WrongIssuerError),
        ]
    ):
        with row as (changes, error), pytest.raises(error):
            verify(vendor.license_file(), keys, **changes)


# -- two signatures ------------------------------------------------------------------------------------------------


def test_both_signatures_are_verified(vendor: Vendor, both: PinnedKeys) -> None:
    assert verify(vendor.license_file(is_double=True), both, require_both=True).license_id == "lic_1"


def test_a_program_without_the_second_key_believes_the_first_signature(vendor: Vendor, keys: PinnedKeys) -> None:
    assert verify(vendor.license_file(is_double=True), keys).license_id == "lic_1"


def test_a_program_that_knows_the_second_key_alone_believes_the_second_signature(vendor: Vendor) -> None:
    second_only = PinnedKeys.from_jwks({"keys": [vendor.second_key.jwk]})

    read = verify(vendor.license_file(is_double=True), second_only)

    assert read.key_id == vendor.second_key.kid


def test_one_signature_is_enough_unless_both_are_demanded(vendor: Vendor, both: PinnedKeys) -> None:
    assert verify(vendor.license_file(), both).license_id == "lic_1"
    with pytest.raises(errors.BadSignatureError):
        verify(vendor.license_file(), both, require_both=True)


def test_both_cannot_be_demanded_without_both_keys(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.UnknownKeyError):
        verify(vendor.license_file(is_double=True), keys, require_both=True)


def test_the_second_signature_cannot_be_taken_away(vendor: Vendor, keys: PinnedKeys) -> None:
    document = file_document(vendor.license_key, file_claims(), vendor.second_key)
    document["signatures"].pop()

    with pytest.raises(errors.BadSignatureError):
        verify(armour(compact(document)), keys)


def test_the_second_signature_cannot_be_exchanged(vendor: Vendor, keys: PinnedKeys, both: PinnedKeys) -> None:
    document = file_document(vendor.license_key, file_claims(), vendor.second_key)
    again = file_document(vendor.license_key, file_claims(), vendor.second_key)  # ML-DSA signs differently every time
    document["signatures"][1] = again["signatures"][1]

    for known in (keys, both):
        with pytest.raises(errors.BadSignatureError):
            verify(armour(compact(document)), known)


def test_a_second_signature_cannot_be_added(vendor: Vendor, both: PinnedKeys) -> None:
    document = file_document(vendor.license_key, file_claims())
    document["signatures"] += file_document(vendor.license_key, file_claims(), vendor.second_key)["signatures"][1:]

    with pytest.raises(errors.BadSignatureError):
        verify(armour(compact(document)), both)


def test_a_wrong_second_signature_refuses_the_file_although_the_first_is_good(
    vendor: Vendor, keys: PinnedKeys, both: PinnedKeys
) -> None:
    class Stranger(SecondKey):
        @property
        def kid(self) -> str:
            return vendor.second_key.kid

    raw = armour(compact(file_document(vendor.license_key, file_claims(), Stranger())))

    assert verify(raw, keys).license_id == "lic_1"  # nothing to verify the second one with
    with pytest.raises(errors.BadSignatureError):
        verify(raw, both)


def test_renaming_the_second_key_does_not_switch_its_check_off(vendor: Vendor, both: PinnedKeys) -> None:
    raw = armour(compact(file_document(vendor.license_key, file_claims(), SecondKey())))

    with pytest.raises(errors.UnknownKeyError):
        verify(raw, both)


def test_a_wrong_first_signature_refuses_the_file_although_the_second_is_good(vendor: Vendor, both: PinnedKeys) -> None:
    raw = armour(compact(file_document(SigningKey("license"), file_claims(), vendor.second_key)))

    with pytest.raises(errors.UnknownKeyError):
        verify(raw, both)


# -- keys ----------------------------------------------------------------------------------------------------------


def test_a_key_of_another_purpose_makes_no_file(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(["lease_key", "release_key"]):
        with row as purpose:
            key: SigningKey = getattr(vendor, purpose)

            with pytest.raises(errors.WrongKeyPurposeError):
                verify(armour(compact(file_document(key, file_claims()))), keys)


def test_a_key_that_is_not_pinned_is_unknown(keys: PinnedKeys) -> None:
    with pytest.raises(errors.UnknownKeyError):
        verify(armour(compact(file_document(SigningKey("license"), file_claims()))), keys)


def test_a_key_is_used_with_its_own_algorithm_only(vendor: Vendor, both: PinnedKeys) -> None:
    document = file_document(vendor.license_key, file_claims(), first_header={"kid": vendor.second_key.kid})

    with pytest.raises(errors.WrongTypeError):
        verify(armour(compact(document)), both)


# -- one thing for another -----------------------------------------------------------------------------------------


def test_a_string_is_no_file_and_a_file_is_no_string(vendor: Vendor, keys: PinnedKeys) -> None:
    for text in (vendor.license_string(), vendor.lease(), vendor.revocation_list(), vendor.manifest()):
        with pytest.raises(errors.MalformedError):
            verify(text.encode(), keys)
        with pytest.raises(errors.VerificationError):
            verify(armour(text.encode()), keys)
    with pytest.raises(errors.MalformedError):
        verify_license(vendor.license_file(), keys, device_info=DEVICE, now=NOW)


def test_the_signature_of_a_file_makes_no_string(vendor: Vendor, keys: PinnedKeys) -> None:
    document = file_document(vendor.license_key, license_claims())
    first = document["signatures"][0]

    text = f"{first['protected']}.{document['payload']}.{first['signature']}"

    with pytest.raises(errors.WrongTypeError):
        verify_license(text, keys, device_info=DEVICE, now=NOW)


def test_the_signature_of_a_string_makes_no_file(vendor: Vendor, keys: PinnedKeys) -> None:
    protected, payload, signature = vendor.license_key.sign(file_claims(), "license+jwt").split(".")

    with pytest.raises(errors.WrongTypeError):
        verify(
            armour(compact({"payload": payload, "signatures": [{"protected": protected, "signature": signature}]})),
            keys,
        )


# -- the armour ----------------------------------------------------------------------------------------------------


def test_an_armour_that_is_not_whole_is_malformed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            lambda raw: b"",
            lambda raw: raw + raw,
            lambda raw: raw + raw[len(COMMENT.encode()) :],
            lambda raw: raw.replace(b"\n", b"\r\n"),
            lambda raw: raw.replace(b"\n", b"\r\n", 1),
            lambda raw: raw.replace(b"\n", b"\r"),
            lambda raw: b"\xef\xbb\xbf" + raw,
            lambda raw: raw.decode().encode("utf-16"),
            lambda raw: raw[:-1],
            lambda raw: raw + b"\n",
            lambda raw: raw + b"\0",
            lambda raw: raw + b"# after\n",
            lambda raw: b"\n" + raw,
            lambda raw: b" " + raw,
            lambda raw: b"hello\n" + raw,
            lambda raw: b"#hello\n" + raw,
            lambda raw: raw.replace(BEGIN, b"\n" + BEGIN),
            lambda raw: raw.replace(BEGIN, b""),
            lambda raw: raw.replace(END, b""),
            lambda raw: raw.replace(BEGIN, BEGIN + BEGIN),
            lambda raw: raw.replace(END, END + END),
            lambda raw: raw.replace(BEGIN, b" " + BEGIN),
            lambda raw: raw.replace(BEGIN, b"-----BEGIN LICENSE----- \n"),
            lambda raw: raw.replace(BEGIN, b"-----BEGIN LICENCE-----\n"),
            lambda raw: raw.replace(BEGIN, BEGIN + b"\n"),
            lambda raw: raw.replace(END, b"\n" + END),
            lambda raw: raw.replace(BEGIN, BEGIN + b"# inside\n"),
            lambda raw: COMMENT.encode() + BEGIN + END,
            lambda raw: COMMENT.encode() + BEGIN,
            lambda raw: COMMENT.encode(),
            lambda raw: raw.replace(b"# Product", b"# \xff\xfe"),
            lambda raw: armour(unarmour(raw), width=76),
            lambda raw: armour(unarmour(raw), width=32),
            lambda raw: armour(unarmour(raw), width=10**6),
            lambda raw: raw.replace(END, b"====\n" + END),
            lambda raw: b"x" * 10_000_000,
            lambda raw: b"# " + b"x" * 10_000_000 + b"\n" + raw,
        ]
    ):
        with row as change:
            raw = change(vendor.license_file())

            with pytest.raises(errors.MalformedError):
                verify(raw, keys)


def test_a_file_has_at_most_64_kib(vendor: Vendor, keys: PinnedKeys) -> None:
    line = "# " + "x" * 61 + "\n"
    filling = line * ((MAXIMUM_BYTES - len(vendor.license_file(comment=""))) // len(line))
    rest = MAXIMUM_BYTES - len(vendor.license_file(comment=filling))

    longest = vendor.license_file(comment=filling + "# " + "x" * (rest - 3) + "\n")

    assert len(longest) == MAXIMUM_BYTES
    assert verify(longest, keys).license_id == "lic_1"
    with pytest.raises(errors.MalformedError, match="larger than"):
        verify(vendor.license_file(comment=filling + "# " + "x" * (rest - 2) + "\n"), keys)


def test_another_comment_than_the_signed_one_is_noticed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(["", "# License file\n", COMMENT + "#\n", COMMENT.replace("cad", "cam")]):
        with row as comment, pytest.raises(errors.UnreadableFileError, match="comment"):
            verify(armour(unarmour(vendor.license_file()), comment), keys)


def test_the_digest_of_the_comment_has_to_be_there(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each([None, "", 7, "é"]):
        with row as txt:
            raw = armour(compact(file_document(vendor.license_key, file_claims() | {"txt": txt})))

            with pytest.raises(errors.VerificationError):
                verify(raw, keys)


# -- the JSON ------------------------------------------------------------------------------------------------------


def edited(vendor: Vendor, change: Callable[[dict[str, Any]], object], *, is_double: bool = False) -> bytes:
    document = file_document(vendor.license_key, file_claims(), vendor.second_key if is_double else None)
    change(document)
    return armour(compact(document))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.pop("payload"),
        lambda document: document.pop("signatures"),
        lambda document: document.update(header={}),
        lambda document: document.update(payload=None),
        lambda document: document.update(payload=""),
        lambda document: document.update(payload=document["payload"] + "="),
        lambda document: document.update(payload="é"),
        lambda document: document.update(signatures=[]),
        lambda document: document.update(signatures={}),
        lambda document: document.update(signatures=[7]),
        lambda document: document.update(signatures=document["signatures"] * 2),
        lambda document: document.update(signatures=document["signatures"] * 3),
        lambda document: document["signatures"].reverse(),
        lambda document: document["signatures"][0].update(header={"kid": "x"}),
        lambda document: document["signatures"][0].update(protected=7),
        lambda document: document["signatures"][0].update(protected=""),
        lambda document: document["signatures"][0].update(signature=""),
        lambda document: document["signatures"][0].update(signature="AAAA"),
        lambda document: document["signatures"][0].pop("signature"),
        lambda document: document["signatures"][1].update(signature="AAAA"),
        lambda document: document["signatures"][1].update(signature=""),
        lambda document: document.update(payload=document.pop("payload")),
    ],
)
def test_a_document_of_another_shape_is_refused(
    vendor: Vendor, both: PinnedKeys, change: Callable[[dict[str, Any]], object]
) -> None:
    with pytest.raises(errors.VerificationError):
        verify(edited(vendor, change, is_double=True), both)


def test_the_same_document_in_another_spelling_is_malformed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            lambda text: text.replace('{"payload"', '{ "payload"'),
            lambda text: text + "\n",
            lambda text: text.replace('"payload"', '"p\\u0061yload"'),
            lambda text: text.replace('"payload":', '"payload":"x","payload":', 1),
            lambda text: json.dumps(json.loads(text)),
            lambda text: json.dumps(json.loads(text), sort_keys=True, separators=(",", ":")).replace("x", "\\u0078"),
            lambda text: text[:-1],
            lambda text: text + "{}",
            lambda text: "[" * 5000,
            lambda text: "null",
        ]
    ):
        with row as respell:
            text = unarmour(vendor.license_file()).decode()

            with pytest.raises(errors.MalformedError):
                verify(armour(respell(text).encode()), keys)


def test_another_header_is_refused_even_when_signed(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "ML-DSA-65"},
            {"alg": None},
            {"typ": "license+jwt"},
            {"typ": "JWT"},
            {"typ": None},
            {"kid": None},
            {"kid": 7},
            {"kid": "short"},
            {"kid": "AAAAAAAAAAAAAAA="},
            {"crit": []},
            {"crit": ["b64"], "b64": False},
            {"jwk": {}},
            {"second": 7},
            {"second": None, "more": 1},
        ]
    ):
        with row as header:
            raw = armour(compact(file_document(vendor.license_key, file_claims(), first_header=header)))

            with pytest.raises(errors.WrongTypeError):
                verify(raw, keys)


def test_the_header_has_one_spelling(vendor: Vendor, keys: PinnedKeys) -> None:
    payload = encode(file_claims())
    for header in (
        {"typ": "license-file+jwt", "kid": vendor.license_key.kid, "alg": "EdDSA"},
        {"alg": "EdDSA", "typ": "license-file+jwt", "kid": vendor.license_key.kid},
    ):
        protected = encode(header)
        signature = base64url(vendor.license_key.private.sign(f"{protected}.{payload}".encode()))
        document = {"payload": payload, "signatures": [{"protected": protected, "signature": signature}]}
        with pytest.raises(errors.WrongTypeError):
            verify(armour(compact(document)), keys)


def test_a_second_that_nothing_follows_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    raw = armour(compact(file_document(vendor.license_key, file_claims(), first_header={"second": "AAAA"})))

    with pytest.raises(errors.BadSignatureError):
        verify(raw, keys)


def test_only_one_spelling_of_the_base64_is_accepted(vendor: Vendor, keys: PinnedKeys) -> None:
    """Spare bits of the last character before the padding."""
    for length in range(3):
        raw = vendor.license_file(order="CS" + "1" * length)
        body = raw.split(BEGIN)[1].split(END)[0].rstrip(b"\n")
        if not body.endswith(b"="):
            continue
        with pytest.raises(errors.MalformedError):
            verify(raw.replace(body, body.rstrip(b"=")), keys)
        place = len(body.rstrip(b"=")) - 1
        alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for letter in alphabet:
            other = body[:place] + bytes([letter]) + body[place + 1 :]
            if other != body and base64.b64decode(other) == base64.b64decode(body):
                with pytest.raises(errors.MalformedError, match="canonical"):
                    verify(raw.replace(body, other), keys)


def test_claims_that_make_no_sense_are_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [{"n": True}, {"dev": {}}, {"order": 7}, {"file": []}, {"maint": -1}, {"maint": "x"}, {"exp": "x"}, {"sub": ""}]
    ):
        with row as changes, pytest.raises(errors.BadClaimsError):
            verify(vendor.license_file(**changes), keys)


def test_no_message_repeats_what_was_verified(vendor: Vendor, keys: PinnedKeys) -> None:
    with pytest.raises(errors.VerificationError) as caught:
        verify(vendor.license_file(dev="SECRET-SERIAL"), keys)

    assert "SECRET-SERIAL" not in str(caught.value) + caught.value.action
