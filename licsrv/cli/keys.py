"""``licsrv keys``: make, list and retire the keys that sign licenses, leases and releases.

A server that runs reads the folder anew within seconds. With several replicas the folder has to reach each of them
before the new key's first signature does.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import moments, staff, terminal
from licsrv.cli.options import AsJson, Staff, Yes
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from licsrv.cli.workplace import Workplace
    from licsrv.licensing.keyring import KeyFolder, KeyRecord

app = typer.Typer(name="keys", help="Signing keys: new, list, retire.", no_args_is_help=True)

PURPOSES = "license, lease or release"
_COLUMNS = (
    Column("Id"),
    Column("Purpose"),
    Column("State", styled=True),
    Column("Made (UTC)"),
    Column("Age", number=True),
    Column("Retired (UTC)"),
)


def _purpose(word: str) -> str:
    from licsrv.licensing.keyring import Purpose

    if word not in list(Purpose):
        raise typer.BadParameter(f"One of {PURPOSES}.")
    return word


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys with what they are for and whether they sign, verify or are retired."""
    from licsrv.cli.workplace import key_folder
    from licsrv.platform import config
    from licsrv.platform.clock import Clock

    settings = config.load()
    found = _documents(key_folder(settings))
    if as_json:
        terminal.show_document({"keys_dir": str(settings.keys_dir), "keys": found})
        return
    now = Clock().now()
    terminal.show_table(_COLUMNS, [_row(key, now) for key in found])
    if not found:
        terminal.warn(f"There is no key in {settings.keys_dir}/: run `licsrv init`.")


def _documents(folder: KeyFolder) -> list[dict[str, Any]]:
    from licsrv.errors import KeyringError
    from licsrv.licensing.keyring import Purpose

    records = folder.records()
    signing: set[str] = set()
    if records:
        keyring = folder.read()
        for purpose in Purpose:
            try:
                signing.add(keyring.signer(purpose).key_id)
            except KeyringError:
                continue  # a replica that only verifies has no private half
    ordered = sorted(records, key=lambda record: (record.purpose, record.created_at), reverse=True)
    return [document(record, state=_state(record, signing)) for record in ordered]


def _state(record: KeyRecord, signing: set[str]) -> str:
    if record.is_retired:
        return "retired"
    return "signing" if record.key_id in signing else "verifying"


def document(record: KeyRecord, *, state: str) -> dict[str, Any]:
    """Describe a key; nothing of its private half."""
    return {
        "id": record.key_id,
        "purpose": str(record.purpose),
        "state": state,
        "created_at": moments.rfc3339(record.created_at),
        "retired_at": moments.rfc3339(record.retired_at),
        "public": record.public,
    }


def _row(key: dict[str, Any], now: datetime) -> list[object]:
    made = datetime.fromisoformat(key["created_at"])
    retired = moments.short(datetime.fromisoformat(key["retired_at"])) if key["retired_at"] else ""
    return [key["id"], key["purpose"], key["state"], moments.short(made), moments.span(now - made), retired]


@app.command()
def new(
    purpose: Annotated[str, typer.Argument(callback=_purpose, help=f"What it signs: {PURPOSES}.")],
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Make a key that signs from now on; the ones before it go on verifying until they are retired."""
    from licsrv import audit
    from licsrv.audit import Action, Cause
    from licsrv.cli.workplace import open_workplace
    from licsrv.licensing.keyring import Purpose

    cause = Cause(staff.actor(staff_name))
    with open_workplace() as place:
        now = place.clock.now()
        with place.writing() as session:
            record = place.keys.make(Purpose(purpose), now=now)
            detail = {"purpose": purpose}
            audit.record(session, Action.KEY_MADE, subject=record.key_id, cause=cause, detail=detail, now=now)
    if as_json:
        terminal.show_document({"key": document(record, state="signing")})
        return
    terminal.say(f"Made key {record.key_id}; it signs each {purpose} from now on. Back up {place.settings.keys_dir}/.")


@app.command()
def retire(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `licsrv keys list` shows it.")],
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """End a key's life for good: nothing that it signed counts any more. Needs --yes where nobody can be asked."""
    from licsrv.cli.workplace import open_workplace

    with open_workplace() as place:
        before = _record(place.keys.records(), key_id)
        if before.is_retired:
            _tell_retired(before, "", changed=False, as_json=as_json)
            return
        cost = _cost(place, before)
        _require_consent(before, cost, yes=yes)
        record = _retire(place, key_id, staff.actor(staff_name))
    _tell_retired(record, cost, changed=True, as_json=as_json)


def _record(records: Sequence[KeyRecord], key_id: str) -> KeyRecord:
    from licsrv.errors import NotFoundError

    for record in records:
        if record.key_id == key_id:
            return record
    raise NotFoundError(f"There is no key {key_id!r}.", action="See `licsrv keys list`.")


def _cost(place: Workplace, record: KeyRecord) -> str:
    """Say what stops counting; only license strings are written down one by one."""
    from licsrv.cli import queries
    from licsrv.licensing.keyring import Purpose

    if record.purpose is not Purpose.LICENSE:
        return f"Every {record.purpose} that it signed stops counting at once."
    with place.reading() as session:
        issued = queries.issued_with(session, record.key_id)
    return (
        f"{issued.devices} license string(s) in use, of {issued.licenses} license(s), stop being accepted: "
        "these devices have to ask for their license anew."
    )


def _require_consent(record: KeyRecord, cost: str, *, yes: bool) -> None:
    """Ask; unlike other changes this one cannot be undone, so without a terminal it has to be said in the command.

    Raises:
        ConflictError: Nobody can be asked, and ``--yes`` is missing.
    """
    from licsrv.errors import ConflictError

    if staff.is_asked(yes=yes):
        terminal.warn(cost)
        staff.confirm(f"Retire key {record.key_id} for good?", yes=yes)
    elif not yes:
        raise ConflictError(cost, action="If that is meant, say so with --yes.")


def _retire(place: Workplace, key_id: str, actor: str) -> KeyRecord:
    from licsrv import audit
    from licsrv.audit import Action, Cause

    now = place.clock.now()
    with place.writing() as session:
        record = place.keys.retire(key_id, now=now)
        detail = {"purpose": str(record.purpose)}
        audit.record(session, Action.KEY_RETIRED, subject=key_id, cause=Cause(actor), detail=detail, now=now)
    return record


def _tell_retired(record: KeyRecord, cost: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        terminal.show_document({"changed": changed, "key": document(record, state="retired")})
    elif changed:
        terminal.say(f"Retired key {record.key_id}. {cost}")
    else:
        terminal.say(f"Key {record.key_id} was retired already, {moments.full(record.retired_at)}. Nothing changed.")
