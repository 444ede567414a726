"""Every command explains itself, at once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from licsrv.cli import command as command_tree
from tests.cli.conftest import Run

OWN_HELP = {("emulator",)}  # hands over to the emulator, which explains itself
NO_DATA = {("serve",), ("emulator",)}


def commands(group: Any = None, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield every command with its words, groups included."""
    group = command_tree() if group is None else group
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


ALL = [path for path, _ in commands()]
LEAVES = [(path, command) for path, command in commands() if not hasattr(command, "commands")]


@pytest.mark.parametrize("path", [path for path in ALL if path not in OWN_HELP], ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...], licsrv: Run) -> None:
    ran = licsrv(*path, "--help")

    assert ran.exit_code == 0
    assert f" {' '.join(path)} " in ran.out.splitlines()[0]


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_and_option_says_what_it_is_for(path: tuple[str, ...], command: Any) -> None:
    assert command.help

    silent = [parameter.name for parameter in command.params if not getattr(parameter, "help", "x")]
    assert not silent


@pytest.mark.parametrize(("path", "command"), LEAVES, ids=[" ".join(path) for path, _ in LEAVES])
def test_every_command_that_prints_data_speaks_json(path: tuple[str, ...], command: Any) -> None:
    options = [option for parameter in command.params for option in parameter.opts]

    assert ("--json" in options) == (path not in NO_DATA)


def test_the_contract_is_kept() -> None:
    names = {path[0] for path in ALL}

    assert names >= {
        "serve", "init", "doctor", "keys", "products", "licenses", "devices", "outbox", "audit", "backup", "emulator",
    }  # fmt: skip


@pytest.mark.parametrize("words", ["--help", "licenses --help", "licenses revoke --help", "doctor --help"])
def test_help_waits_for_no_library(words: str) -> None:
    slow = ("sqlalchemy", "sqlmodel", "rich", "cryptography", "httpx2", "starlette", "uvicorn", "structlog")
    program = (
        "import sys; from licsrv.cli import main\n"
        f"try: main({words.split()!r})\n"
        f"except SystemExit: print([name for name in {slow!r} if name in sys.modules], file=sys.stderr)"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stderr.strip() == "[]"


def test_no_command_at_all_shows_the_help(licsrv: Run) -> None:
    ran = licsrv()

    assert ran.exit_code == 2
    assert "Commands:" in ran.out + ran.err
