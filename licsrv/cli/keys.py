"""``licsrv keys``: make, list and retire the keys that sign licenses, leases and releases.

A running server reads the folder again within seconds. With several replicas the folder has to reach each of them
before the new key's first signature does.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import staff, terminal
from licsrv.cli.options import AsJson, KeptReason, Staff, Yes, typed, word_of
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import Workplace, open_workplace
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError, StorageError
from licsrv.platform import moments
from licsrv.platform.days import Typed
from licsrv.platform.plurals import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel import Session

    from licsrv.audit import Cause
    from licsrv.desk.keys.answers import Key
    from licsrv.licensing.key_folder import KeyFolder
    from licsrv.licensing.keyring import KeyRecord

app = typer.Typer(
    name="keys", help="Signing keys: new, list, retire, protect; seal the database.", no_args_is_help=True
)

PURPOSES = "license, lease or release"
_SEAL = "seal"
_COLUMNS = (
    Column("Id"),
    Column("Purpose"),
    Column("Algorithm", from_width=terminal.WIDE),
    Column("State", styled=True),
    Column("Made (UTC)"),
    Column("Age", number=True),
    Column("Signs from (UTC)", from_width=terminal.VERY_WIDE),
    Column("Retired (UTC)"),
)


def _purpose(word: str | None) -> str | None:
    from licsrv.licensing.keyring import Purpose

    if word is not None and word not in [*Purpose, _SEAL]:
        raise typer.BadParameter(f"One of {PURPOSES}, or {_SEAL}.")
    return word


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys with what they are for and whether they sign, verify or are retired."""
    from licsrv.cli.opening import key_folder
    from licsrv.platform import config
    from licsrv.platform.clock import Clock

    settings = config.load()
    now = Clock().now()
    found = _keys(key_folder(settings), now)
    if as_json:
        terminal.show_document({"keys_dir": str(settings.keys_dir), "keys": found})
        return
    terminal.show_table(_COLUMNS, [_row(key, now) for key in found])
    if not found:
        terminal.warn(f"There is no key in {settings.keys_dir}/: run `licsrv init`.")


def _keys(folder: KeyFolder, now: datetime) -> Sequence[Key]:
    from licsrv.desk.keys import answers

    if not folder.records():  # a folder without keys has no device key either, so it cannot be read
        return ()
    found = answers.keys(folder.read(), now=now).items
    return sorted(found, key=lambda key: (key.purpose, key.created_at), reverse=True)


def _row(key: Key, now: datetime) -> list[object]:
    return [
        key.key_id,
        key.purpose,
        key.algorithm,
        key.state,
        moments.short(key.created_at),
        moments.span(now - key.created_at),
        moments.short(key.signs_from),
        moments.short(key.retired_at),
    ]


