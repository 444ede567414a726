"""Reading an uploaded list of licenses: text or CSV, as spreadsheets write it. Pure.

A line names a license by its code or its id, in the first column, or in the one whose heading says so. What the other
columns hold is not looked at. Which licenses these are is not known here.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from licsrv.errors import InvalidRequestError
from licsrv.licensing import spellings

MOST_ROWS = 100_000
MOST_BYTES = 16 * 1024 * 1024
LONGEST_NAME = 64
_KEPT = 128
_HEADINGS = frozenset(
    {
        "code", "codes", "license", "license code", "license_code", "licence", "id", "license_id", "license id",
        "instance", "instanceid", "instance_id", "授权码", "许可证", "实例", "实例id",
    }
)  # fmt: skip
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DELIMITERS = ",;\t"
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a list that is not blank.

    Args:
        line: Its number in the file, from 1.
        given: What the line said, fit to be stored and shown.
        name: The code or id; empty where it can be neither.
    """

    line: int
    given: str
    name: str


def read(raw: bytes) -> Iterator[Entry]:
    """Read a list line by line.

    Other columns may hold any encoding (Excel writes that of the machine); codes and ids are ASCII in all of them.

    Raises:
        InvalidRequestError: It has too many lines, or a quoted cell without an end.
    """
    text = _text(raw)
    reader = csv.reader(text, delimiter=_delimiter(text))
    found = 0
    column: int | None = None
    for row in _rows(reader):
        if not any(cell.strip() for cell in row):
            continue
        if column is None:
            heading = _heading(row)
            column = heading or 0
            if heading is not None:
                continue
        found += 1
        if found > MOST_ROWS:
            raise InvalidRequestError(f"A list has at most {MOST_ROWS} lines.", action="Split it.")
        yield _entry(reader.line_num, row, column)


def _rows(reader: Iterator[Sequence[str]]) -> Iterator[Sequence[str]]:
    try:
        yield from reader
    except csv.Error as error:
        line = getattr(reader, "line_num", 0)
        raise InvalidRequestError(f"The list cannot be read at line {line}: is a quoted cell left open?") from error


def _text(raw: bytes) -> io.TextIOWrapper:
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return io.TextIOWrapper(io.BytesIO(raw[len(mark) :]), encoding, errors="replace", newline="")
    return io.TextIOWrapper(io.BytesIO(raw), "utf-8", errors="replace", newline="")


def _delimiter(text: io.TextIOWrapper) -> str:
    """Return what separates the cells of the first line most often."""
    first = text.readline(4096)
    text.seek(0)
    return max(_DELIMITERS, key=first.count)


def _heading(row: Sequence[str]) -> int | None:
    """Return the column that a first line names; None where it is no line of headings."""
    words = [cell.strip().lower() for cell in row]
    return next((place for place, word in enumerate(words) if word in _HEADINGS), None)


def _entry(line: int, row: Sequence[str], column: int) -> Entry:
    cell = row[column].strip() if column < len(row) else ""
    if cell[:1] == "'" and cell[1:2] in ("=", "+", "-", "@"):
        cell = cell[1:]  # our own files put it there, see licsrv.desk.reports.sheets
    given = _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", cell)[:_KEPT]
    return Entry(line, given, cell if given == cell and 0 < len(spellings.clean(cell)) <= LONGEST_NAME else "")
