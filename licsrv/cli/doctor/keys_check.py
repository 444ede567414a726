"""Can licsrv read the keys, are they closed to other users, and are they young enough?"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from datetime import datetime, timedelta

from licsrv.cli.doctor.diagnosis import Diagnosis, ok, problem, warning
from licsrv.cli.opening import key_folder
from licsrv.errors import KeyringError
from licsrv.licensing.keyring import KeyRecord, Keyring, Purpose
from licsrv.platform import moments
from licsrv.platform.config import Settings

AREA = "keys"
OLD = timedelta(days=365)


def check(settings: Settings, *, now: datetime) -> Iterator[Diagnosis]:
    """Look at the folder of the keys."""
    try:
        keyring = key_folder(settings).read()
    except KeyringError as error:
        yield problem(AREA, str(error), "Restore the folder from a backup, or run `licsrv init` on a first start.")
        return
    except OSError as error:
        yield problem(AREA, f"{settings.keys_dir}/ cannot be read ({error.strerror}).", "Check its owner and mode.")
        return
    for purpose in Purpose:
        yield _signing(keyring, purpose, now)
    yield _modes(settings)
    yield _passphrase(settings)
    if settings.keys_passphrase is not None:
        yield from _protection(settings)


def _protection(settings: Settings) -> Iterator[Diagnosis]:
    """Look at every private key in the folder, those of retired keys included, which nothing else reads."""
    try:
        names = ", ".join(path.name for path in key_folder(settings).unprotected())
    except KeyringError as error:
        yield problem(AREA, str(error), "Nothing signs with it; take it out of the folder if it is of no use.")
        return
    if names:
        yield warning(AREA, f"Plain, or encrypted at a low cost: {names}.", "Run `licsrv keys protect`.")


def _signing(keyring: Keyring, purpose: Purpose, now: datetime) -> Diagnosis:
    try:
        key_id = keyring.signer(purpose, now=now).key_id
    except KeyringError as error:
        return problem(AREA, str(error))
    record = _record(keyring, key_id)
    age = now - record.created_at
    if age > OLD:
        advice = f"Make a new one: `licsrv keys new {purpose}`."
        return warning(AREA, f"{key_id} has signed each {purpose} for {moments.span(age)}.", advice)
    return ok(AREA, f"{key_id} signs each {purpose}, made {moments.span(age)} ago.")


def _record(keyring: Keyring, key_id: str) -> KeyRecord:
    return next(record for record in keyring.records if record.key_id == key_id)


def _modes(settings: Settings) -> Diagnosis:
    secrets = [*sorted(settings.keys_dir.glob("*.pem")), *sorted(settings.keys_dir.glob("*.key"))]
    open_ones = [path.name for path in secrets if path.exists() and path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO)]
    if open_ones:
        return problem(
            AREA,
            f"Others on this machine may read or change {', '.join(open_ones)}.",
            f"chmod 600 {settings.keys_dir}/*.pem {settings.keys_dir}/*.key",
        )
    return ok(AREA, "Only the owner can read the private keys.")


def _passphrase(settings: Settings) -> Diagnosis:
    if settings.keys_passphrase is None:
        return warning(AREA, "The private keys are not encrypted on disk: a copy of the folder is enough to sign.",
                       "Set LICSRV_KEYS_PASSPHRASE_FILE, then run `licsrv keys protect`.")  # fmt: skip
    return ok(AREA, "A passphrase is set.")
