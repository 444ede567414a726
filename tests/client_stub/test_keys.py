from __future__ import annotations

from typing import Any

import pytest

from client_stub.keys import KeyPurpose, PinnedKeys, PinnedKeysError, key_id
from tests.client_stub.signing import SigningKey, Vendor, base64url

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
    assert key_id("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo") == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"[:16]


@pytest.mark.parametrize("purpose", ["something-newer", None, 7, ["license"]])
def test_a_key_of_an_unknown_purpose_is_left_out(purpose: object) -> None:
    pinned = PinnedKeys.from_jwks({"keys": [KEY.jwk, SigningKey("x").jwk | {"purpose": purpose}]})

    assert list(pinned.by_id) == [KEY.kid]


SHORT = base64url(bytes(31))


@pytest.mark.parametrize(
    "jwks",
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
        {"keys": [KEY.jwk | {"x": SHORT, "kid": key_id(SHORT)}]},
        {"keys": [KEY.jwk | {"x": KEY.x + "=", "kid": key_id(KEY.x + "=")}]},
        {"keys": [KEY.jwk | {"x": "é", "kid": key_id("é")}]},
        {"keys": [KEY.jwk | {"x": "A", "kid": key_id("A")}]},
    ],
)
def test_a_damaged_or_unsafe_key_set_is_refused(jwks: dict[str, Any]) -> None:
    with pytest.raises(PinnedKeysError):
        PinnedKeys.from_jwks(jwks)
