"""Databases as a former version left them."""

from __future__ import annotations

from alembic import command

from licsrv import migrations
from licsrv.platform.db import Database, open_database


def at_step(url: str, step: str) -> Database:
    """Bring an empty database to a step of the schema, and open it."""
    database = open_database(url)
    config = migrations._configuration()
    with database.write.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, step)
        connection.commit()
    return database
