"""``licsrv accounts``: the people of the support desk, from the server's own terminal.

A user of this terminal has access to the database anyway, so no command asks for a role. Two rules hold here as well:
one operator remains, and every change is audited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Limit, Staff, Yes, short_text, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.errors import ConflictError
from licsrv.platform import moments
from licsrv.platform.paging import Window
from licsrv.platform.plurals import counted
from licsrv.platform.text_limits import LONGEST_DISPLAY_NAME

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlmodel import Session

    from licsrv.desk.people.answers import AccountAnswer, TemporaryPassword
    from licsrv.people.accounts import Password

app = typer.Typer(
    name="accounts",
    help="People of the support desk: add, change, disable, new passwords, sessions.",
    no_args_is_help=True,
)

_COLUMNS = (
    Column("Name"),
    Column("Role"),
    Column("Called", flexible=True),
    Column("State", styled=True),
    Column("Second factor"),
    Column("Last sign-in (UTC)", from_width=terminal.WIDE),
)
_SESSIONS = (
    Column("Id"),
    Column("Last seen (UTC)"),
    Column("Signed in (UTC)", from_width=terminal.WIDE),
    Column("Address"),
    Column("Browser", flexible=True),
)


_ROLE = typer.Option(
    "--role",
    metavar="WORD",
    callback=word_of("licsrv.people.roles:Role"),
    help="viewer, support, supervisor, operator, auditor",
)
_LANGUAGE = typer.Option(
    "--language", metavar="WORD", callback=word_of("licsrv.people.accounts:Language"), help="zh or en."
)
_CALLED = typer.Option(
    "--called", metavar="TEXT", callback=short_text(LONGEST_DISPLAY_NAME), help="Their name as others read it."
)
AccountName = Annotated[str, typer.Argument(metavar="NAME", help="The name that they sign in with.")]


@app.command("list")
def list_accounts(limit: Limit = 200, as_json: AsJson = False) -> None:
    """List accounts by name, disabled ones included."""
    from licsrv.desk.people import answers

    with open_workplace() as place, place.reading() as session:
        found = answers.accounts(session, Window(limit)).items
    if as_json:
        terminal.show_document({"accounts": found})
        return
    terminal.show_table(_COLUMNS, [_row(account) for account in found])
    if not found:
        terminal.warn("There is no account yet: `licsrv accounts link` prints a set-up link for the first one.")


@app.command("link")
def link(as_json: AsJson = False) -> None:
    """Print a link that makes the first account in a browser: once, within a day."""
    from licsrv.cli import workplace
    from licsrv.platform import config

    settings = config.load()
    url = workplace.setup_link(settings, workplace.base_url(settings, settings.host, settings.port))
    if url is None:
        raise ConflictError("There is an account already.", action="`licsrv accounts add` makes another one.")
    if as_json:
        terminal.show_document({"setup_url": url})
    else:
        print(url)  # as it is: a terminal must not break it


def _row(account: AccountAnswer) -> list[object]:
    return [
        account.name,
        account.role,
        account.display_name,
        "disabled" if account.disabled_at else "enabled",
        "yes" if account.has_second_factor else "no",
        moments.short(account.last_sign_in_at) or "never",
    ]


@app.command()
def add(
    name: AccountName,
    role: Annotated[str, _ROLE],
    display_name: Annotated[str, _CALLED] = "",
    language: Annotated[str, _LANGUAGE] = "zh",
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Add a person; prints a password to be passed on, which has to be changed at the first sign-in."""
    from licsrv.desk.people import answers
    from licsrv.people import accounts
    from licsrv.people.accounts import Language, NewAccount
    from licsrv.people.roles import Role

    actor = staff.person(staff_name)
    new = NewAccount(accounts.normal_name(name), Role(role), display_name, language=Language(language))
    with open_workplace() as place:
        now = place.clock.now()
        text, password = _temporary(now)
        with place.writing() as session:
            row = accounts.add(session, new, password, actor=actor, cause=actor.cause(), now=now)
            made = answers.handed_out(row, text)
    _hand_out(f"Added {new.name} as {role}.", made, as_json=as_json)


