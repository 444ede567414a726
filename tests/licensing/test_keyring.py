"""The signing keys on disk."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from licsrv.errors import KeyringError
from licsrv.licensing import key_folder
from licsrv.licensing.key_folder import DEVICE_KEY_NAME, KeyFolder
from licsrv.licensing.keyring import Algorithm, Purpose
from tests.conftest import NOW


def test_a_folder_gets_a_key_for_each_purpose_once(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")

    assert {record.purpose for record in folder.ensure(now=NOW)} == set(Purpose)
    assert folder.ensure(now=NOW) == []


def test_nobody_else_can_read_a_private_key(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path / "keys")
    folder.ensure(now=NOW)

    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir()}

    assert set(modes.values()) == {0o600}
    assert folder.path.stat().st_mode & 0o777 == 0o700


def test_the_newest_key_signs_and_the_older_one_still_verifies(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    old = folder.read().signer(Purpose.LICENSE).key_id

    new = folder.make(Purpose.LICENSE, now=NOW + timedelta(seconds=1))

    keyring = folder.read()
    assert keyring.signer(Purpose.LICENSE).key_id == new.key_id
    assert keyring.is_trusted(old)
    assert {jwk["kid"] for jwk in keyring.jwks()["keys"]} >= {old, new.key_id}


def test_a_retired_key_counts_no_more(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    old = folder.read().signer(Purpose.LICENSE).key_id
    with pytest.raises(KeyringError, match="only key"):
        folder.retire(old, now=NOW)
    folder.make(Purpose.LICENSE, now=NOW + timedelta(seconds=1))

    folder.retire(old, now=NOW)

    keyring = folder.read()
    assert not keyring.is_trusted(old)
    assert old not in {jwk["kid"] for jwk in keyring.jwks()["keys"]}
    assert folder.retire(old, now=NOW + timedelta(days=1)).retired_at == NOW
    with pytest.raises(KeyringError, match="no key"):
        folder.retire("nobody", now=NOW)


def test_a_passphrase_encrypts_and_a_wrong_one_is_named(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path, passphrase="correct horse")
    folder.ensure(now=NOW)

    assert b"ENCRYPTED" in next(tmp_path.glob("*.pem")).read_bytes()
    assert folder.read().signer(Purpose.LEASE)
    for wrong in (None, "battery staple"):
        with pytest.raises(KeyringError, match="PASSPHRASE"):
            KeyFolder(tmp_path, passphrase=wrong).read()


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"kid": 1}', "\x00", '"text"'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    folder = KeyFolder(tmp_path)
    record = folder.ensure(now=NOW)[0]
    (tmp_path / f"{record.key_id}.json").write_text(content)

    with pytest.raises(KeyringError, match=r"damaged|does not say"):
        folder.read()


def test_a_key_cannot_be_given_another_purpose_or_public_half(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    first, second = folder.ensure(now=NOW)[:2]
    path = tmp_path / f"{first.key_id}.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps(document | {"x": second.public}))

    with pytest.raises(KeyringError):
        folder.read()


@pytest.mark.parametrize("content", [b"", b"short", b"!!!"])
def test_a_damaged_device_secret_is_named(tmp_path: Path, content: bytes) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    (tmp_path / DEVICE_KEY_NAME).write_bytes(content)

    with pytest.raises(KeyringError, match=DEVICE_KEY_NAME):
        folder.read()


def test_a_second_key_signs_files_and_stands_in_the_published_keys(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path, passphrase="correct horse")
    folder.ensure(now=NOW)

    made = folder.make(Purpose.LICENSE, now=NOW, algorithm=Algorithm.ML_DSA_65)

    keyring = folder.read()
    assert keyring.second_signer(now=NOW).key_id == made.key_id
    assert keyring.signer(Purpose.LICENSE, now=NOW).key_id != made.key_id
    assert b"ENCRYPTED" in (tmp_path / f"{made.key_id}.pem").read_bytes()
    (jwk,) = [jwk for jwk in keyring.jwks()["keys"] if jwk["kty"] == "AKP"]
    assert jwk == {
        "kty": "AKP", "alg": "ML-DSA-65", "use": "sig", "kid": made.key_id, "pub": made.public, "purpose": "license",
    }  # fmt: skip
    assert len(made.public) == 2603
    assert folder.ensure(now=NOW) == []


def test_without_a_second_key_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)

    with pytest.raises(KeyringError, match="keys new license --algorithm ML-DSA-65"):
        folder.read().second_signer(now=NOW)
    assert {record.algorithm for record in folder.records()} == {Algorithm.EDDSA}


@pytest.mark.parametrize("purpose", [Purpose.LEASE, Purpose.RELEASE])
def test_only_license_files_are_signed_twice(tmp_path: Path, purpose: Purpose) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)

    with pytest.raises(KeyringError, match="license files and nothing else"):
        folder.make(purpose, now=NOW, algorithm=Algorithm.ML_DSA_65)


def test_the_last_second_key_may_be_retired_and_the_last_first_one_may_not(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    second = folder.make(Purpose.LICENSE, now=NOW, algorithm=Algorithm.ML_DSA_65)
    first = folder.read().signer(Purpose.LICENSE, now=NOW).key_id

    with pytest.raises(KeyringError, match="only key"):
        folder.retire(first, now=NOW)
    folder.retire(second.key_id, now=NOW)

    assert all(jwk["kty"] == "OKP" for jwk in folder.read().jwks()["keys"])


def test_a_key_is_published_before_it_signs(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    old = folder.read().signer(Purpose.LEASE, now=NOW).key_id
    begins = NOW + timedelta(days=7)

    new = folder.make(Purpose.LEASE, now=NOW + timedelta(seconds=1), signs_from=begins).key_id

    keyring = folder.read()
    assert new in {jwk["kid"] for jwk in keyring.jwks()["keys"]}
    for now, expected in ((NOW, old), (begins - timedelta(seconds=1), old), (begins, new), (None, old)):
        assert keyring.signer(Purpose.LEASE, now=now).key_id == expected
    with pytest.raises(KeyringError, match="only key"):
        folder.retire(old, now=begins - timedelta(seconds=1))
    folder.retire(old, now=begins)
    assert folder.read().signer(Purpose.LEASE).key_id == new


def test_of_several_keys_the_one_that_began_last_signs(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    later = folder.make(Purpose.LEASE, now=NOW, signs_from=NOW + timedelta(days=2)).key_id
    sooner = folder.make(Purpose.LEASE, now=NOW + timedelta(hours=1), signs_from=NOW + timedelta(days=1)).key_id

    keyring = folder.read()

    assert keyring.signer(Purpose.LEASE, now=NOW + timedelta(days=1)).key_id == sooner
    assert keyring.signer(Purpose.LEASE, now=NOW + timedelta(days=2)).key_id == later


def test_a_record_and_a_private_half_of_different_algorithms_do_not_fit(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    first = folder.ensure(now=NOW)[0]
    second = folder.make(Purpose.LICENSE, now=NOW, algorithm=Algorithm.ML_DSA_65)
    (tmp_path / f"{second.key_id}.pem").write_bytes((tmp_path / f"{first.key_id}.pem").read_bytes())

    with pytest.raises(KeyringError, match="does not belong"):
        folder.read()


def test_a_folder_of_before_can_be_read(tmp_path: Path) -> None:
    folder = KeyFolder(tmp_path)
    record = folder.ensure(now=NOW)[0]

    document = json.loads((tmp_path / f"{record.key_id}.json").read_text())

    assert set(document) == {"kty", "crv", "alg", "use", "kid", "x", "purpose", "created_at"}


def test_no_key_id_looks_like_an_option_of_a_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ids = iter(["-AAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAA"])
    folder = KeyFolder(tmp_path)
    folder.ensure(now=NOW)
    monkeypatch.setattr(key_folder, "thumbprint", lambda *_: next(ids))

    assert folder.make(Purpose.LICENSE, now=NOW).key_id == "AAAAAAAAAAAAAAAA"
