"""License strings and leases, verified by an independent JOSE library and by the client."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import KeySet, OKPKey

from licsrv.errors import InvalidRequestError
from licsrv.heartbeats.routes import lease_payload
from licsrv.heartbeats.rules import LeaseTerms
from licsrv.heartbeats.service import Granted
from licsrv.licensing import fingerprints
from licsrv.licensing.issuing import strings
from licsrv.licensing.issuing.strings import LicenseTerms, SigningKey
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Keyring, Purpose
from tests.conftest import DEVICE, NOW

REGISTRY = jws.JWSRegistry(algorithms=["EdDSA"], strict_check_header=False)
# RFC 9864 would rather have `Ed25519` as the algorithm's name; the contract says `EdDSA` (RFC 8037).
pytestmark = pytest.mark.filterwarnings("ignore:EdDSA is deprecated via RFC 9864")


def key_set(keyring: Keyring) -> KeySet:
    return KeySet([OKPKey.import_key(dict(jwk)) for jwk in keyring.jwks()["keys"]])


def terms(**changes: object) -> LicenseTerms:
    values: dict[str, object] = {
        "issuer": "licsrv", "issued_id": "j" * 23, "license_id": "l" * 23, "code": "PL0000000001", "product": "CAD",
        "features": ["export"], "amount": 2, "is_test": False, "is_provisional": False, "issued_at": NOW,
        "ends_at": NOW + timedelta(days=1),
    }  # fmt: skip
    return LicenseTerms(**(values | changes))  # type: ignore[arg-type]


def test_an_independent_library_verifies_a_license_string(keys_dir: Path) -> None:
    keyring = KeyFolder(keys_dir).read()
    key = keyring.signer(Purpose.LICENSE)

    text, claims = strings.sign_license(terms(), fingerprints.parse(DEVICE), salt=b"s" * 12, key=key)

    read = jws.deserialize_compact(text, key_set(keyring), registry=REGISTRY)
    assert json.loads(read.payload) == claims
    assert read.headers() == {"alg": "EdDSA", "kid": key.key_id, "typ": "license+jwt"}
    assert claims["exp"] - claims["iat"] == 86400


def test_an_independent_library_verifies_a_lease(keys_dir: Path) -> None:
    keyring = KeyFolder(keys_dir).read()
    lease = LeaseTerms("FROZEN", "why", NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=1), None)

    granted = Granted("l", "j", lease, link="0123")
    text = keyring.signer(Purpose.LEASE).sign(lease_payload(granted, 'no"nce', issuer="licsrv"))

    claims = json.loads(jws.deserialize_compact(text, key_set(keyring), registry=REGISTRY).payload)
    assert claims["nonce"] == 'no"nce'
    assert (claims["status"], claims["link"]) == ("FROZEN", "0123")
    assert "license_exp" not in claims


@pytest.mark.parametrize("count", [1, 2, 8, 9, 64])
def test_a_string_fits_its_limit_however_many_adapters_a_device_has(keys_dir: Path, count: int) -> None:
    key = KeyFolder(keys_dir).read().signer(Purpose.LICENSE)
    macs = ",".join(f"02:00:00:00:00:{number:02X}" for number in range(1, count + 1))
    facts = fingerprints.parse(f"{macs}|{macs.replace(':', '')}|B|C")

    text, claims = strings.sign_license(
        terms(code="P" * 64, product="X" * 64, features=["feature"] * 8), facts, salt=b"s" * 12, key=key
    )

    assert len(text) <= strings.MAX_STRING
    assert claims["dev"]["m"]


def test_a_product_with_too_many_features_is_refused_with_something_to_do(keys_dir: Path) -> None:
    key = KeyFolder(keys_dir).read().signer(Purpose.LICENSE)

    with pytest.raises(InvalidRequestError, match="1024"):
        strings.sign_license(terms(features=["f" * 30] * 40), fingerprints.parse(DEVICE), salt=b"s" * 12, key=key)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=700))
def test_both_libraries_make_the_same_signature(seed: bytes, payload: bytes) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)

    text = SigningKey.make("k" * 16, private, typ="lease+jwt").sign(payload)

    body, _, signature = text.rpartition(".")
    assert signature == strings.b64(private.sign(body.encode("ascii")))


def test_a_key_does_not_show_its_secret() -> None:
    key = SigningKey.make("k" * 16, Ed25519PrivateKey.from_private_bytes(b"\x01" * 32), typ="lease+jwt")

    assert "\\x01" not in repr(key)
