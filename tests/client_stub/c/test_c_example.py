"""The example program in C++ and the command line tool do what their users are told."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from client_stub.machine.device_facts import installation
from tests.client_stub.c import c_verifier
from tests.client_stub.c.c_verifier import SOURCES, VECTORS, Tool
from tests.client_stub.c.test_c_devices import dev_claim
from tests.client_stub.make_text_signer import license_string

FILE = next(case["text"] for case in VECTORS["files"] if case["name"] == "two signatures")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("c++") is None:
        pytest.skip("THE C++ EXAMPLE WAS NOT TESTED: this machine has no c++.")
    return c_verifier.make(tmp_path_factory, "cad") / "cad"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What somebody carried to a computer without network."""
    (tmp_path / "keys.json").write_text(json.dumps(VECTORS["jwks"]), "utf-8")
    (tmp_path / "license.txt").write_text(VECTORS["license"] + "\n", "utf-8")
    (tmp_path / "license.lic").write_text(FILE, "utf-8", newline="")
    return tmp_path


def play(program: Path, folder: Path, *more: str, device: str = VECTORS["device"]) -> tuple[int, str]:
    given = [
        "--keys",
        str(folder / "keys.json"),
        "--folder",
        str(folder),
        "--device",
        device,
        "--now",
        str(VECTORS["now"]),
    ]
    ended = subprocess.run([program, *given, *more], capture_output=True, text=True)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.soak
@pytest.mark.parametrize(("more", "exit_code", "sentence"), [
    ([], 0, "verified on this computer, without network"),
    (["--file", "license.lic"], 0, "verified on this computer, without network"),
    (["--file", ""], 0, "verified on this computer, without network"),
    (["--product", "cam"], 1, "not accepted (WRONG_PRODUCT)"),
    (["--file", "other.lic"], 1, "There is no license for this computer."),
    (["--file", "keys.json"], 1, "not accepted (INVALID)"),
])  # fmt: skip
def test_a_program_without_network_starts_with_what_was_carried_to_it(
    program: Path, folder: Path, more: list[str], exit_code: int, sentence: str
) -> None:
    code, said = play(program, folder, *more)

    assert (code, sentence in said) == (exit_code, True), said


def test_a_program_on_another_machine_does_not_start(program: Path, folder: Path) -> None:
    code, said = play(program, folder, device="11:22:33:44:55:66|X|Y|Z")

    assert (code, "WRONG_DEVICE" in said) == (1, True)


def test_a_machine_without_facts_is_known_by_its_installation(program: Path, folder: Path) -> None:
    identity = installation.with_identity("|||CPU-1", folder / installation.NAME)
    bound = license_string(dev=dev_claim(identity))
    (folder / "license.txt").write_text(bound + "\n", "utf-8")

    assert play(program, folder, device="|||CPU-1")[0] == 0
    (folder / installation.NAME).unlink()
    code, said = play(program, folder, device="|||CPU-1")
    assert (code, "WRONG_DEVICE" in said) == (1, True)


def test_a_program_without_a_license_says_so(program: Path, folder: Path) -> None:
    (folder / "license.txt").unlink()

    assert play(program, folder) == (1, "There is no license for this computer.\n")


def test_the_tool_says_how_it_is_called(tool: Tool) -> None:
    ended = subprocess.run([tool.program], capture_output=True, text=True)

    assert ended.returncode == 2
    assert "usage: licsrv-verify string|file FILE" in ended.stderr


@pytest.mark.parametrize("language", ["c", "c++"])
def test_the_header_is_whole_in_itself(program: Path, language: str, tmp_path: Path) -> None:
    command = ["cc", "-x", language, "-Wall", "-Wextra", "-Werror", "-fsyntax-only", str(SOURCES / "licsrv_verify.h")]

    ended = subprocess.run(command, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr


def test_the_code_in_the_readme_compiles(program: Path) -> None:
    code = (SOURCES / "README.md").read_text("utf-8").partition("```c\n")[2].partition("```")[0]
    command = ["cc", "-x", "c", "-std=c11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", f"-I{SOURCES}", "-"]

    ended = subprocess.run(command, input=code, capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr


def test_the_readme_names_targets_of_the_makefile() -> None:
    makefile = (SOURCES / "Makefile").read_text("utf-8")
    named = re.findall(r"^make +([a-z]+) ", (SOURCES / "README.md").read_text("utf-8"), re.MULTILINE)

    assert named
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in named)


def test_the_library_has_no_state_of_its_own(tool: Tool) -> None:
    if shutil.which("nm") is None:
        pytest.skip("this machine has no nm")

    symbols = subprocess.run(["nm", tool.program.parent / "liblicsrv_verify.a"], capture_output=True, text=True)

    # b, B, C: zeroed variables. d and D hold the constants that have addresses in them (.data.rel.ro).
    kinds = {line.split()[-2] for line in symbols.stdout.splitlines() if len(line.split()) >= 2}
    assert "T" in kinds
    assert not {"b", "B", "C"} & kinds


def test_no_source_file_is_long() -> None:
    for path in SOURCES.rglob("*.[ch]*"):
        assert len(path.read_text("utf-8").splitlines()) <= 450, path.name
