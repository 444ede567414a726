"""The random part of a machine that has no facts of its own."""

from __future__ import annotations

import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from client_stub.machine import disk
from client_stub.machine.device_facts import installation
from client_stub.machine.device_facts.installation import Trouble, identify
from client_stub.machine.device_facts.machine_name import machine_name
from client_stub.trust import install_identity
from client_stub.trust.install_identity import Origin
from tests.source_tree import ROOT
from tests.tables import each

WEAK = "02:42:AC:11:00:02|QM00001|None|CPU-1"
VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "install_identity.json").read_text("utf-8"))


def test_a_machine_without_facts_gets_one_identity_and_keeps_it(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "identity"

    text = installation.with_identity(WEAK, path)

    assert re.fullmatch(r"02:42:AC:11:00:02\|QM00001,INSTALL-[0-9A-F]{32}\|None\|CPU-1", text)
    assert installation.with_identity(WEAK, path) == text
    assert installation.with_identity("|||", path).strip("|") in text
    assert installation.with_identity(WEAK, tmp_path / "another") != text
    assert path.stat().st_mode & 0o077 == 0


def test_a_machine_with_facts_or_an_unreadable_text_gets_none(tmp_path: Path) -> None:
    for row in each(["52:54:00:AB:12:99|||CPU-1", "|WD-0001||", "||BOARD-1|", "no device text", "|" * 6000]):
        with row as text:
            assert identify(text, tmp_path / "identity") == installation.Identified(text)
    assert list(tmp_path.iterdir()) == []


def test_an_identity_is_named_next_to_facts_that_a_machine_got_later(tmp_path: Path) -> None:
    identity = installation.with_identity("|||", tmp_path / "identity").strip("|")

    text = installation.with_identity("3C:52:82:11:22:33|WD-0001|BOARD-1|CPU-1", tmp_path / "identity")

    assert text == f"3C:52:82:11:22:33|WD-0001,{identity}|BOARD-1|CPU-1"
    assert installation.with_identity(text, tmp_path / "identity") == text


def test_a_damaged_identity_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "identity"
    for row in each([b"", b"INSTALL-7", b"INSTALL-" + b"a" * 32, b"\xff" * 400, b"\0" * 82]):
        with row as content:
            path.write_bytes(content)
            text = installation.with_identity(WEAK, path)
            assert "INSTALL-" in text
            assert installation.with_identity(WEAK, path) == text


def test_where_nothing_can_be_kept_the_text_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    for row in each([tmp_path / "file" / "identity", tmp_path, None], names=["below a file", "a folder", "no path"]):
        with row as path:
            assert identify(WEAK, path) == installation.Identified(WEAK, Trouble.NOT_KEPT)


def test_an_identity_that_cannot_be_read_is_not_taken_for_a_damaged_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity"
    installation.with_identity(WEAK, path)
    kept = path.read_bytes()
    opened = Path.open

    def refuse(self: Path, *arguments: Any, **named: Any) -> Any:
        if self == path:
            raise PermissionError(13, "Permission denied")
        return opened(self, *arguments, **named)

    monkeypatch.setattr(Path, "open", refuse)

    found = identify(WEAK, path)

    monkeypatch.undo()
    assert (found, path.read_bytes()) == (installation.Identified(WEAK, Trouble.NOT_KEPT), kept)


def test_a_copy_on_a_machine_with_another_name_is_noticed_and_gets_an_identity_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "identity"
    monkeypatch.setattr(installation, "machine_name", lambda: "a" * 31 + "1")
    before = installation.with_identity(WEAK, path)
    copied = path.read_bytes()
    monkeypatch.setattr(installation, "machine_name", lambda: "b" * 31 + "1")
    strong = "3C:52:82:11:22:33|WD-0001|BOARD-1|CPU-1"

    beside_facts = identify(strong, path)
    found, again = identify(WEAK, path), identify(WEAK, path)

    assert beside_facts == installation.Identified(strong)
    assert (found.trouble, again.trouble) == (Trouble.COPIED, None)
    assert found.text == again.text != before
    path.write_bytes(copied)
    monkeypatch.setattr(installation, "machine_name", lambda: "")
    assert identify(WEAK, path) == installation.Identified(before), "a machine without a name notices nothing"


def test_this_machines_name_is_a_name_or_nothing() -> None:
    assert re.fullmatch(r"[0-9a-f-]{32,36}|", machine_name())


RACE = """
import sys
from pathlib import Path
from client_stub.machine.device_facts import installation
sys.stdin.read(1)
print(installation.with_identity("|||", Path(sys.argv[1])))
"""


@pytest.mark.parametrize("before", [None, b"", b"INSTALL-7\n"], ids=["nothing", "an empty file", "a damaged file"])
def test_of_programs_that_begin_at_once_one_makes_the_identity_and_all_use_it(
    tmp_path: Path, before: bytes | None
) -> None:
    path = tmp_path / "identity"
    if before is not None:
        path.write_bytes(before)
    command = [sys.executable, "-c", RACE, str(path)]
    programs = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) for _ in range(8)
    ]
    for program in programs:  # each waits for its byte, so that they begin together
        assert program.stdin is not None
        program.stdin.write("x")
    for program in programs:
        assert program.stdin is not None
        program.stdin.flush()

    texts = {program.communicate()[0].strip() for program in programs}

    assert len(texts) == 1
    assert installation.with_identity("|||", path) in texts
    assert sorted(found.name for found in tmp_path.iterdir()) == ["identity", "identity.lock"]


def test_on_a_file_system_without_links_one_still_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    text = installation.with_identity("|||", tmp_path / "identity")

    with pytest.raises(FileExistsError):
        disk.create_file(tmp_path / "identity", b"another")

    assert installation.with_identity("|||", tmp_path / "identity") == text
    assert not list(tmp_path.glob(".license.*"))


def test_no_log_line_has_the_identity(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "identity"
    for content in (b"", b"INSTALL-0123456789ABCDEF0123456789ABCDE7\nMACHINE-" + b"0" * 32):
        path.write_bytes(content)
        text = installation.with_identity(WEAK, path)
        assert "INSTALL-" in text
    assert "INSTALL-" not in caplog.text


def test_what_a_file_says_is_what_the_vectors_say() -> None:
    for row in each(VECTORS["made"], names=[case["name"] for case in VECTORS["made"]]):
        with row as case:
            made = install_identity.content(bytes.fromhex(case["random"]), case["machine"])
            assert made.decode() == case["content"]
            assert install_identity.read(made, case["machine"])[1] is Origin.HERE
    for row in each(VECTORS["read"], names=[case["name"] for case in VECTORS["read"]]):
        with row as case:
            identity, origin = install_identity.read(case["content"].encode("latin-1"), case["machine"])
            assert (identity, origin.value) == (case["identity"], case["origin"])
    for row in each(VECTORS["texts"], names=[case["name"] for case in VECTORS["texts"]]):
        with row as case:
            assert install_identity.is_weak(case["text"]) is case["weak"]
            assert install_identity.with_identity(case["text"], VECTORS["identity"]) == case["with_identity"]
