"""``licsrv callbacks``: the log of what the marketplace sent and what it was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson, Limit
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments
from licsrv.platform.paging import Window

if TYPE_CHECKING:
    from licsrv.desk.callbacks.answers import Callback

app = typer.Typer(name="callbacks", help="Callbacks of the marketplace: list, show.", no_args_is_help=True)

_COLUMNS = (
    Column("Received (UTC)"),
    Column("Activity"),
    Column("Code"),
    Column("Result", styled=True),
    Column("Id", from_width=terminal.WIDE),
    Column("Answered", flexible=True, from_width=terminal.VERY_WIDE),
)


@app.command("list")
def list_callbacks(
    code: Annotated[str | None, typer.Option("--code", help="Only those about this code.")] = None,
    failed: Annotated[
        bool, typer.Option("--failed", help="Only those answered with another code than 000000.")
    ] = False,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List callbacks, newest first."""
    from licsrv.desk.callbacks import answers

    with open_workplace() as place, place.reading() as session:
        found = answers.callbacks(session, Window(limit), code=code, only_failed=failed).items
    if as_json:
        terminal.show_document({"callbacks": found})
        return
    terminal.show_table(_COLUMNS, [_row(one) for one in found])
    if not found:
        terminal.warn("No such callback was received.")


def _row(one: Callback) -> list[object]:
    return [
        moments.short(one.received_at),
        _activity(one),
        one.code,
        one.result_code,
        one.id,
        one.message,
    ]


def _activity(one: Callback) -> str:
    """Name the activity; an unsigned callback may claim any, so its claim is not shown."""
    if not one.is_signed:
        return "unsigned"
    return (one.activity or "unknown") + (" (probe)" if one.is_probe else "")


@app.command()
def show(
    callback_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `licsrv callbacks list` shows it from 100 columns on.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show one callback with its body as it came; the body of an unsigned one is not kept."""
    from licsrv.desk.callbacks import answers

    with open_workplace() as place, place.reading() as session:
        found = answers.callback(session, callback_id.strip())
    if as_json:
        terminal.show_document({"callback": found})
        return
    facts = found.model_dump() | {"received_at": moments.full(found.received_at)}
    terminal.show_facts([(name.replace("_", " ").capitalize(), value) for name, value in facts.items()])
