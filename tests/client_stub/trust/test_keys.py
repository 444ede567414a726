from __future__ import annotations

import sys

import pytest

from client_stub.trust.keys import Algorithm, KeyPurpose, PinnedKeys, PinnedKeysError, key_id
from tests.client_stub.signing import SecondKey, SigningKey, Vendor, base64url
from tests.tables import each


def id_of(x: str) -> str:
    return key_id({"crv": "Ed25519", "kty": "OKP", "x": x})


KEY = SigningKey("license")


def test_every_key_is_pinned_for_its_purpose(vendor: Vendor) -> None:
    pinned = PinnedKeys.from_jwks(vendor.jwks)

    assert {kid: key.purpose for kid, key in pinned.by_id.items()} == {
        vendor.license_key.kid: KeyPurpose.LICENSE,
        vendor.lease_key.kid: KeyPurpose.LEASE,
        vendor.release_key.kid: KeyPurpose.RELEASE,
    }


def test_the_key_id_is_the_beginning_of_the_published_thumbprint() -> None:
    """RFC 8037 appendix A.3."""
    assert id_of("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"[:16]


def test_a_key_of_an_unknown_purpose_is_left_out() -> None:
    for row in each(["something-newer", None, 7, ["license"]]):
        with row as purpose:
            pinned = PinnedKeys.from_jwks({"keys": [KEY.jwk, SigningKey("x").jwk | {"purpose": purpose}]})

            assert list(pinned.by_id) == [KEY.kid]


SHORT = base64url(bytes(31))


def test_a_damaged_or_unsafe_key_set_is_refused() -> None:
    for row in each(
        [
            {},
            {"keys": None},
            {"keys": []},
            {"keys": ["text"]},
            {"keys": [KEY.jwk, KEY.jwk]},
            {"keys": [KEY.jwk | {"kty": "EC"}]},
            {"keys": [KEY.jwk | {"crv": "Ed448"}]},
            {"keys": [KEY.jwk | {"alg": "ES256"}]},
            {"keys": [KEY.jwk | {"use": "enc"}]},
            {"keys": [KEY.jwk | {"d": base64url(bytes(32))}]},
            {"keys": [KEY.jwk | {"kid": "0" * 16}]},
            {"keys": [KEY.jwk | {"x": SigningKey("license").x}]},
            {"keys": [KEY.jwk | {"x": 7}]},
            {"keys": [KEY.jwk | {"x": SHORT, "kid": id_of(SHORT)}]},
            {"keys": [KEY.jwk | {"x": KEY.x + "=", "kid": id_of(KEY.x + "=")}]},
            {"keys": [KEY.jwk | {"x": "é", "kid": id_of("é")}]},
            {"keys": [KEY.jwk | {"x": "A", "kid": id_of("A")}]},
        ]
    ):
        with row as jwks, pytest.raises(PinnedKeysError):
            PinnedKeys.from_jwks(jwks)


# -- ML-DSA-65 -----------------------------------------------------------------------------------------------------

SECOND = SecondKey()


def test_a_second_key_is_pinned_by_its_algorithm(vendor: Vendor) -> None:
    pinned = PinnedKeys.from_jwks(vendor.jwks_with_second)

    assert pinned.by_id[vendor.second_key.kid].algorithm is Algorithm.ML_DSA_65
    assert pinned.has(Algorithm.ML_DSA_65, KeyPurpose.LICENSE)
    assert not pinned.has(Algorithm.ML_DSA_65, KeyPurpose.LEASE)
    assert not PinnedKeys.from_jwks(vendor.jwks).has(Algorithm.ML_DSA_65, KeyPurpose.LICENSE)


def test_a_second_key_that_is_damaged_or_private_is_refused() -> None:
    for row in each(
        [
            {"alg": "ML-DSA-44"},
            {"alg": "EdDSA"},
            {"use": "enc"},
            {"kty": "OKP"},
            {"kid": KEY.kid},
            {"pub": SecondKey().pub},
            {"pub": None},
            {"pub": SECOND.pub[:-4]},
            {"priv": "AAAA"},
        ]
    ):
        with row as changes, pytest.raises(PinnedKeysError):
            PinnedKeys.from_jwks({"keys": [KEY.jwk, SECOND.jwk | changes]})


def test_a_library_without_ml_dsa_leaves_second_keys_out(vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.asymmetric.mldsa", None)

    pinned = PinnedKeys.from_jwks(vendor.jwks_with_second)

    assert vendor.second_key.kid not in pinned.by_id
    assert vendor.license_key.kid in pinned.by_id
    with pytest.raises(PinnedKeysError, match="no key"):
        PinnedKeys.from_jwks({"keys": [SECOND.jwk]})
