"""The signing keys on disk."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from licsrv.errors import KeyringError
from licsrv.licensing.keyring import DEVICE_KEY_NAME, KeyFolder, Purpose
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
