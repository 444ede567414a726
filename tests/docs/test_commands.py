"""Commands that the pages name exist, and those that exist are named."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from licsrv.cli import app
from tests.docs.pages import PAGES, README, ROOT, code_spans, text

_TABLE_ROW = re.compile(r"^\| `licsrv (\w+)(?: ([\w-]+))?`(.*?) \|", re.MULTILINE)
_TOPLEVEL = {"emulator"}  # hands everything behind it over


def _command(words: list[str]) -> Any:
    """Return the command of these words, or None where there is none."""
    found: Any = typer.main.get_command(app)  # typer brings a click of its own, so no class of click fits
    for word in words:
        below = _below(found)
        if not below:
            return found
        found = below.get(word)
        if found is None:
            return None
    return found


def _below(command: Any) -> dict[str, Any]:
    """Return the commands of a group; a command has none."""
    return getattr(command, "commands", {})


def _words(span: str) -> list[str]:
    """Return the command words of ``licsrv …``, without options and arguments."""
    words = []
    for word in span.split()[1:]:
        if not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        words.append(word)
    return words


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_licsrv_command_named_exists(page: Path) -> None:
    named = [span for span in code_spans(page) if re.match(r"(?:\.venv/bin/)?licsrv(?:-admin)? [a-z]", span)]

    missing = [span for span in named if _words(span)[0] not in _TOPLEVEL and _command(_words(span)) is None]

    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_option_named_with_a_command_exists(page: Path) -> None:
    for span in code_spans(page):
        if not re.match(r"(?:\.venv/bin/)?licsrv [a-z]", span) or _words(span)[0] in _TOPLEVEL:
            continue
        command = _command(_words(span))
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        assert set(re.findall(r"--[a-z-]+", span)) <= known, span


def test_the_table_of_commands_is_complete() -> None:
    existing = {
        (name, part)
        for name, command in _below(typer.main.get_command(app)).items()
        for part in (_below(command) or [""])
    }

    named = set()
    for noun, first, rest in _TABLE_ROW.findall(text(README)):
        parts = [first, *re.findall(r"`([\w-]+)`", rest)]
        named |= {(noun, part if noun not in _TOPLEVEL else "") for part in parts}

    assert named == existing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_named_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))

    named = {name for span in code_spans(page) for name in re.findall(r"^make ([a-z][a-z-]*)", span)}
    named |= set(re.findall(r"^(?:LICSRV\S+ )*make ([a-z][a-z-]*)", text(page), re.MULTILINE))

    assert named <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_of_another_folder_exists(page: Path) -> None:
    for folder, target in re.findall(r"make -C (\S+)(?: ([a-z]+)$)?", text(page).replace("`", "\n"), re.MULTILINE):
        makefile = ROOT / folder.rstrip(",") / "Makefile"

        targets = re.findall(r"^([a-z-]+):", text(makefile), re.MULTILINE)

        assert not target or target in targets


def test_both_commands_of_a_newcomer_are_named() -> None:
    assert {"make run", "make demo", "make test"} <= set(re.findall(r"make [a-z]+", text(README)))


def test_modules_run_by_the_pages_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"python3? -m ([a-z_.]+)", text(page))}

    for name in named:
        path = ROOT.joinpath(*name.split("."))
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), name
