"""What a command works with: the settings, the database and the keys of this installation, opened once.

Each function imports what it needs: commands import this module, and their help must not wait for the database
library. The transactions themselves are those of ``platform.db``.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from licsrv.platform.clock import Clock

if TYPE_CHECKING:
    from sqlmodel import Session

    from licsrv.desk.view import View
    from licsrv.licensing.key_folder import KeyFolder
    from licsrv.licensing.policies import Policies
    from licsrv.platform.config import Settings
    from licsrv.platform.db import Database


@dataclass(frozen=True)
class Workplace:
    """One installation, ready to be worked on."""

    settings: Settings
    database: Database
    clock: Clock

    @property
    def keys(self) -> KeyFolder:
        """The folder of the signing keys."""
        from licsrv.cli.opening import key_folder

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
        from licsrv.platform.db import reading

        return reading(self.database)

    def writing(self) -> AbstractContextManager[Session]:
        """Open the one transaction of a command that changes something; the audit is sealed at its end."""
        from licsrv import audit
        from licsrv.platform.db import transaction

        return transaction(self.database, [audit.seal])


@contextmanager
def open_workplace() -> Iterator[Workplace]:
    """Open the installation that the environment describes, and close it at the end.

    Raises:
        SettingsError: Settings are wrong.
        StorageError: The database is not there, not ready, damaged or out of reach.
    """
    from licsrv.cli.opening import open_ready
    from licsrv.platform import config

    settings = config.load()
    with open_ready(settings) as database:
        yield Workplace(settings, database, Clock())


def setup_link(settings: Settings, base_url: str) -> str | None:
    """Return a link by which a browser makes the first account; None where there is one.

    Raises:
        StorageError: The database is not ready or out of reach.
    """
    from licsrv import audit
    from licsrv.cli import staff
    from licsrv.cli.opening import open_ready
    from licsrv.people import setup
    from licsrv.platform.db import transaction

    with open_ready(settings) as database, transaction(database, [audit.seal]) as session:
        return setup.make_link(session, base_url, cause=staff.cause(None), now=Clock().now())


def has_accounts(settings: Settings) -> bool:
    """Whether the support desk has an account.

    Raises:
        StorageError: The database is not ready or out of reach.
    """
    from licsrv.cli.opening import open_ready
    from licsrv.people import store
    from licsrv.platform.db import reading

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