@app.command()
def new(
    purpose: Annotated[
        str | None, typer.Argument(callback=_purpose, help=f"What it signs: {PURPOSES}; or seal.", show_default=False)
    ] = None,
    purpose_option: Annotated[
        str | None, typer.Option("--purpose", metavar="PURPOSE", callback=_purpose, help="The same, as an option.")
    ] = None,
    algorithm: Annotated[
        str,
        typer.Option(
            "--algorithm",
            metavar="NAME",
            callback=word_of("licsrv.licensing.keyring:Algorithm"),
            help="EdDSA or ML-DSA-65, which signs license files again.",
        ),
    ] = "EdDSA",
    begins: Annotated[
        Typed | None,
        typer.Option(
            "--from", metavar="DAY", parser=typed,
            help="When it begins to sign: the first day, such as 2027-01-31, or RFC 3339. It is published at once.",
        ),
    ] = None,
    use: Annotated[
        bool, typer.Option("--use", help="For seal: let the key made last seal, now that every replica has it.")
    ] = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a key that signs from now on; the ones before go on verifying. One for seals waits for --use."""
    from licsrv.desk.keys import answers

    wanted = _one_purpose(purpose, purpose_option)
    if wanted == _SEAL:
        _new_seal(staff.cause(staff_name), use=use, as_json=as_json)
        return
    with open_workplace() as place:
        signs_from = begins.begin(place.settings.day_zone) if begins is not None else None
        record = _make(place, wanted, algorithm, signs_from=signs_from, cause=staff.cause(staff_name))
        key = answers.shown(record, signing=True, now=place.clock.now())
        keys_dir = place.settings.keys_dir
    if as_json:
        terminal.show_document({"key": key})
        return
    what = f"each {wanted}" if algorithm == "EdDSA" else "license files a second time, where the product asks for it,"
    since = "now on" if key.state != "waiting" else f"{moments.full(key.begins_at)} on and is published already"
    terminal.say(f"Made key {key.key_id}; it signs {what} from {since}. Back up {keys_dir}/.")


def _one_purpose(argument: str | None, option: str | None) -> str:
    if (argument is None) == (option is None):
        raise typer.BadParameter(f"Say once what the key is for: {PURPOSES}.")
    return argument or option or ""


def _make(place: Workplace, purpose: str, algorithm: str, signs_from: datetime | None, cause: Cause) -> KeyRecord:
    """Make a key and note it.

    Raises:
        InvalidRequestError: It would begin in the past.
        KeyringError: No key of this algorithm signs for this purpose.
    """
    from licsrv import audit
    from licsrv.audit import Action
    from licsrv.licensing.keyring import Algorithm, Purpose

    now = place.clock.now()
    if signs_from is not None and signs_from <= now:
        raise InvalidRequestError(f"{moments.full(signs_from)} has passed.", action="Leave --from out to begin now.")
    with place.writing() as session:
        record = place.keys.make(Purpose(purpose), now=now, algorithm=Algorithm(algorithm), signs_from=signs_from)
        detail = {"purpose": purpose}
        if record.algorithm is not Algorithm.EDDSA:
            detail["algorithm"] = algorithm
        if signs_from is not None:
            detail["signs_from"] = signs_from.isoformat()
        audit.record(session, Action.KEY_MADE, subject=record.key_id, cause=cause, detail=detail, now=now)
    return record


def _new_seal(cause: Cause, *, use: bool, as_json: bool) -> None:
    from licsrv import audit
    from licsrv.audit import Action

    with open_workplace() as place, place.writing() as session:
        key_id = place.keys.use_seal_key() if use else place.keys.make_seal_key()
        if key_id is None:
            raise ConflictError("No seal key waits.", action="Make one: `licsrv keys new seal`.")
        detail = {"purpose": _SEAL, "seals": use}
        now = place.clock.now()
        audit.record(session, Action.KEY_MADE, subject=key_id, cause=cause, detail=detail, now=now)
    if as_json:
        terminal.show_document({"key": {"id": key_id, "purpose": _SEAL}})
    else:
        terminal.say(
            f"Key {key_id} seals rows from now on. Copy seal.key to every replica once more, and back it up."
            if use
            else f"Made key {key_id}; it verifies seals. Copy seal.key to every replica, wait ten seconds, "
            "then run `licsrv keys new seal --use`."
        )


@app.command()
def protect(staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Encrypt the private keys that are plain, or were encrypted at a lower cost, under the passphrase that is set."""
    from licsrv.cli.opening import key_folder
    from licsrv.platform import config

    settings = config.load()
    folder = key_folder(settings)
    with ExitStack() as stack:
        try:
            place = stack.enter_context(open_workplace())
        except StorageError as error:  # a folder of keys can be encrypted where no database is, before it is copied
            done, unnoted = folder.protect(), str(error)
        else:
            done, unnoted = _protect(place, staff.cause(staff_name)), ""
    if done and unnoted:
        terminal.warn(f"The audit does not record this: {unnoted}")
    if as_json:
        terminal.show_document({"protected": done, "is_audited": bool(done) and not unnoted})
    else:
        terminal.say(f"Encrypted {counted(len(done), 'key')} in {settings.keys_dir}/." if done else "No change needed.")


def _protect(place: Workplace, cause: Cause) -> list[str]:
    from licsrv import audit
    from licsrv.audit import Action

    with place.writing() as session:
        done = place.keys.protect()
        now = place.clock.now()
        for key_id in done:
            audit.record(session, Action.KEY_PROTECTED, subject=key_id, cause=cause, now=now)
    return done


@app.command()
def reseal(reason: KeptReason, yes: Yes = False, staff_name: Staff = None, as_json: AsJson = False) -> None:
    """Seal each row of the database as it is now: after a lost seal key, or an upgrade with mixed versions."""
    from licsrv import audit
    from licsrv.audit import Action
    from licsrv.migrations import first_seals

    if not staff.is_asked(yes=yes) and not yes:
        raise ConflictError("Rows that other means put in are believed afterwards.", action="Say so with --yes.")
    staff.confirm("Rows that other means put in are believed afterwards. Seal what is there?", yes=yes)
    with open_workplace() as place:
        with place.writing() as session:
            cause, now = staff.cause(staff_name, reason=reason), place.clock.now()
            audit.record(session, Action.RESEALED, subject="database", cause=cause, now=now)
        first_seals.reseal(place.database, place.keys)
    if as_json:
        terminal.show_document({"is_sealed": True})
    else:
        terminal.say("Every row is sealed as it is.")


@app.command()
def retire(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `licsrv keys list` shows it.")],
    yes: Yes = False,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:
    """Retire a key for good: nothing that it signed counts any more. Without a terminal it needs --yes."""
    with open_workplace() as place:
        before = _record(place.keys.records(), key_id)
        if before.is_retired:
            _show_retired(before, "", changed=False, as_json=as_json)
            return
        cost = _cost(place, before)
        _require_consent(before, cost, yes=yes)
        record = _retire(place, key_id, staff.cause(staff_name))
    _show_retired(record, cost, changed=True, as_json=as_json)


def _record(records: Sequence[KeyRecord], key_id: str) -> KeyRecord:
    for record in records:
        if record.key_id == key_id:
            return record
    raise NotFoundError(f"There is no key {key_id!r}.", action="See `licsrv keys list`.")


def _cost(place: Workplace, record: KeyRecord) -> str:
    """Say what stops counting; only license strings are written down one by one."""
    from licsrv.desk.keys import store
    from licsrv.licensing.keyring import Algorithm, Purpose

    if record.algorithm is Algorithm.ML_DSA_65:
        return "Every second signature that it made stops counting at once: such files have to be issued again."
    if record.purpose is not Purpose.LICENSE:
        return f"Every {record.purpose} that it signed stops counting at once."
    with place.reading() as session:
        issued = store.issued_with(session, record.key_id)
    strings, licenses = counted(issued.devices, "license string"), counted(issued.licenses, "license")
    return f"{strings} in use, of {licenses}, will no longer be accepted: these devices have to ask for a new license."


def _require_consent(record: KeyRecord, cost: str, *, yes: bool) -> None:
    """Ask; unlike other changes this one cannot be undone, so without a terminal it has to be said in the command.

    Raises:
        ConflictError: There is no terminal to ask at, and ``--yes`` is missing.
    """
    if staff.is_asked(yes=yes):
        terminal.warn(cost)
        staff.confirm(f"Retire key {record.key_id} for good?", yes=yes)
    elif not yes:
        raise ConflictError(cost, action="If that is meant, say so with --yes.")


def _retire(place: Workplace, key_id: str, cause: Cause) -> KeyRecord:
    from licsrv import audit
    from licsrv.audit import Action

    now = place.clock.now()
    with place.writing() as session:
        _require_no_need(session, place.keys, key_id, now=now)
        record = place.keys.retire(key_id, now=now)
        detail = {"purpose": str(record.purpose)}
        audit.record(session, Action.KEY_RETIRED, subject=key_id, cause=cause, detail=detail, now=now)
    return record


def _require_no_need(session: Session, folder: KeyFolder, key_id: str, now: datetime) -> None:
    """Refuse to retire the last key that signs files a second time while a product asks for that.

    Raises:
        ConflictError: It does.
    """
    from licsrv.licensing import store
    from licsrv.licensing.keyring import Algorithm

    seconds = [record for record in folder.records() if record.algorithm is Algorithm.ML_DSA_65]
    left = [record for record in seconds if record.key_id != key_id and record.may_sign(now)]
    products = store.products_with_second_signature(session)
    if products and not left and key_id in {record.key_id for record in seconds}:
        raise ConflictError(
            f"It is the only key for the second signature of {', '.join(products[:5])}.",
            action="Make a new one first, or `licsrv products set PRODUCT_ID --no-second-signature`.",
        )


def _show_retired(record: KeyRecord, cost: str, *, changed: bool, as_json: bool) -> None:
    from licsrv.desk.keys import answers

    if as_json:
        key = answers.shown(record, signing=False, now=record.retired_at or record.begins_at)
        terminal.show_document({"changed": changed, "key": key})
    elif changed:
        terminal.say(f"Retired key {record.key_id}. {cost}")
    else:
        terminal.say(f"Key {record.key_id} was already retired, {moments.full(record.retired_at)}. No change needed.")
