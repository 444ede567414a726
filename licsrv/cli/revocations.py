"""``licsrv revocations``: look at the revocation list, and write it to a file for a site that is not on the network."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.files import replaced
from licsrv.cli.options import AsJson, Limit, ShownReason, Staff, Yes
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments
from licsrv.platform.plurals import counted

if TYPE_CHECKING:
    from sqlmodel import Session

app = typer.Typer(
    name="revocations", help="The revocation list: show, export, move on after a restore.", no_args_is_help=True
)

_CHANGE = {"number", "at", "action", "entry", "ends_at"}
_COLUMNS = (
    Column("Number", number=True),
    Column("At (UTC)"),
    Column("Change"),
    Column("Entry"),
    Column("Ends anyway (UTC)"),
)


@app.command()
def show(
    code: Annotated[
        str | None, typer.Argument(help="A license's code or id: say whether it is on the list.", show_default=False)
    ] = None,
    limit: Limit = 10,
    as_json: AsJson = False,
) -> None:
    """Show the list's number, size and latest changes; or whether a license is on it."""
    if code is not None:
        _show_license(code, as_json=as_json)
        return
    _show_list(limit, as_json=as_json)


def _show_list(limit: int, *, as_json: bool) -> None:
    from licsrv.licensing.revocation import store

    with open_workplace() as place, place.reading() as session:
        head, entries = store.head(session), store.count_listed(session)
        changes = [row.model_dump(include=_CHANGE) for row in store.latest_changes(session, limit)]
        number, changed_at = head.number, head.changed_at
    if as_json:
        terminal.show_document({"number": number, "entries": entries, "changed_at": changed_at, "changes": changes})
        return
    changed = f", last changed {moments.full(changed_at)}" if changed_at else ""
    terminal.say(f"The list has the number {number} and {counted(entries, 'entry', 'entries')}{changed}.")
    terminal.show_table(_COLUMNS, [_row(change) for change in changes])


def _row(change: dict[str, Any]) -> list[object]:
    return [
        change["number"],
        moments.short(change["at"]),
        change["action"],
        change["entry"],
        moments.short(change["ends_at"]) or "never",
    ]


def _show_license(code: str, *, as_json: bool) -> None:
    from licsrv.desk import names
    from licsrv.licensing.revocation import lists, store

    with open_workplace() as place, place.reading() as session:
        license = names.license_of(session, code)
        document = {
            "license_id": license.id,
            "code": license.code,
            "entry": lists.license_entry(license.id),
            "is_listed": store.is_listed(session, lists.license_entry(license.id)),
            "given_back": store.count_given_back(session, license.id),
        }
    if as_json:
        terminal.show_document(document)
        return
    terminal.say(f"{document['code']} is {'' if document['is_listed'] else 'not '}on the list.")
    if count := document["given_back"]:
        are = "is" if count == 1 else "are"
        terminal.say(f"{count} of its strings and files {are}: issued to devices that gave their place back.")


@app.command()
def export(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to; an older list there is replaced.")],
    since: Annotated[
        int | None, typer.Option("--since", min=0, help="Only what changed since the list of this number.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the signed list to a file: the same text that `GET /v1/revocations` answers, dated now."""
    from licsrv.licensing.keyring import Purpose

    with open_workplace() as place:
        now = place.clock.now()
        key = place.keys.read().signer(Purpose.LICENSE, now=now)
        with place.reading() as session:
            number, text = _signed(session, since or 0, key=key, issuer=place.settings.issuer, now=now)
    with replaced(file) as draft:
        draft.write_text(text, encoding="ascii")
    if as_json:
        terminal.show_document({"file": str(file), "number": number, "since": since or 0, "bytes": len(text)})
    else:
        what = f"what changed from {since} to {number}" if since else f"list {number}"
        terminal.say(f"Wrote {what} to {file} ({len(text)} bytes).")


@app.command("after-restore")
def after_restore(reason: ShownReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Move the list's number far ahead, once, after an older backup was put back."""
    from licsrv.licensing.revocation import store

    with open_workplace() as place:
        staff.confirm("Was an older backup put back, so that the list's number fell?", yes=yes)
        now = place.clock.now()
        with place.writing() as session:
            number = store.leap(session, cause=staff.cause(staff_name, reason=reason), now=now)
    if as_json:
        terminal.show_document({"number": number})
    else:
        terminal.say(f"The list goes on from {number}. Revoke again what was revoked since the backup.")


def _signed(session: Session, since: int, *, key: Any, issuer: str, now: datetime) -> tuple[int, str]:
    from licsrv.licensing.revocation import lists, store
    from licsrv.licensing.revocation.lists import Edition

    head = store.head(session)
    store.require_known(head, since)
    edition = Edition(issuer, head.number, since, issued_at=now)
    return head.number, lists.signed_list(edition, store.changes_of(session, edition), key=key)