@app.command()
def change(
    name: AccountName,
    reason: KeptReason,
    role: Annotated[str | None, _ROLE] = None,
    display_name: Annotated[str | None, _CALLED] = None,
    language: Annotated[str | None, _LANGUAGE] = None,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Change a person's role, name or language; what is not named stays as it is."""
    from licsrv.people import accounts
    from licsrv.people.accounts import Change, Language
    from licsrv.people.roles import Role

    wanted = Change(Role(role) if role else None, display_name, Language(language) if language else None)

    def use_case(session: Session, place: Workplace, **how: Any) -> None:
        accounts.change(session, accounts.normal_name(name), wanted, **how)

    account, _ = _decide(name, reason, staff_name, change=use_case)
    _show(f"{account.name} is {account.role}, {account.language}.", {"account": account}, as_json=as_json)


@app.command()
def disable(
    name: AccountName, reason: KeptReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False
) -> None:
    """Disable an account: its sessions and API tokens end at once. `enable` undoes it."""
    from licsrv.people import accounts

    staff.confirm(f"Disable {terminal.printable(name)}?", yes=yes)

    def change(session: Session, place: Workplace, **how: Any) -> bool:
        return accounts.disable(session, accounts.normal_name(name), **how)

    account, changed = _decide(name, reason, staff_name, change=change)
    sentence = "Disabled {}. Their sessions have ended." if changed else "{} is already disabled. No change needed."
    _show(sentence.format(account.name), {"changed": changed, "account": account}, as_json=as_json)


@app.command()
def enable(name: AccountName, reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Enable an account again, and forget its failed sign-ins."""
    from licsrv.people import accounts

    def change(session: Session, place: Workplace, **how: Any) -> bool:
        return accounts.enable(session, accounts.normal_name(name), lockout_key=_lockout_key(place, name), **how)

    account, changed = _decide(name, reason, staff_name, change=change)
    sentence = "Enabled {}." if changed else "{} was not disabled; failures to sign in are forgotten."
    _show(sentence.format(account.name), {"changed": changed, "account": account}, as_json=as_json)


@app.command("reset-password")
def reset_password(
    name: AccountName,
    reason: KeptReason,
    second_factor: Annotated[
        bool, typer.Option("--second-factor", help="Also remove the second factor and its recovery codes.")
    ] = False,
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Give a person a temporary password; their sessions end, and their API tokens stay valid (licsrv tokens list)."""
    from licsrv.desk.people import answers
    from licsrv.people import accounts

    staff.confirm(f"Give {terminal.printable(name)} a new password, and end their sessions?", yes=yes)
    with open_workplace() as place:
        text, password = _temporary(place.clock.now())

    def change(session: Session, place: Workplace, **how: Any) -> TemporaryPassword:
        key = _lockout_key(place, name)
        row = accounts.reset_password(
            session, accounts.normal_name(name), password, second_factor=second_factor, lockout_key=key, **how
        )
        return answers.handed_out(row, text)

    account, made = _decide(name, reason, staff_name, change=change)
    _hand_out(f"{account.name} has a new password.", made, as_json=as_json)
    terminal.warn("API tokens of this account stay valid: `licsrv tokens list`.")


@app.command("sessions")
def list_sessions(name: AccountName, as_json: AsJson = False) -> None:
    """List where a person is signed in, the session used last first. `end-sessions` ends them."""
    from licsrv.desk.people import answers
    from licsrv.people import accounts

    with open_workplace() as place, place.reading() as session:
        account, now = accounts.named(session, accounts.normal_name(name)).name, place.clock.now()
        found = answers.sessions(session, account, idle=place.settings.session_idle, now=now).items
    if as_json:
        terminal.show_document({"account": account, "sessions": found})
        return
    terminal.show_table(
        _SESSIONS,
        [[one.id, moments.short(one.seen_at), moments.short(one.opened_at), one.address, one.client] for one in found],
    )
    if not found:
        terminal.warn(f"{account} is signed in nowhere.")


@app.command("end-sessions")
def end_sessions(name: AccountName, reason: KeptReason, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Sign a person out everywhere."""
    from licsrv.people import accounts

    def change(session: Session, place: Workplace, **how: Any) -> int:
        return accounts.end_sessions(session, accounts.normal_name(name), **how)

    account, ended = _decide(name, reason, staff_name, change=change)
    sentence = f"Ended {counted(ended, 'session')} of {account.name}."
    _show(sentence, {"ended": ended, "account": account}, as_json=as_json)


def _decide(name: str, reason: str, staff_name: str | None, change: Callable[..., Any]) -> tuple[AccountAnswer, Any]:
    """Change one account; return it as it is afterwards, and the result of the change."""
    from licsrv.desk.people import answers
    from licsrv.people import accounts

    actor = staff.person(staff_name)
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            result = change(session, place, actor=actor, cause=actor.cause(reason=reason), now=now)
            return answers.account_shown(accounts.named(session, accounts.normal_name(name))), result


def _lockout_key(place: Workplace, name: str) -> str:
    from licsrv.people import accounts, credentials, lockout
    from licsrv.people.sign_in import LOCKOUT_USE

    key = credentials.key_for(LOCKOUT_USE, server_secret=place.keys.read().device_key)
    return lockout.account_key(accounts.normal_name(name), key=key)


def _temporary(now: datetime) -> tuple[str, Password]:
    from licsrv.people import passwords
    from licsrv.people.accounts import TEMPORARY_SPAN, Password

    text = passwords.one_time_password()
    return text, Password(passwords.hash_password(text), now + TEMPORARY_SPAN)


def _hand_out(sentence: str, made: TemporaryPassword, *, as_json: bool) -> None:
    if as_json:
        terminal.show_document(made)
        return
    terminal.say(f"{sentence} The password, shown this once and good until {moments.full(made.valid_until)}:")
    terminal.say(made.password)


def _show(sentence: str, document: Mapping[str, object], *, as_json: bool) -> None:
    if as_json:
        terminal.show_document(document)
    else:
        terminal.say(sentence)
