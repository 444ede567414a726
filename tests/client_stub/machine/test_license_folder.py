"""Where license files go: exactly where the program asked for, whole or not at all."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from client_stub.machine import license_folder
from client_stub.machine.license_folder import FileNameError, target_of
from client_stub.trust.armour import MAXIMUM_BYTES
from client_stub.trust.errors import MalformedError


def test_a_name_goes_into_the_folder(tmp_path: Path) -> None:
    assert target_of("cad.lic", tmp_path) == tmp_path / "cad.lic"
    assert target_of("许可证.lic", tmp_path) == tmp_path / "许可证.lic"
    assert target_of("", tmp_path) == tmp_path / "license.lic"


def test_an_absolute_path_is_taken_as_it_is(tmp_path: Path) -> None:
    assert target_of(str(tmp_path / "deep" / "cad.lic"), Path("elsewhere")) == tmp_path / "deep" / "cad.lic"


@pytest.mark.parametrize(
    "name",
    [
        ".",
        "..",
        "...",
        "../cad.lic",
        "sub/cad.lic",
        "sub\\cad.lic",
        "..\\cad.lic",
        "/",
        "/tmp/../etc/cad.lic",
        "/tmp/..",
        "a\0b",
        "a\nb",
        "a\x1b[2Jb",
        "a\u202eb",
        " cad.lic",
        "cad.lic ",
        "cad.lic.",
        "c:cad.lic",
        "cad?.lic",
        "CON",
        "nul.lic",
        "x" * 101,
        "\ud800",
    ],
    ids=repr,
)
def test_every_other_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNameError):
        target_of(name, tmp_path)


def test_the_longest_name_is_a_hundred_characters(tmp_path: Path) -> None:
    assert target_of("x" * 100, tmp_path).name == "x" * 100


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "cad.lic"

    license_folder.write(path, b"one")
    license_folder.write(path, b"two")

    assert license_folder.read(path) == b"two"
    assert [found.name for found in path.parent.iterdir()] == ["cad.lic"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX modes and links")
def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "cad.lic"
    victim.write_text("precious")
    link.symlink_to(victim)

    license_folder.write(link, b"license")

    assert victim.read_text() == "precious"
    assert not link.is_symlink()
    assert stat.S_IMODE(link.stat().st_mode) == 0o600


def test_a_place_that_cannot_be_written_stays_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "cad.lic"
    place.mkdir()

    with pytest.raises(IsADirectoryError):
        license_folder.write(place, b"license")

    assert [found.name for found in tmp_path.iterdir()] == ["cad.lic"]


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "cad.lic"
    path.write_bytes(b"x" * MAXIMUM_BYTES)
    assert len(license_folder.read(path)) == MAXIMUM_BYTES

    path.write_bytes(b"x" * (MAXIMUM_BYTES + 1))

    with pytest.raises(MalformedError):
        license_folder.read(path)
