"""``licsrv init``: everything a first start needs; running it again changes nothing."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson
from licsrv.cli.workplace import base_url, has_accounts, setup_link
from licsrv.platform.clock import Clock


def init(
    quiet: Annotated[bool, typer.Option("--quiet", help="Say nothing when there is nothing to do.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make what is missing: the database with the newest schema, and the signing keys; a link for the first account."""
    from licsrv import migrations
    from licsrv.cli.opening import key_folder, place_of, upgraded
    from licsrv.platform import config

    settings = config.load()
    made = key_folder(settings).ensure(now=Clock().now())
    is_upgraded = upgraded(settings)
    # A log must not hold a link: it is printed on a terminal, or where a document is asked for.
    is_read = as_json or sys.stderr.isatty()
    link = setup_link(settings, base_url(settings, settings.host, settings.port)) if is_read and not quiet else None
    if as_json:
        keys = [{"id": record.key_id, "purpose": str(record.purpose)} for record in made]
        terminal.show_document(
            {"keys_made": keys, "is_upgraded": is_upgraded, "schema_step": migrations.HEAD, "setup_url": link}
        )
        return
    for record in made:
        terminal.say(f"Made key {record.key_id} for {record.purpose} in {settings.keys_dir}/")
    if is_upgraded:
        terminal.say(f"Database {place_of(settings)} is at schema step {migrations.HEAD}")
    if not made and not is_upgraded and not quiet:
        terminal.say("Nothing to do: keys and database are ready.")
    if link is not None:
        terminal.warn("There is no account yet. Open this within a day, once the service runs, to make the first one:")
        print(link, file=sys.stderr)  # as it is: a terminal must not break it
    elif not quiet and not is_read and not has_accounts(settings):
        terminal.warn("There is no account yet: `licsrv accounts link` prints a link that makes the first one.")
