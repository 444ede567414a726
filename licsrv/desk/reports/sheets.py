"""Sheets: rows as a CSV or an XLSX file, written row by row to a file on disk and sent from there.

So memory does not grow with the number of rows, no database session waits for a slow reader, and what fails fails
before the first byte is sent. No cell of a sheet is ever a formula: see :func:`safe`.
"""

from __future__ import annotations

import asyncio
import csv
import importlib
import io
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import IO, Any

from sqlmodel import Session
from starlette.responses import StreamingResponse

from licsrv.platform.db import Database, reading

Cell = str | int | date | datetime | None
_DANGEROUS = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
    "\n",
    "＝",
    "＋",
    "－",
    "＠",
)  # the wide ones count where Excel is Chinese
_LONGEST_CELL = 32_000  # Excel's own limit is 32,767
_ROWS_OF_A_SHEET = 1_000_000  # Excel's own limit is 1,048,576, with the headings
_CHUNK = 64 * 1024
_SMALL = 1024 * 1024  # files up to here never touch the disk


class Format(StrEnum):
    """How a sheet is written."""

    CSV = "csv"
    XLSX = "xlsx"


TYPES = {
    Format.CSV: "text/csv; charset=utf-8",
    Format.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}


@dataclass(frozen=True)
class Sheet:
    """Headings, and rows that are read as they are written."""

    headings: Sequence[str]
    rows: Iterable[Sequence[Cell]]


def safe(cell: Cell) -> str | int:
    """Return a cell as a spreadsheet may have it: text that would begin a formula gets an apostrophe in front.

    Moments are written in UTC, days as they are; whole numbers stay numbers.
    """
    if cell is None:
        return ""
    if isinstance(cell, datetime):
        return cell.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(cell, int):
        return cell
    text = cell.isoformat() if isinstance(cell, date) else cell[:_LONGEST_CELL]
    return f"'{text}" if text.startswith(_DANGEROUS) or text.lstrip().startswith(_DANGEROUS) else text


def write(file: IO[bytes], sheet: Sheet, form: Format) -> None:
    """Write a sheet to a file that is open for writing."""
    (_write_csv if form is Format.CSV else _write_xlsx)(file, sheet)


def _write_csv(file: IO[bytes], sheet: Sheet) -> None:
    text = io.TextIOWrapper(file, "utf-8-sig", errors="replace", newline="")  # with its mark Excel knows the encoding
    writer = csv.writer(text)
    writer.writerow([safe(heading) for heading in sheet.headings])
    writer.writerows([safe(cell) for cell in row] for row in sheet.rows)
    text.flush()
    text.detach()


def _write_xlsx(file: IO[bytes], sheet: Sheet) -> None:
    # Imported lazily: loading it takes longer than a small report.
    xlsxwriter = importlib.import_module("xlsxwriter")
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "in_memory": False}
    with xlsxwriter.Workbook(file, options) as book:
        page: Any = None
        for number, row in enumerate(sheet.rows):
            place = number % _ROWS_OF_A_SHEET
            if place == 0:
                page = _new_page(book, sheet.headings)
            page.write_row(place + 1, 0, [safe(cell) for cell in row])
        if page is None:
            _new_page(book, sheet.headings)


def _new_page(book: Any, headings: Sequence[str]) -> Any:
    page = book.add_worksheet()
    page.set_column(0, len(headings) - 1, 22)
    page.freeze_panes(1, 0)
    page.write_row(0, 0, list(headings), book.add_format({"bold": True}))
    return page


async def download(
    database: Database, make: Callable[[Session], Sheet], *, name: str, form: Format
) -> StreamingResponse:  # fmt: skip
    """Return a sheet as an attachment; it is written whole before the answer begins.

    Args:
        database: What is read, in one session: every row of the sheet is of one moment.
        make: Makes the sheet in that session.
        name: The file's name without its ending; letters, digits and ``-`` only.
        form: What the sheet is written as.
    """
    file = await asyncio.to_thread(_spool, database, make, form)
    headers = {"Content-Disposition": f'attachment; filename="{name}.{form}"', "Cache-Control": "no-store"}
    return StreamingResponse(_chunks(file), media_type=TYPES[form], headers=headers)


def _spool(database: Database, make: Callable[[Session], Sheet], form: Format) -> IO[bytes]:
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=_SMALL)  # noqa: SIM115 - the sender closes it
    try:
        with reading(database) as session:
            write(file, make(session), form)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    return file


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    try:
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield chunk
    finally:
        file.close()
