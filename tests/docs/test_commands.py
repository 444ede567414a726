"""Commands that the pages name exist, and those that exist are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from licsrv.cli import command
from tests.docs.pages import COMMANDS, PAGES, README, ROOT, code_spans, name_of, text

_TABLE_ROW = re.compile(r"^\| `licsrv (\w+)(?: ([\w-]+))?`(.*?) \|", re.MULTILINE)
_TOPLEVEL = {"emulator"}  # its arguments are parsed by the emulator itself


def _command(words: list[str]) -> Any:
    """Return the command of these words, or None where there is none."""
    found: Any = command()  # typer brings a click of its own, so no class of click fits
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


def _named() -> Iterator[tuple[str, str]]:
    """Return every ``licsrv …`` of the pages' text, with the page's name; not the emulator's."""
    for page in PAGES:
        for span in code_spans(page):
            if re.match(r"(?:\.venv/bin/)?licsrv(?:-admin)? [a-z]", span) and _words(span)[0] not in _TOPLEVEL:
                yield name_of(page), span


def test_every_licsrv_command_named_exists() -> None:
    missing = [(page, span) for page, span in _named() if _command(_words(span)) is None]

    assert missing == []


def test_every_option_named_with_a_command_exists() -> None:
    unknown = [
        (page, span, option)
        for page, span in _named()
        for option in re.findall(r"--[a-z-]+", span)
        if option not in _options(span)
    ]

    assert unknown == []


def _options(span: str) -> set[str]:
    command = _command(_words(span))
    return {option for parameter in command.params for option in parameter.opts} | {"--help"}


def test_the_table_of_commands_is_complete() -> None:
    existing = {(name, part) for name, command in _below(command()).items() for part in (_below(command) or [""])}

    named = set()
    for noun, first, rest in _TABLE_ROW.findall(text(COMMANDS)):
        parts = [first, *re.findall(r"`([\w-]+)`", rest)]
        named |= {(noun, part if noun not in _TOPLEVEL else "") for part in parts}

    assert named == existing


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.MULTILINE))

    named = set()
    for page in PAGES:
        found = {name for span in code_spans(page) for name in re.findall(r"^make ([a-z][a-z-]*)", span)}
        found |= set(re.findall(r"^(?:LICSRV\S+ )*make ([a-z][a-z-]*)", text(page), re.MULTILINE))
        named |= {(name_of(page), name) for name in found - targets}

    assert named == set()


def test_every_make_target_of_another_folder_exists() -> None:
    missing = []
    for page in PAGES:
        for folder, target in re.findall(r"make -C (\S+)(?: ([a-z]+)$)?", text(page).replace("`", "\n"), re.MULTILINE):
            makefile = ROOT / folder.rstrip(",") / "Makefile"
            targets = re.findall(r"^([a-z-]+):", text(makefile), re.MULTILINE)
            missing += [(name_of(page), target)] if target and target not in targets else []

    assert missing == []


def test_the_commands_of_a_newcomer_are_named() -> None:
    assert {"make run", "make demo", "make test"} <= set(re.findall(r"make [a-z]+", text(README)))


def test_modules_run_by_the_pages_exist() -> None:
    named = {name for page in PAGES for name in re.findall(r"python3? -m ([a-z_.]+)", text(page))}

    missing = {name for name in named if not _is_runnable(name)}

    assert missing == set()


def _is_runnable(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return (path / "__main__.py").exists() or path.with_suffix(".py").exists()
