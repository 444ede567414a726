"""What a command works with: the settings, the database and the keys of this installation, opened once.

A database that is missing, empty, of another version, damaged or out of reach becomes one sentence here, before a
command begins. The transactions themselves are those of ``platform.db``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.engine import URL
from sqlmodel import Session

from licsrv import audit, migrations
from licsrv.audit import Cause
from licsrv.errors import StorageBusyError, StorageError
from licsrv.licensing.keyring import KeyFolder
from licsrv.migrations import first_seals
from licsrv.platform import config, database_address
from licsrv.platform.clock import Clock
from licsrv.platform.config import Settings
from licsrv.platform.db import Database, open_database, reading, transaction, translated_errors

if TYPE_CHECKING:
    from licsrv.desk.view import View
    from licsrv.licensing.policies import Policies

CONNECT_SECONDS = 5
_INIT_FIRST = "run `licsrv init` first"


@dataclass(frozen=True)
class Workplace:
    """One installation, ready to be worked on."""

    settings: Settings
    database: Database
    clock: Clock

    @property
    def keys(self) -> KeyFolder:
        """The folder of the signing keys."""
        return key_folder(self.settings)

    def view(self) -> View:
        """Return what is needed to show licenses as they are now."""
        from licsrv.desk.view import View

        return View(self.policies(), self.clock.now())

    def policies(self) -> Policies:
        """Return the policies of products, over what the settings say."""
        from licsrv.licensing.policy_defaults import policies_of

        return policies_of(self.settings)

    def reading(self) -> AbstractContextManager[Session]:
        """Open a session that only looks."""
        return reading(self.database)

    def writing(self) -> AbstractContextManager[Session]:
        """Open the one transaction of a command that changes something; the audit is sealed at its end."""
        return transaction(self.database, [audit.seal])


def key_folder(settings: Settings) -> KeyFolder:
    """Return the folder of the signing keys; it is read when asked."""
    passphrase = settings.keys_passphrase.get_secret_value() if settings.keys_passphrase else None
    return KeyFolder(settings.keys_dir, passphrase=passphrase)


@contextmanager
def open_workplace() -> Iterator[Workplace]:
    """Open the installation that the environment describes, and close it at the end.

    Raises:
        SettingsError: Settings are wrong.
        StorageError: The database is not there, not ready, damaged or out of reach.
    """
    settings = config.load()
    with open_ready(settings) as database:
        yield Workplace(settings, database, Clock())


def setup_link(settings: Settings, base_url: str) -> str | None:
    """Return a link by which a browser makes the first account; None where there is one.

    Raises:
        StorageError: The database is not ready or out of reach.
    """
    from licsrv.cli import staff
    from licsrv.people import setup

    with open_ready(settings) as database, transaction(database, [audit.seal]) as session:
        return setup.make_link(session, base_url, cause=Cause(staff.actor(None)), now=Clock().now())


def has_accounts(settings: Settings) -> bool:
    """Whether the support desk has an account.

    Raises:
        StorageError: The database is not ready or out of reach.
    """
    from licsrv.people import store

    with open_ready(settings) as database, reading(database) as session:
        return store.has_accounts(session)


def base_url(settings: Settings, host: str, port: int) -> str:
    """Return the address under which a browser reaches us, as far as we know it."""
    if settings.public_url:
        return settings.public_url.rstrip("/")
    return listening_url({"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port)  # noqa: S104


def listening_url(host: str, port: int) -> str:
    """Return the address of a listener; an IPv6 address is written in brackets (RFC 3986 §3.2.2)."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
