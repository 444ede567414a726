"""The random part of a machine that has no facts of its own."""

from __future__ import annotations

import re
from pathlib import Path

from client_stub.machine.device_facts import installation
from tests.tables import each

WEAK = "02:42:AC:11:00:02|QM00001|None|CPU-1"


def test_a_machine_without_facts_gets_one_identity_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "identity"

    text = installation.with_identity(WEAK, path)

    assert re.fullmatch(r"02:42:AC:11:00:02\|QM00001,INSTALL-[0-9A-F]{32}\|None\|CPU-1", text)
    assert installation.with_identity(WEAK, path) == text
    assert installation.with_identity("|||", path).strip("|") in text
    assert installation.with_identity(WEAK, tmp_path / "another") != text


def test_a_machine_with_facts_or_an_unreadable_text_gets_none(tmp_path: Path) -> None:
    for row in each(["52:54:00:AB:12:99|||CPU-1", "|WD-0001||", "||BOARD-1|", "no device text", "|" * 6000]):
        with row as text:
            assert installation.with_identity(text, tmp_path / "identity") == text
    assert not (tmp_path / "identity").exists()


def test_a_damaged_identity_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    for row in each([b"", b"INSTALL-7", b"INSTALL-" + b"a" * 32, b"\xff" * 400]):
        with row as content:
            path.write_bytes(content)
            text = installation.with_identity(WEAK, path)
            assert "INSTALL-" in text
            assert installation.with_identity(WEAK, path) == text


def test_where_nothing_can_be_kept_the_text_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    assert installation.with_identity(WEAK, tmp_path / "file" / "identity") == WEAK
    assert installation.with_identity(WEAK, tmp_path) == WEAK
