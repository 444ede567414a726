"""``licsrv audit``: who changed what, when and why, and whether that record is whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import moments, terminal
from licsrv.cli.options import AsJson, Limit
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.audit import Mark
    from licsrv.audit.tables import AuditEntry

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


def _action(word: str | None) -> str | None:
    from licsrv.audit import Action

    if word is not None and word.upper() not in list(Action):
        raise typer.BadParameter(f"One of {', '.join(Action)}.")
    return word.upper() if word is not None else None


@app.command("list")
def list_entries(
    subject: Annotated[
        str | None, typer.Option("--of", metavar="CODE|ID", help="Only of this license, key or product.")
    ] = None,
    action: Annotated[
        str | None, typer.Option("--action", metavar="WORD", callback=_action, help="Only, say, LICENSE_REVOKED.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List audit entries, newest first."""
    from licsrv.cli import documents, queries
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place, place.reading() as session:
        rows = queries.audit_entries(session, subject=_subject(session, subject), action=action, limit=limit)
        session.expunge_all()
    if as_json:
        terminal.show_document({"entries": [documents.audit_entry(row) for row in rows]})
        return
    terminal.show_table(_COLUMNS, [_row(row) for row in rows])
    if not rows:
        terminal.warn("The audit has no such entry.")


def _subject(session: Session, name: str | None) -> str | None:
    """Return the subject that a name stands for: entries name a license by its id, people by its code."""
    from licsrv.licensing import store

    if name is None:
        return None
    license = store.license_by_code(session, name.strip())
    return license.id if license is not None else name.strip()


def _row(row: AuditEntry) -> list[object]:
    from licsrv.cli import documents

    words = documents.in_words(documents.read_json(row.detail))
    return [
        row.seq,
        moments.short(row.at),
        row.actor,
        row.action,
        row.subject,
        "; ".join(filter(None, (row.reason, words))),
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
            "--noted", metavar="SEQ:HASH", callback=_mark, help="The end that this command told earlier: is it in it?"
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check that no entry was changed, taken out or cut off; exit code 1 when one was."""
    from licsrv import audit
    from licsrv.audit import Mark
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place, place.reading() as session:
        problem = audit.verify(session, Mark.parse(noted) if noted is not None else None)
        end = audit.mark(session)
    entries = end.seq if end is not None else 0
    if as_json:
        document = {"is_intact": problem is None, "entries": entries, "end": str(end or ""), "problem": problem}
        terminal.show_document(document)
    else:
        _tell(problem, entries, end)
    if problem is not None:
        raise typer.Exit(1)


def _tell(problem: str | None, entries: int, end: Mark | None) -> None:
    terminal.say(problem or f"The audit is intact: {entries} entries, each as it was written.")
    if problem is None:
        terminal.say(f"Its end, to be noted where nobody who writes to the database can change it: {end}")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to; a line of JSON for each entry.")],
    after: Annotated[int, typer.Option("--after", min=0, max=2**31 - 1, metavar="SEQ", help="Behind this entry.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Write every entry to a file, in the order of the chain, so that anybody can check it."""
    from licsrv.cli.workplace import open_workplace

    draft = file.with_name(f".{file.name}.draft")
    try:
        with open_workplace() as place, place.reading() as session, draft.open("w", encoding="utf-8") as opened:
            written = sum(opened.write(line) and 1 for line in _lines(session, after))
            opened.flush()
            os.fsync(opened.fileno())
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)
    if as_json:
        terminal.show_document({"file": str(file), "entries": written})
    else:
        terminal.say(f"Wrote {written} entries to {file}.")


def _lines(session: Session, after: int) -> Iterator[str]:
    """Yield the lines that ``GET /admin/api/audit/export`` answers."""
    from licsrv.desk.lists import lists

    last: int | None = after
    while last is not None:
        found, last = lists.audit_lines(session, last, _AT_ONCE)
        yield from found
