"""``licsrv audit``: who changed what, when and why, and whether that record is complete."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import details, terminal
from licsrv.cli.files import replaced
from licsrv.cli.options import AsJson, Limit, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments
from licsrv.platform.paging import Window

if TYPE_CHECKING:
    from licsrv.desk.audit.answers import AuditChecked, Entry

app = typer.Typer(name="audit", help="The audit: list, verify, export.", no_args_is_help=True)

_AT_ONCE = 1000
_COLUMNS = (
    Column("No", number=True),
    Column("When (UTC)"),
    Column("Who"),
    Column("What"),
    Column("Of", from_width=terminal.WIDE),
    Column("Why, and what changed", flexible=True),
)


@app.command("list")
def list_entries(
    subject: Annotated[
        str | None, typer.Option("--of", metavar="CODE|ID", help="Only of this license, key or product.")
    ] = None,
    action: Annotated[
        str | None,
        typer.Option(
            "--action", metavar="WORD", callback=word_of("licsrv.audit:Action"), help="Only, say, LICENSE_REVOKED."
        ),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List audit entries, newest first."""
    from licsrv.audit import Action
    from licsrv.desk.audit import answers

    with open_workplace() as place, place.reading() as session:
        only = Action(action) if action is not None else None
        found = answers.entries(session, Window(limit), subject=subject, action=only).items
    if as_json:
        terminal.show_document({"entries": found})
        return
    terminal.show_table(_COLUMNS, [_row(entry) for entry in found])
    if not found:
        terminal.warn("The audit has no such entry.")


def _row(entry: Entry) -> list[object]:
    words = details.in_words(entry.detail)
    return [
        entry.seq,
        moments.short(entry.at),
        entry.actor,
        entry.action,
        entry.subject,
        "; ".join(filter(None, (entry.reason, words))),
    ]


def _mark(text: str | None) -> str | None:
    from licsrv.audit import Mark

    if text is not None:
        try:
            Mark.parse(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error
    return text


@app.command()
def verify(
    noted: Annotated[
        str | None,
        typer.Option(
            "--noted",
            metavar="SEQ:HASH",
            callback=_mark,
            help="The end that this command printed earlier; checks that it is still there.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no entry was changed, taken out or cut off; exit code 1 when one was."""
    from licsrv.audit import Mark
    from licsrv.desk.audit import answers

    with open_workplace() as place, place.reading() as session:
        checked = answers.checked(session, Mark.parse(noted) if noted is not None else None)
    if as_json:
        terminal.show_document(checked)
    else:
        _show_checked(checked)
    if not checked.is_intact:
        raise typer.Exit(1)


def _show_checked(checked: AuditChecked) -> None:
    terminal.say(checked.problem or f"The audit is intact: {checked.entries} entries, each as it was written.")
    if checked.is_intact:
        terminal.say(f"Its end, to be noted where database users cannot change it: {checked.end}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to; a line of JSON for each entry.")],
    after: Annotated[int, typer.Option("--after", min=0, max=2**31 - 1, metavar="SEQ", help="Behind this entry.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write every entry to a file, in the order of the chain, so that its reader can check it."""
    from licsrv.desk.audit import answers

    with replaced(file) as draft, open_workplace() as place, place.reading() as session:
        lines = answers.all_lines(session, after, at_once=_AT_ONCE)
        with draft.open("w", encoding="utf-8") as opened:
            written = sum(opened.write(line) and 1 for line in lines)
    if as_json:
        terminal.show_document({"file": str(file), "entries": written})
    else:
        terminal.say(f"Wrote {written} entries to {file}.")
