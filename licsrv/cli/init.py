"""``licsrv init``: everything a first start needs; running it again changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer


def init(
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when there is nothing to do.")] = False,
) -> None:
    """Make what is missing: the database with the newest schema, and the signing keys."""
    from licsrv import migrations
    from licsrv.licensing.keyring import KeyFolder
    from licsrv.platform import config
    from licsrv.platform.clock import Clock
    from licsrv.platform.db import open_database

    settings = config.load()
    passphrase = settings.keys_passphrase.get_secret_value() if settings.keys_passphrase else None
    made = KeyFolder(settings.keys_dir, passphrase=passphrase).ensure(now=Clock().now())
    database = open_database(settings.database_url)
    upgraded = migrations.upgrade(database)
    database.dispose()

    for record in made:
        print(f"Made key {record.key_id} for {record.purpose} in {settings.keys_dir}/")
    if upgraded:
        print(f"Database is at schema step {migrations.HEAD}")
    if not made and not upgraded and not quiet:
        print("Nothing to do: keys and database are ready.")
