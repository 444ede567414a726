"""``licsrv reports``: figures day by day, and files with every row behind them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import terminal
from licsrv.cli.files import replaced
from licsrv.cli.options import AsJson, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlmodel import Session

    from licsrv.desk.reports.questions import Question, Report
    from licsrv.desk.reports.sheets import Sheet

app = typer.Typer(name="reports", help="Reports: show, export.", no_args_is_help=True)

_NAMES = "active-devices, refusals, expiries or usage"


ReportName = Annotated[
    str,
    typer.Argument(
        metavar="REPORT", callback=word_of("licsrv.desk.reports.questions:Report"), help=f"One of {_NAMES}."
    ),
]
From = Annotated[str | None, typer.Option("--from", metavar="DAY", help="First day, of the marketplace's time zone.")]
To = Annotated[str | None, typer.Option("--to", metavar="DAY", help="Last day, included.")]
Product = Annotated[str | None, typer.Option("--product", metavar="ID", help="Only of this product.")]
Customer = Annotated[str | None, typer.Option("--customer", metavar="NAME", help="Only of this customer.")]


@app.command()
def show(
    report: ReportName,
    first: From = None,
    last: To = None,
    by: Annotated[
        str | None, typer.Option("--by", metavar="WORD", help="Split by nothing, product, customer or reason.")
    ] = None,
    product: Product = None,
    customer: Customer = None,
    as_json: AsJson = False,
) -> None:
    """Show the figures of a report, day by day."""
    from licsrv.desk.reports import answers, service

    with open_workplace() as place:
        name, asked = _asked(
            place, report, {"from": first, "to": last, "by": by, "product": product, "customer": customer}
        )
        with place.reading() as session:
            found = service.picture(session, name, asked)
    if as_json:
        terminal.show_document(answers.report_shown(name, asked, found))
        return
    _print(found)


def _print(found: Any) -> None:
    columns = [Column("Day"), *(Column(series.label or "Count", number=True) for series in found.series)]
    rows = [
        [day.isoformat(), *(series.values[place] for series in found.series)]
        for place, day in enumerate(found.days)
        if any(series.values[place] for series in found.series)
    ]
    terminal.show_table(columns, rows)
    if rows:
        terminal.warn("Days on which nothing happened are left out.")
    else:
        terminal.warn("Nothing happened on these days.")


@app.command()
def export(
    report: ReportName,
    file: Annotated[
        Path, typer.Argument(dir_okay=False, help="The new file; its ending, .csv or .xlsx, is the format.")
    ],
    first: From = None,
    last: To = None,
    product: Product = None,
    customer: Customer = None,
    as_json: AsJson = False,
) -> None:
    """Write every row behind a report to a file in which no cell is a formula."""
    from licsrv.desk.reports import service

    with open_workplace() as place:
        now = place.clock.now()
        name, asked = _asked(place, report, {"from": first, "to": last, "product": product, "customer": customer})
        write_file(place, file, lambda session: service.sheet(session, name, asked, now=now))
    told_of(file, as_json=as_json)


def write_file(place: Workplace, file: Path, make: Callable[[Session], Sheet]) -> None:
    """Write a sheet to a file.

    Raises:
        InvalidRequestError: The file's ending names no known format.
    """
    from licsrv.desk.reports import sheets
    from licsrv.desk.reports.questions import one_of
    from licsrv.desk.reports.sheets import Format

    form = one_of(file.suffix.removeprefix(".").lower(), Format)
    with replaced(file) as draft, place.reading() as session, draft.open("wb") as opened:
        sheets.write(opened, make(session), form)


def told_of(file: Path, *, as_json: bool) -> None:
    """Say where a file was written."""
    if as_json:
        terminal.show_document({"file": str(file), "bytes": file.stat().st_size})
    else:
        terminal.say(f"Wrote {file}.")


def _asked(place: Workplace, report: str, given: dict[str, str | None]) -> tuple[Report, Question]:
    from licsrv.desk.reports.questions import Report, question

    name = Report(report)
    asked = {key: value for key, value in given.items() if value is not None}
    return name, question(name, asked, zone=place.settings.marketplace_timezone, now=place.clock.now())
