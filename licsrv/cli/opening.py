"""The database and the keys that the settings name, opened for a command.

A database that is missing, empty, of another version, damaged or out of reach becomes one sentence here, before a
command begins.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy.engine import URL

from licsrv import migrations
from licsrv.errors import StorageBusyError, StorageError
from licsrv.licensing.key_folder import KeyFolder
from licsrv.migrations import first_seals
from licsrv.platform import database_address
from licsrv.platform.config import Settings
from licsrv.platform.db import Database, open_database, translated_errors

CONNECT_SECONDS = 5
_INIT_FIRST = "run `licsrv init` first"


def key_folder(settings: Settings) -> KeyFolder:
    """Return the folder of the signing keys; it is read when asked."""
    passphrase = settings.keys_passphrase.get_secret_value() if settings.keys_passphrase else None
    return KeyFolder(settings.keys_dir, passphrase=passphrase)


def upgraded(settings: Settings) -> bool:
    """Bring the database to the newest step, making an SQLite file that is not there; whether there was anything to do.

    What was in it before seals is sealed, once.

    Raises:
        KeyringError: The seal key cannot be read.
        StorageError: The database is damaged, busy or out of reach.
    """
    database = _open(settings)
    try:
        with _failure_told(settings):
            is_upgraded = migrations.upgrade(database, on_wait=_say_once_that_it_waits())
            folder = key_folder(settings)
            return (folder.ensure_seal_key() and first_seals.seal_once(database, folder, warn=_warn)) or is_upgraded
    finally:
        database.dispose()


def _warn(sentence: str) -> None:
    print(f"licsrv: {sentence}", file=sys.stderr, flush=True)


def _say_once_that_it_waits() -> Callable[[], None]:
    said: list[str] = []

    def say() -> None:
        if not said:
            said.append("licsrv: waiting to change the database: another process does, or a table is busy ...")
            print(said[0], file=sys.stderr, flush=True)

    return say


@contextmanager
def open_ready(settings: Settings) -> Iterator[Database]:
    """Open the database if its schema is at the step that this version needs.

    Raises:
        StorageError: It does not, or cannot be read.
    """
    with open_reachable(settings) as (database, step):
        if step is None:
            raise StorageError(f"The database {place_of(settings)} is empty: {_INIT_FIRST}.")
        if step != migrations.HEAD:
            raise StorageError(
                f"The database is at step {step} and this version of licsrv needs step {migrations.HEAD}: "
                "run `licsrv init`, or the version of licsrv that it belongs to."
            )
        yield database


@contextmanager
def open_reachable(settings: Settings) -> Iterator[tuple[Database, str | None]]:
    """Open the database at any step of its schema; create nothing.

    Raises:
        StorageError: It is missing, damaged or out of reach.
    """
    path = sqlite_path(settings)
    if path is not None and not path.exists():
        raise StorageError(f"There is no database at {path}: {_INIT_FIRST}.")
    database = _open(settings)
    try:
        with _failure_told(settings):
            step = migrations.known_revision(database)
        yield database, step
    finally:
        database.dispose()


def _open(settings: Settings) -> Database:
    database = open_database(_patient(_url(settings)).render_as_string(hide_password=False))
    database.seal_with(key_folder(settings).seals)
    return database


def _url(settings: Settings) -> URL:
    return database_address.parse(settings.database_url)


def _patient(url: URL) -> URL:
    """Bound the time in which a server that does not answer is given up; a person is waiting."""
    if url.get_backend_name() == "sqlite" or "connect_timeout" in url.query:
        return url
    return url.update_query_dict({"connect_timeout": str(CONNECT_SECONDS)})


def sqlite_path(settings: Settings) -> Path | None:
    """Return the file of an SQLite database; None for another kind."""
    url = _url(settings)
    return Path(url.database or "") if url.get_backend_name() == "sqlite" else None


def place_of(settings: Settings) -> str:
    """Return where the database is, without a password."""
    return database_address.shown(_url(settings))


@contextmanager
def _failure_told(settings: Settings) -> Iterator[None]:
    """Say of a database that cannot be read where it is, and give its own reason."""
    try:
        with translated_errors():
            yield
    except StorageBusyError:
        raise
    except StorageError as error:
        reason = error.reason or str(error)
        raise type(error)(f"The database {place_of(settings)} cannot be used: {reason}", reason=reason) from error
