"""``licsrv migrate``: bring the database to the schema of this version, or say what that will do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from licsrv.migrations import Step

_UP_TO_DATE = "Nothing to do: the database has this version's schema."
_COLUMNS = (
    Column("Step"),
    Column("Does", flexible=True),
    Column("Reads whole tables"),
    Column("At most about"),
    Column("Meanwhile"),
)


def migrate(
    plan: Annotated[bool, typer.Option("--plan", help="Only show the steps and how long they may take.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to this version's schema. `serve` and `init` do the same at their start."""
    from licsrv import migrations
    from licsrv.cli import opening
    from licsrv.platform import config

    settings = config.load()
    with opening.open_reachable(settings) as (database, _):
        steps = migrations.plan(database)
    is_changed = not plan and opening.upgraded(settings)
    if as_json:
        documents = [_document(step) for step in steps]
        terminal.show_document({"steps": documents, "is_upgraded": is_changed, "schema_step": migrations.HEAD})
    elif plan:
        _show(steps)
    elif is_changed:
        terminal.say(f"Database {opening.place_of(settings)} is at schema step {migrations.HEAD}")
    else:
        terminal.say(_UP_TO_DATE)


def _document(step: Step) -> dict[str, object]:
    return {
        "step": step.number,
        "does": step.does,
        "reads": list(step.reads),
        "bytes": step.size,
        "seconds": step.seconds,
        "is_online": step.is_online,
    }


def _show(steps: Sequence[Step]) -> None:
    rows = [
        (
            step.number,
            step.does,
            ", ".join(step.reads) or "none",
            f"{step.seconds:,} s",
            "writes go on" if step.is_online else "writes wait",
        )
        for step in steps
    ]
    terminal.show_table(_COLUMNS, rows)
    if not steps:
        terminal.say(_UP_TO_DATE)
