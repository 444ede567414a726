"""``licsrv tokens``: API tokens for programs. One made here belongs to no account."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Limit, Staff
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments
from licsrv.platform.paging import Window

if TYPE_CHECKING:
    from licsrv.desk.people.answers import TokenAnswer

app = typer.Typer(name="tokens", help="API tokens: new, list, revoke.", no_args_is_help=True)

_COLUMNS = (
    Column("Id"),
    Column("Name", flexible=True),
    Column("State", styled=True),
    Column("Ends (UTC)"),
    Column("Last used (UTC)", from_width=terminal.VERY_WIDE),
    Column("Of", from_width=terminal.VERY_WIDE),
    Column("Scopes", flexible=True),
)


def _scopes(words: list[str]) -> list[str]:
    from licsrv.people.roles import GRANTABLE

    wrong = sorted(set(words) - set(GRANTABLE))
    if wrong:
        raise typer.BadParameter(f"{', '.join(wrong)}: a scope is one of {', '.join(sorted(GRANTABLE))}.")
    return words


@app.command()
def new(
    name: Annotated[str, typer.Argument(callback=staff.read_name, help="What it is for.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", metavar="WORD", callback=_scopes, help="What it may do; repeat it."),
    ],
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Days until it ends.")] = 90,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Make an API token; it is shown this one time."""
    from datetime import timedelta

    from licsrv.desk.people import answers
    from licsrv.desk.people.answers import MadeToken
    from licsrv.people import tokens
    from licsrv.people.roles import Permission
    from licsrv.people.tokens import NewToken

    actor = staff.person(staff_name)
    with open_workplace() as place:
        now = place.clock.now()
        wanted = NewToken(name, frozenset(map(Permission, scope)), now + timedelta(days=days))
        with place.writing() as session:
            made = tokens.make(session, wanted, actor=actor, cause=actor.cause(), now=now)
            answer = MadeToken(secret=made.secret, token=answers.token_shown(made.row, now))
    if as_json:
        terminal.show_document(answer)
        return
    terminal.say(f"Made the token {name}, shown this once and good until {moments.full(wanted.expires_at)}:")
    terminal.say(answer.secret)


@app.command("list")
def list_tokens(limit: Limit = 200, as_json: AsJson = False) -> None:
    """List API tokens, newest first, revoked and expired ones included."""
    from licsrv.desk.people import answers

    with open_workplace() as place, place.reading() as session:
        found = answers.tokens(session, Window(limit), now=place.clock.now()).items
    if as_json:
        terminal.show_document({"tokens": found})
        return
    terminal.show_table(_COLUMNS, [_row(token) for token in found])
    if not found:
        terminal.warn("There is no API token: `licsrv tokens new NAME --scope read_licenses`.")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `licsrv tokens list` shows it.")],
    reason: KeptReason,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token: it is refused from now on."""
    from licsrv.desk.people import answers
    from licsrv.people import tokens

    actor = staff.person(staff_name)
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            row = tokens.revoke(session, token_id.strip(), cause=actor.cause(reason=reason), now=now)
            token = answers.token_shown(row, now)
    if as_json:
        terminal.show_document({"token": token})
    else:
        terminal.say(f"Revoked {token.name} ({token.id}).")


def _row(token: TokenAnswer) -> list[object]:
    return [
        token.id,
        token.name,
        token.state,
        moments.short(token.expires_at),
        moments.short(token.last_used_at) or "never",
        token.owner or "no account",
        ", ".join(token.scopes),
    ]
