"""``licsrv keys``: make, list and retire the keys that sign licenses, leases and releases.

A server that runs reads the folder anew within seconds. With several replicas the folder has to reach each of them
before the new key's first signature does.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import moments, staff, terminal
from licsrv.cli.options import AsJson, Staff, Yes, typed
from licsrv.cli.terminal import Column
from licsrv.platform.days import Typed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlmodel import Session

    from licsrv.cli.workplace import Workplace
    from licsrv.licensing.keyring import KeyFolder, KeyRecord, Keyring

app = typer.Typer(name="keys", help="Signing keys: new, list, retire.", no_args_is_help=True)

PURPOSES = "license, lease or release"
ALGORITHMS = "EdDSA or ML-DSA-65"
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

    if word is not None and word not in list(Purpose):
        raise typer.BadParameter(f"One of {PURPOSES}.")
    return word


def _algorithm(word: str) -> str:
    from licsrv.licensing.keyring import Algorithm

    for algorithm in Algorithm:
        if word.upper() == algorithm.upper():
            return str(algorithm)
    raise typer.BadParameter(f"One of {ALGORITHMS}.")


@app.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the keys with what they are for and whether they sign, verify or are retired."""
    from licsrv.cli.workplace import key_folder
    from licsrv.platform import config
    from licsrv.platform.clock import Clock

    settings = config.load()
    now = Clock().now()
    found = _documents(key_folder(settings), now)
    if as_json:
        terminal.show_document({"keys_dir": str(settings.keys_dir), "keys": found})
        return
    terminal.show_table(_COLUMNS, [_row(key, now) for key in found])
    if not found:
        terminal.warn(f"There is no key in {settings.keys_dir}/: run `licsrv init`.")


def _documents(folder: KeyFolder, now: datetime) -> list[dict[str, Any]]:
    records = folder.records()
    signing = _signing(folder.read(), now) if records else set()
    ordered = sorted(records, key=lambda record: (record.purpose, record.created_at), reverse=True)
    return [document(record, state=_state(record, signing, now)) for record in ordered]


def _signing(keyring: Keyring, now: datetime) -> set[str]:
    from licsrv.errors import KeyringError
    from licsrv.licensing.keyring import Purpose

    found: set[str] = set()
    for purpose in Purpose:
        with suppress(KeyringError):  # a replica that only verifies has no private half
            found.add(keyring.signer(purpose, now=now).key_id)
    with suppress(KeyringError):  # a second signature is nobody's duty
        found.add(keyring.second_signer(now=now).key_id)
    return found


def _state(record: KeyRecord, signing: set[str], now: datetime) -> str:
    if record.is_retired:
        return "retired"
    if record.begins_at > now:
        return "waiting"
    return "signing" if record.key_id in signing else "verifying"


def document(record: KeyRecord, *, state: str) -> dict[str, Any]:
    """Describe a key; nothing of its private half."""
    return {
        "id": record.key_id,
        "purpose": str(record.purpose),
        "algorithm": str(record.algorithm),
        "state": state,
        "created_at": moments.rfc3339(record.created_at),
        "signs_from": moments.rfc3339(record.begins_at),
        "retired_at": moments.rfc3339(record.retired_at),
        "public": record.public,
    }


def _row(key: dict[str, Any], now: datetime) -> list[object]:
    made = datetime.fromisoformat(key["created_at"])
    retired = moments.short(datetime.fromisoformat(key["retired_at"])) if key["retired_at"] else ""
    begins = moments.short(datetime.fromisoformat(key["signs_from"])) if key["signs_from"] != key["created_at"] else ""
    return [
        key["id"],
        key["purpose"],
        key["algorithm"],
        key["state"],
        moments.short(made),
        moments.span(now - made),
        begins,
        retired,
    ]


@app.command()
def new(
    purpose: Annotated[
        str | None, typer.Argument(callback=_purpose, help=f"What it signs: {PURPOSES}.", show_default=False)
    ] = None,
    purpose_option: Annotated[
        str | None, typer.Option("--purpose", metavar="PURPOSE", callback=_purpose, help="The same, as an option.")
    ] = None,
    algorithm: Annotated[
        str,
        typer.Option(
            "--algorithm", metavar="NAME", callback=_algorithm, help=f"{ALGORITHMS}, which signs license files again."
        ),
    ] = "EdDSA",
    begins: Annotated[
        Typed | None,
        typer.Option(
            "--from", metavar="DAY", parser=typed,
            help="When it begins to sign: the first day, such as 2027-01-31, or RFC 3339. It is published at once.",
        ),
    ] = None,
    staff_name: Staff = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Make a key that signs from now on; the ones before it go on verifying until they are retired."""
    from licsrv.cli.workplace import open_workplace

    wanted = _one_purpose(purpose, purpose_option)
    with open_workplace() as place:
        signs_from = begins.begin(place.settings.day_zone) if begins is not None else None
        record = _make(place, wanted, algorithm, signs_from, staff.actor(staff_name))
        state = _state(record, {record.key_id}, place.clock.now())
        keys_dir = place.settings.keys_dir
    if as_json:
        terminal.show_document({"key": document(record, state=state)})
        return
    what = f"each {wanted}" if algorithm == "EdDSA" else "license files a second time, where the product asks for it,"
    since = "now on" if state != "waiting" else f"{moments.full(record.begins_at)} on and is published already"
    terminal.say(f"Made key {record.key_id}; it signs {what} from {since}. Back up {keys_dir}/.")


def _one_purpose(argument: str | None, option: str | None) -> str:
    if (argument is None) == (option is None):
        raise typer.BadParameter(f"Say once what the key is for: {PURPOSES}.")
    return argument or option or ""


def _make(place: Workplace, purpose: str, algorithm: str, signs_from: datetime | None, actor: str) -> KeyRecord:
    """Make a key and note it.

    Raises:
        InvalidRequestError: It would begin in the past.
        KeyringError: No key of this algorithm signs for this purpose.
    """
    from licsrv import audit
    from licsrv.audit import Action, Cause
    from licsrv.errors import InvalidRequestError
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
        audit.record(session, Action.KEY_MADE, subject=record.key_id, cause=Cause(actor), detail=detail, now=now)
    return record


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
    from licsrv.licensing.keyring import Algorithm, Purpose

    if record.algorithm is Algorithm.ML_DSA_65:
        return "Every second signature that it made stops counting at once: such files have to be asked for anew."
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
        _require_no_need(session, place.keys, key_id, now)
        record = place.keys.retire(key_id, now=now)
        detail = {"purpose": str(record.purpose)}
        audit.record(session, Action.KEY_RETIRED, subject=key_id, cause=Cause(actor), detail=detail, now=now)
    return record


def _require_no_need(session: Session, folder: KeyFolder, key_id: str, now: datetime) -> None:
    """Refuse to retire the last key that signs files a second time while a product asks for that.

    Raises:
        ConflictError: It does.
    """
    from licsrv.errors import ConflictError
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


def _tell_retired(record: KeyRecord, cost: str, *, changed: bool, as_json: bool) -> None:
    if as_json:
        terminal.show_document({"changed": changed, "key": document(record, state="retired")})
    elif changed:
        terminal.say(f"Retired key {record.key_id}. {cost}")
    else:
        terminal.say(f"Key {record.key_id} was retired already, {moments.full(record.retired_at)}. Nothing changed.")
