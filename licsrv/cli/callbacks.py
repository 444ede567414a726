"""``licsrv callbacks``: the log of what the marketplace sent and what it was answered."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import moments, terminal
from licsrv.cli.options import AsJson, Limit
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from licsrv.marketplace.tables import CallbackRecord

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
    from licsrv.cli import documents, queries
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place, place.reading() as session:
        rows = queries.callbacks(session, code=code, only_failed=failed, limit=limit)
        session.expunge_all()
    if as_json:
        terminal.show_document({"callbacks": [documents.callback(row) for row in rows]})
        return
    terminal.show_table(_COLUMNS, [_row(row) for row in rows])
    if not rows:
        terminal.warn("No such callback was received.")


def _row(row: CallbackRecord) -> list[object]:
    return [
        moments.short(row.received_at),
        _activity(row),
        row.code,
        row.result_code,
        row.id,
        row.message,
    ]


def _activity(row: CallbackRecord) -> str:
    """Name what was asked for; of an unsigned one nothing is believed, so nothing is told."""
    if not row.is_signed:
        return "unsigned"
    return (row.activity or "unknown") + (" (probe)" if row.is_probe else "")


@app.command()
def show(
    callback_id: Annotated[
        str, typer.Argument(metavar="ID", help="As `licsrv callbacks list` shows it from 100 columns on.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show one callback with its body as it came; the body of an unsigned one is not kept."""
    from licsrv.cli import documents
    from licsrv.cli.workplace import open_workplace
    from licsrv.errors import NotFoundError
    from licsrv.marketplace.tables import CallbackRecord

    with open_workplace() as place, place.reading() as session:
        row = session.get(CallbackRecord, callback_id.strip())
        if row is None:
            raise NotFoundError(f"There is no callback {callback_id!r}.", action="See `licsrv callbacks list`.")
        session.expunge_all()
    if as_json:
        terminal.show_document({"callback": documents.callback(row)})
        return
    facts = documents.callback(row) | {"received_at": moments.full(row.received_at)}
    terminal.show_facts([(name.replace("_", " ").capitalize(), value) for name, value in facts.items()])
