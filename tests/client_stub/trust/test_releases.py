"""Manifests of published versions: believed as the answer to our own question, or refused."""

from __future__ import annotations

from typing import Any

import pytest

from client_stub.trust import errors
from client_stub.trust.keys import PinnedKeys
from client_stub.trust.releases import Release
from client_stub.trust.verification import verify_release
from tests.client_stub.signing import NOW, SigningKey, Vendor, manifest_claims
from tests.tables import each


def verify(text: str, keys: PinnedKeys, **changes: Any) -> Release:
    asked = {"product": "cad", "channel": "stable", "platform": "linux-x86_64", "issuer": "https://license.example"}
    return verify_release(text, keys, **(asked | changes))


def test_a_good_manifest_is_read(vendor: Vendor, keys: PinnedKeys) -> None:
    release = verify(vendor.manifest(forced=True), keys)

    assert (release.version, release.is_forced, release.size) == ("4.0.0", True, 1234)
    assert release.url == "https://downloads.example/cad-4.0.0.run"
    assert (release.sha256, release.published_at) == ("0" * 64, NOW)


def test_a_manifest_that_answers_another_question_is_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            ({"product": "cam"}, errors.WrongProductError),
            ({"channel": "beta"}, errors.WrongProductError),
            ({"platform": "windows-x86_64"}, errors.WrongProductError),
            ({"issuer": "https://other.example"}, errors.WrongIssuerError),
        ]
    ):
        with row as (changes, error), pytest.raises(error):
            verify(vendor.manifest(), keys, **changes)


def test_claims_that_make_no_sense_are_refused(vendor: Vendor, keys: PinnedKeys) -> None:
    for row in each(
        [
            *({name: None} for name in ("iss", "product", "version", "channel", "platform", "url", "sha256", "size")),
            *({name: None} for name in ("published_at", "iat")),
            {"url": "http://downloads.example/cad.run"},
            {"url": "file:///etc/hosts"},
            {"url": "https://"},
            {"url": "https://[half"},
            {"sha256": "0" * 63},
            {"sha256": "G" * 64},
            {"sha256": "A" * 64},
            {"size": -1},
            {"size": "1"},
            {"forced": "true"},
        ]
    ):
        with row as changes, pytest.raises(errors.BadClaimsError):
            verify(vendor.manifest(**changes), keys)


def test_only_a_release_key_makes_a_manifest(vendor: Vendor, keys: PinnedKeys) -> None:
    for key in (vendor.license_key, vendor.lease_key):
        with pytest.raises(errors.WrongKeyPurposeError):
            verify(key.sign(manifest_claims(), "release+jwt"), keys)
    with pytest.raises(errors.UnknownKeyError):
        verify(SigningKey("release").sign(manifest_claims(), "release+jwt"), keys)


def test_a_license_is_no_manifest(vendor: Vendor, keys: PinnedKeys) -> None:
    for text in (vendor.license_string(), vendor.lease(), vendor.revocation_list()):
        with pytest.raises(errors.WrongTypeError):
            verify(text, keys)
