"""Private keys on disk: encrypted at a real cost, read in every older form, and rewritten on demand."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from licsrv.errors import KeyringError
from licsrv.licensing import key_files
from licsrv.licensing.key_files import PrivateKey
from licsrv.licensing.keyring import KeyFolder, Purpose
from tests.conftest import NOW

PASSPHRASE = "correct horse"


def older(private: PrivateKey) -> bytes:
    """Return the file as the versions before encrypted it: PBKDF2 with 2,048 rounds."""
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("private", [Ed25519PrivateKey.generate(), MLDSA65PrivateKey.generate()])
def test_any_reader_of_pkcs8_opens_the_file_with_the_passphrase_and_without_it_none(private: PrivateKey) -> None:
    pem = key_files.pem_of(private, PASSPHRASE.encode())

    read = serialization.load_pem_private_key(pem, PASSPHRASE.encode())

    assert isinstance(read, type(private))
    assert read.private_bytes_raw() == private.private_bytes_raw()
    with pytest.raises(ValueError, match=r"."):
        serialization.load_pem_private_key(pem, b"wrong horse")
    with pytest.raises(TypeError):
        serialization.load_pem_private_key(pem, None)
    assert key_files.is_protected(pem)
    assert not key_files.is_protected(older(private))
    assert not key_files.is_protected(key_files.pem_of(private, None))


def test_older_files_are_read_and_rewritten_on_demand(tmp_path: Path) -> None:
    plain, folder = KeyFolder(tmp_path), KeyFolder(tmp_path, passphrase=PASSPHRASE)
    plain.ensure(now=NOW)
    signer = {purpose: plain.read().signer(purpose).key_id for purpose in Purpose}
    path = tmp_path / f"{signer[Purpose.LEASE]}.pem"
    private = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    path.write_bytes(older(private))

    before = {purpose: folder.read().signer(purpose).key_id for purpose in Purpose}
    done = folder.protect()
    again = folder.protect()

    assert before == signer
    assert (sorted(done), again, folder.unprotected()) == (sorted(signer.values()), [], [])
    assert {purpose: folder.read().signer(purpose).key_id for purpose in Purpose} == signer
    assert {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.pem")} == {0o600}
    with pytest.raises(KeyringError, match="PASSPHRASE"):
        plain.read()


def test_without_a_passphrase_or_with_a_wrong_one_nothing_is_rewritten(tmp_path: Path) -> None:
    KeyFolder(tmp_path).ensure(now=NOW)
    [path, *_] = sorted(tmp_path.glob("*.pem"))
    private = serialization.load_pem_private_key(path.read_bytes(), None)
    assert isinstance(private, Ed25519PrivateKey)
    path.write_bytes(older(private))
    kept = {one.name: one.read_bytes() for one in tmp_path.iterdir()}

    for folder in (KeyFolder(tmp_path), KeyFolder(tmp_path, passphrase="wrong horse")):
        with pytest.raises(KeyringError, match="PASSPHRASE"):
            folder.protect()

    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == kept
