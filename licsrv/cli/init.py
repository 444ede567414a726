"""``licsrv init``: everything a first start needs; running it again changes nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson


def init(
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when there is nothing to do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make what is missing: the database with the newest schema, and the signing keys."""
    from licsrv import migrations
    from licsrv.cli.workplace import key_folder, place_of, upgraded
    from licsrv.platform import config
    from licsrv.platform.clock import Clock

    settings = config.load()
    made = key_folder(settings).ensure(now=Clock().now())
    is_upgraded = upgraded(settings)
    if as_json:
        keys = [{"id": record.key_id, "purpose": str(record.purpose)} for record in made]
        terminal.show_document({"keys_made": keys, "is_upgraded": is_upgraded, "schema_step": migrations.HEAD})
        return
    for record in made:
        terminal.say(f"Made key {record.key_id} for {record.purpose} in {settings.keys_dir}/")
    if is_upgraded:
        terminal.say(f"Database {place_of(settings)} is at schema step {migrations.HEAD}")
    if not made and not is_upgraded and not quiet:
        terminal.say("Nothing to do: keys and database are ready.")
