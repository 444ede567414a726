"""What a command prints: sentences and tables for people, one JSON document for programs.

Values come from customers and from the network, so nothing in them is taken for markup, and whatever could move the
cursor or colour the terminal is shown as an escape. It decides nothing and reads nothing.
"""

from __future__ import annotations

import json
import shutil
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TextIO

from licsrv.platform import moments

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.console import Console
    from rich.text import Text

WIDE, VERY_WIDE = 100, 120
_PIPE_WIDTH = 160  # do not cut values for a terminal that is not there
_LINES = 24
_GAP = 2
_LONGEST_FIXED = 32
_LEAST_FLEXIBLE = 12
_LONGEST = 4000
_ENDS = "…"
_HARMLESS = frozenset({"L", "M", "N", "P", "S"})  # the first letters of Unicode's visible categories

_STYLES = {
    "ACTIVE": "green", "DELIVERED": "green", "signing": "green", "ok": "green", "000000": "green",
    "EXPIRED": "yellow", "NOT_ACTIVATED": "yellow", "WAITING": "yellow", "warning": "yellow",
    "FROZEN": "cyan",
    "REVOKED": "red", "PARKED": "red", "problem": "bold red",
    "RELEASED": "dim", "DROPPED": "dim", "retired": "dim",
}  # fmt: skip


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Args:
        title: Its head.
        flexible: Holds sentences or names, which are folded into the room that the other columns leave.
        styled: Its values are words with a colour of their own.
        number: Its values are aligned to the right.
        from_width: The width of the terminal from which it is shown.
    """

    title: str
    flexible: bool = False
    styled: bool = False
    number: bool = False
    from_width: int = 0


def printable(value: object) -> str:
    """Return a value as one line in which every character can be seen; what cannot is written as an escape."""
    text = "" if value is None else str(value)
    if len(text) > _LONGEST:
        text = text[:_LONGEST] + _ENDS
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] in _HARMLESS:
        return character
    return " " if category == "Zs" else character.encode("unicode_escape").decode("ascii")


def say(sentence: str, *, file: TextIO | None = None) -> None:
    """Print a sentence on standard output, broken between words where a person looks at it."""
    from rich.text import Text

    console = _console(file)
    console.print(Text(printable(sentence)), soft_wrap=not console.is_terminal)


def warn(sentence: str) -> None:
    """Print a sentence on standard error."""
    say(sentence, file=sys.stderr)


def show_document(document: Mapping[str, object] | BaseModel) -> None:
    """Print the one JSON document of a command; ASCII, so that no value reaches a terminal as it is.

    Args:
        document: An answer of the desk, or members of which some are answers of the desk or moments.
    """
    print(json.dumps(document, indent=2, ensure_ascii=True, default=_plain))


def _plain(value: Any) -> object:
    return moments.rfc3339(value) if isinstance(value, datetime) else value.model_dump(mode="json")


def show_heading(title: str, word: str = "") -> None:
    """Print a title, followed by a word of its state."""
    from rich.text import Text

    line = Text(printable(title), style="bold")
    if word:
        line.append("  ").append(_styled(word))
    _console().print(line, soft_wrap=True)


def show_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names with their values below each other; a value that is empty is left out."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in facts:
        if value not in (None, ""):
            grid.add_row(name, Text(printable(value), overflow="fold"))
    _console().print(grid)


def show_table(columns: Sequence[Column], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
    """Print a table, nothing for no rows.

    Nothing is cut: values that people copy (ids, codes, moments) keep their line as far as it goes, names and
    sentences are folded into what is left, and columns that the terminal has no room for are left out.
    """
    from rich import box
    from rich.table import Table

    if not rows:
        return
    console = _console()
    shown = [number for number, column in enumerate(columns) if console.width >= column.from_width]
    cells = [[_cell(columns[number], row[number]) for number in shown] for row in rows]
    widths = _widths([columns[number] for number in shown], cells, console.width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    for number, width in zip(shown, widths, strict=True):
        column = columns[number]
        justify: Literal["left", "right"] = "right" if column.number else "left"
        table.add_column(column.title, justify=justify, width=width, overflow="fold")
    for row in cells:
        table.add_row(*row)
    if title:
        console.print()
        show_heading(title)
    console.print(table)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[Text]], width: int) -> list[int]:
    """Share a line's width: first what must not be folded, then what may be, which gets at least a few characters."""
    natural = [
        max(len(column.title), *(row[number].cell_len for row in cells)) for number, column in enumerate(columns)
    ]
    fixed = [min(size, _LONGEST_FIXED) for size in natural]
    flexible = [number for number, column in enumerate(columns) if column.flexible]
    left = width - _GAP * (len(columns) - 1) - sum(fixed[i] for i in range(len(columns)) if i not in flexible)
    # The narrow ones first, so that what they do not need goes to the wide ones.
    for waiting, number in zip(range(len(flexible), 0, -1), sorted(flexible, key=natural.__getitem__), strict=True):
        fixed[number] = min(natural[number], max(left // waiting, _LEAST_FLEXIBLE))
        left -= fixed[number]
    return fixed


def _cell(column: Column, value: object) -> Text:
    from rich.text import Text

    return _styled(printable(value)) if column.styled else Text(printable(value))


def _styled(word: str) -> Text:
    from rich.text import Text

    return Text(word, style=_STYLES.get(word, ""))


def _console(file: TextIO | None = None) -> Console:
    from rich.console import Console

    console = Console(file=file, highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = shutil.get_terminal_size((_PIPE_WIDTH, _LINES)).columns
    return console
