"""Private keys on disk: encrypted at a real cost, read in every older form, and rewritten on demand."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey

from licsrv.errors import KeyringError
from licsrv.licensing import key_files
from licsrv.licensing.key_files import PrivateKey
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Purpose
from tests.conftest import NOW

PASSPHRASE = "correct horse"
LABEL = "ENCRYPTED PRIVATE KEY"
BLOCK = f"-----BEGIN {LABEL}-----\n%s\n-----END {LABEL}-----\n"
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "blank": lambda _: b" \r\n",
    "cut": lambda content: content[: len(content) // 2],
    "cut at its end": lambda content: content[:-20],
    "without a part": lambda content: content[:70] + content[75:],
    "with a sign too many": lambda content: content[:70] + b"*" + content[70:],
    "with an end inside": lambda content: content[:70] + b"=" + content[70:],
    "with the wrong end": lambda content: content.replace(b"END ENCRYPTED", b"END"),
    "one sign": lambda _: (BLOCK % "A").encode(),
    "four signs": lambda _: (BLOCK % "AAAA").encode(),
    "no base64": lambda _: (BLOCK % "密钥").encode(),
    "binary": lambda _: bytes(range(256)) * 3,
    "DER": lambda _: b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70",
    "UTF-16": lambda content: content.decode("ascii").encode("utf-16"),
    "two of them": lambda content: content + content,
    "deep": lambda _: b"[" * 50_000,
    "a list": lambda _: b"[]",
    "null": lambda _: b"null",
}
HARMLESS: dict[str, Callable[[bytes], bytes]] = {
    "BOM": lambda content: codecs.BOM_UTF8 + content,
    "CRLF": lambda content: content.replace(b"\n", b"\r\n"),
    "a line at the end": lambda content: content + b"\n",
}
MEMBERS: dict[str, object] = {
    "created_at": "2026-01-01T00:00:00",  # no offset
    "retired_at": "",
    "signs_from": None,
    "kid": ["a"],
    "purpose": "coffee",
    "alg": None,
}


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
    assert key_files.parse(pem).is_protected
    assert not key_files.parse(older(private)).is_protected
    assert not key_files.parse(key_files.pem_of(private, None)).is_protected


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


@pytest.fixture
def folder(tmp_path: Path) -> KeyFolder:
    """A folder of protected keys."""
    folder = KeyFolder(tmp_path / "keys", passphrase=PASSPHRASE)
    folder.ensure(now=NOW)
    return folder


@pytest.mark.parametrize("pattern", ["*.pem", "*.json", "device.key", "seal.key"])
def test_a_damaged_file_is_named_in_a_sentence_wherever_it_is_read(tmp_path: Path, pattern: str) -> None:
    # Opening a protected key takes a sixth of a second, on purpose.
    folder = KeyFolder(tmp_path, passphrase=PASSPHRASE if pattern == "*.pem" else None)
    folder.ensure(now=NOW)
    [path, *_] = sorted(folder.path.glob(pattern))
    whole = path.read_bytes()
    readers = {"*.pem": (folder.read, folder.protect, folder.unprotected)}.get(pattern, (folder.read,))
    heard: dict[str, list[str]] = {}

    for name, damage in DAMAGES.items():
        path.write_bytes(damage(whole))
        heard[name] = [outcome(read) for read in readers]

    # A text that is whole but no key is known to be none only once it is opened: it counts as not protected.
    heard["four signs"] = heard["four signs"][:2]
    unchanged = {name for name, damage in DAMAGES.items() if damage(whole) == whole}
    assert {name for name, said in heard.items() if not all(one.startswith(path.name) for one in said)} == unchanged
    if pattern == "*.pem":
        assert heard["two of them"] == [f"{path.name} holds 2 keys and must hold one: restore it from a backup."] * 3


@pytest.mark.soak
@pytest.mark.parametrize("pattern", ["*.pem", "*.json", "device.key", "seal.key"])
@pytest.mark.parametrize("way", HARMLESS)
def test_what_editors_add_to_a_file_does_not_matter(folder: KeyFolder, pattern: str, way: str) -> None:
    before = folder.read().signer(Purpose.LICENSE).key_id
    for path in folder.path.glob(pattern):
        path.write_bytes(HARMLESS[way](path.read_bytes()))

    assert folder.read().signer(Purpose.LICENSE).key_id == before
    assert folder.unprotected() == []


@pytest.mark.parametrize("pattern", ["*.pem", "*.json", "device.key", "seal.key"])
def test_a_folder_in_the_place_of_a_file_is_named(folder: KeyFolder, pattern: str) -> None:
    [path, *_] = sorted(folder.path.glob(pattern))
    path.unlink()
    path.mkdir()

    assert outcome(folder.read) == f"{path.name} cannot be read (Is a directory): check its owner and mode."


@pytest.mark.parametrize("member", MEMBERS)
def test_a_record_that_says_something_unreadable_is_damaged_and_not_taken_for_less(
    folder: KeyFolder, member: str
) -> None:
    [path, *_] = sorted(folder.path.glob("*.json"))
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {member: MEMBERS[member]}))

    assert outcome(folder.read).startswith(path.name)


@pytest.mark.parametrize("change", [{"waits": "false"}, {"keys": []}, {"keys": [{"id": 5, "secret": "AA=="}]}])
def test_a_seal_key_that_says_something_unreadable_is_damaged(folder: KeyFolder, change: dict[str, object]) -> None:
    path = folder.path / "seal.key"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))

    assert outcome(folder.read) == "seal.key is damaged: restore it from a backup."


def test_nothing_is_rewritten_where_one_of_the_files_is_damaged(tmp_path: Path) -> None:
    KeyFolder(tmp_path).ensure(now=NOW)
    [*_, last] = sorted(tmp_path.glob("*.pem"))
    last.write_bytes(last.read_bytes().replace(b"M", b"N", 1))
    kept = {one.name: one.read_bytes() for one in tmp_path.iterdir()}

    with pytest.raises(KeyringError, match=last.name):
        KeyFolder(tmp_path, passphrase=PASSPHRASE).protect()

    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == kept


def outcome(read: Callable[[], object]) -> str:
    """Return the sentence of a refusal, or what was read; anything else that is raised fails the test."""
    try:
        return str(read())
    except KeyringError as error:
        return str(error)
