"""``licsrv tokens``: API tokens for programs. One made here belongs to nobody's account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import moments, staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Limit, Staff
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from licsrv.people.tables import ApiToken

app = typer.Typer(name="tokens", help="API tokens: new, list, revoke.", no_args_is_help=True)

_LONGEST_NAME = 60
_COLUMNS = (
    Column("Id"),
    Column("Name", flexible=True),
    Column("State", styled=True),
    Column("Ends (UTC)"),
    Column("Last used (UTC)", from_width=terminal.VERY_WIDE),
    Column("Of", from_width=terminal.VERY_WIDE),
    Column("Scopes", flexible=True),
)


def _name(name: str) -> str:
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise typer.BadParameter(f"A name has 1 to {_LONGEST_NAME} printable characters.")
    return name


def _scopes(words: list[str]) -> list[str]:
    from licsrv.people.roles import GRANTABLE

    wrong = sorted(set(words) - set(GRANTABLE))
    if wrong:
        raise typer.BadParameter(f"{', '.join(wrong)}: a scope is one of {', '.join(sorted(GRANTABLE))}.")
    return words


@app.command()
def new(
    name: Annotated[str, typer.Argument(callback=_name, help="What it is for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", metavar="WORD", callback=_scopes, help="What it may do; repeat it."),
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="How long it is good.")] = 90,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Make an API token; it is shown this one time."""
    from datetime import timedelta

    from licsrv.cli.workplace import open_workplace
    from licsrv.people import tokens
    from licsrv.people.actors import at_the_terminal
    from licsrv.people.roles import Permission
    from licsrv.people.tokens import NewToken

    actor = at_the_terminal(staff.actor(staff_name))
    with open_workplace() as place:
        now = place.clock.now()
        wanted = NewToken(name, frozenset(map(Permission, scope)), now + timedelta(days=days))
        with place.writing() as session:
            made = tokens.make(session, wanted, actor=actor, cause=actor.cause(), now=now)
            document = _document(made.row, now)
    if as_json:
        terminal.show_document({"secret": made.secret, "token": document})
        return
    terminal.say(f"Made the token {name}, shown this once and good until {moments.full(wanted.expires_at)}:")
    terminal.say(made.secret)


@app.command("list")
def list_tokens(limit: Limit = 200, as_json: AsJson = False) -> None:
    """List API tokens, newest first, revoked and expired ones included."""
    from licsrv.cli.workplace import open_workplace
    from licsrv.people import store
    from licsrv.platform.paging import Window

    with open_workplace() as place, place.reading() as session:
        now = place.clock.now()
        documents = [_document(row, now) for row in store.tokens(session, Window(limit))[:limit]]
    if as_json:
        terminal.show_document({"tokens": documents})
        return
    terminal.show_table(_COLUMNS, [_row(document) for document in documents])
    if not documents:
        terminal.warn("There is no API token: `licsrv tokens new NAME --scope read_licenses`.")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `licsrv tokens list` shows it.")],
    reason: KeptReason,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Let a token be worth nothing from now on."""
    from licsrv.cli.workplace import open_workplace
    from licsrv.people import tokens
    from licsrv.people.actors import at_the_terminal

    actor = at_the_terminal(staff.actor(staff_name))
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            row = tokens.revoke(session, token_id.strip(), cause=actor.cause(reason=reason), now=now)
            document = _document(row, now)
    if as_json:
        terminal.show_document({"token": document})
    else:
        terminal.say(f"Revoked {document['name']} ({document['id']}).")


def _document(row: ApiToken, now: datetime) -> dict[str, Any]:
    state = "revoked" if row.revoked_at else "expired" if row.expires_at <= now else "good"
    return {
        "id": row.id,
        "name": row.name,
        "state": state,
        "scopes": list(row.scopes),
        "owner": row.owner,
        "created_at": moments.rfc3339(row.created_at),
        "created_by": row.created_by,
        "expires_at": moments.rfc3339(row.expires_at),
        "last_used_at": moments.rfc3339(row.last_used_at),
        "revoked_at": moments.rfc3339(row.revoked_at),
    }


def _row(document: Mapping[str, Any]) -> list[object]:
    return [
        document["id"],
        document["name"],
        document["state"],
        _short(document["expires_at"]),
        _short(document["last_used_at"]) or "never",
        document["owner"] or "nobody",
        ", ".join(document["scopes"]),
    ]


def _short(text: str | None) -> str:
    from datetime import datetime

    return moments.short(datetime.fromisoformat(text)) if text else ""
