"""``licsrv audit``: who changed what, when and why, and whether that record is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import moments, terminal
from licsrv.cli.options import AsJson, Limit
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.audit.tables import AuditEntry

app = typer.Typer(name="audit", help="The audit: list, verify.", no_args_is_help=True)

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


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check that no entry was changed, taken out or cut off; exit code 1 when one was."""
    from licsrv import audit
    from licsrv.cli import queries
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place, place.reading() as session:
        problem = audit.verify(session)
        entries = queries.audit_length(session)
    if as_json:
        terminal.show_document({"is_intact": problem is None, "entries": entries, "problem": problem})
    else:
        terminal.say(problem or f"The audit is intact: {entries} entries, each as it was written.")
    if problem is not None:
        raise typer.Exit(1)
