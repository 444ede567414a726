"""The C client keeps and names the same install identity as the Python client, in the same file."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from client_stub.machine.device_facts import installation
from client_stub.machine.device_facts.machine_name import machine_name
from tests.client_stub.c import c_verifier
from tests.client_stub.c.c_verifier import SOURCES, Tool
from tests.source_tree import ROOT
from tests.tables import each

VECTORS: dict[str, Any] = json.loads((ROOT / "tests" / "vectors" / "install_identity.json").read_text("utf-8"))
IDENTITY = VECTORS["identity"]


def identified(tool: Tool, text: str, folder: Path, *more: str) -> dict[str, Any]:
    return tool.ask("identity", text, "--store", str(folder), *more)


def test_what_a_file_says_is_what_the_vectors_say(tool: Tool, tmp_path: Path) -> None:
    for row in each(VECTORS["read"], names=[case["name"] for case in VECTORS["read"]]):
        with row as case:
            path = tmp_path / installation.NAME
            path.write_bytes(case["content"].encode("latin-1"))
            answer = identified(tool, "|||", tmp_path, "--machine", case["machine"])
            named, kept = answer["device"].strip("|"), path.read_bytes().decode("latin-1")
            origin = {"COPIED": "ELSEWHERE", "": "HERE" if kept == case["content"] else "DAMAGED"}[answer["trouble"]]
            assert origin == case["origin"]
            assert (named == case["identity"]) is (origin == "HERE")
            assert re.fullmatch(r"INSTALL-[0-9A-F]{32}", named)


def test_the_witness_is_made_as_the_vectors_say(tool: Tool, tmp_path: Path) -> None:
    for row in each(VECTORS["made"], names=[case["name"] for case in VECTORS["made"]]):
        with row as case:
            path = tmp_path / installation.NAME
            path.write_bytes(case["content"].encode())
            answer = identified(tool, "|||", tmp_path, "--machine", case["machine"])
            assert (answer["trouble"], answer["device"]) == ("", f"|{case['content'][:40]}||")


def test_texts_are_weak_and_name_the_identity_as_the_vectors_say(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / installation.NAME).write_text(IDENTITY + "\n")
    for row in each(VECTORS["texts"], names=[case["name"] for case in VECTORS["texts"]]):
        with row as case:
            answer = identified(tool, case["text"], tmp_path)
            assert (answer["weak"], answer["device"]) == (case["weak"], case["with_identity"])


def test_what_one_client_made_the_other_one_uses(tool: Tool, tmp_path: Path) -> None:
    by_c, by_python = tmp_path / "c", tmp_path / "python"

    first = identified(tool, "|||CPU-1", by_c)
    second = installation.identify("|||CPU-1", by_python / installation.NAME)

    assert installation.identify("|||CPU-1", by_c / installation.NAME).text == first["device"]
    assert identified(tool, "|||CPU-1", by_python)["device"] == second.text
    assert [len(found.read_bytes()) for found in (by_c / installation.NAME, by_python / installation.NAME)] == [
        82 if machine_name() else 41
    ] * 2
    assert (by_c / installation.NAME).stat().st_mode & 0o777 == 0o600
    copied = identified(tool, "|||CPU-1", by_python, "--machine", "0123456789abcdef" * 2)
    assert (copied["trouble"], copied["device"] == second.text) == (
        "COPIED" if machine_name() else "",
        not machine_name(),
    )


def test_where_nothing_can_be_kept_the_text_stays_as_it_is(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    (tmp_path / "taken" / installation.NAME).mkdir(parents=True)

    for row in each(["file", "taken", "not/there/at/all"]):
        with row as folder:
            answer = identified(tool, "|||CPU-1", tmp_path / folder)
            assert (answer["device"], answer["trouble"]) == ("|||CPU-1", "NOT_KEPT")
    assert identified(tool, "|WD-0001||", tmp_path / "file")["trouble"] == ""
    assert list((tmp_path / "taken").glob(".license.*")) == []


@pytest.mark.parametrize("before", [None, "INSTALL-7\n"], ids=["nothing", "a damaged file"])
def test_of_programs_that_begin_at_once_one_makes_the_identity_and_all_use_it(
    tool: Tool, tmp_path: Path, before: str | None
) -> None:
    if before is not None:
        (tmp_path / installation.NAME).write_text(before)
    command = [tool.program, "identity", "|||", "--store", str(tmp_path)]

    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(24)]
    by_python = installation.with_identity("|||", tmp_path / installation.NAME)

    texts = {json.loads(program.communicate()[0])["device"] for program in programs}
    assert texts == {by_python}
    assert sorted(found.name for found in tmp_path.iterdir()) == ["install-identity", "install-identity.lock"]


@pytest.mark.soak
def test_bytes_of_any_kind_touch_no_memory_that_is_not_ours(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    careful = Tool(c_verifier.sanitized(tmp_path_factory) / "licsrv-verify", tmp_path)

    for case in VECTORS["read"]:
        (tmp_path / installation.NAME).write_bytes(case["content"].encode("latin-1"))
        identified(careful, "|||", tmp_path, "--machine", case["machine"])
    for case in VECTORS["texts"]:
        identified(careful, case["text"], tmp_path, "--machine", "A" * 500)


def test_the_library_itself_opens_no_file() -> None:
    sources = "".join(path.read_text("utf-8") for path in (SOURCES / "src").glob("*.c"))

    assert not re.search(r"\b(?:open|fopen|rename|link|unlink|time)\(", sources)
