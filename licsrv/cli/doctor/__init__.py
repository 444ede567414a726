"""``licsrv doctor``: looks at everything that has to be right, changes nothing, and says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson
from licsrv.cli.terminal import Column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from licsrv.cli.doctor.diagnosis import Diagnosis

_COLUMNS = (Column("Area"), Column("State", styled=True), Column("Found, and what to do", flexible=True))


def doctor(
    offline: Annotated[bool, typer.Option("--offline", help="Make no check that needs the network.")] = False,
    signed: Annotated[
        bool, typer.Option("--signed", help="Also try the marketplace's key pair; a refusal counts towards its lock.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Look at settings, keys, database, audit, outbox and marketplace; exit code 1 when there is a problem."""
    from licsrv.cli.doctor.diagnosis import Level, worst

    if offline and signed:
        raise typer.BadParameter("--signed asks the marketplace; leave --offline out.")
    found = examine(offline=offline, signed=signed)
    result = worst(found)
    if as_json:
        terminal.show_document({"result": str(result), "checks": [diagnosis.document() for diagnosis in found]})
    else:
        _render(found)
    if result is Level.PROBLEM:
        raise typer.Exit(1)


def examine(*, offline: bool, signed: bool = False) -> list[Diagnosis]:
    """Make every check; with wrong settings only those of the settings, because the others need them."""
    from licsrv.cli.doctor import database_check, key_pair_check, keys_check, marketplace_check, settings_check
    from licsrv.platform.clock import Clock

    settings, found = settings_check.read()
    if settings is None:
        return found
    clock = Clock()
    found += settings_check.check(settings)
    found += keys_check.check(settings, now=clock.now())
    found += database_check.check(settings, now=clock.now())
    if not offline:
        found += marketplace_check.check(settings.marketplace_urls, clock=clock.now)
    if signed:
        found.append(key_pair_check.check(settings, clock=clock))
    return found


def _render(found: Sequence[Diagnosis]) -> None:
    from licsrv.cli.doctor.diagnosis import Level

    rows = [
        (diagnosis.area, str(diagnosis.level), " ".join(filter(None, (diagnosis.detail, diagnosis.advice))))
        for diagnosis in found
    ]
    terminal.show_table(_COLUMNS, rows)
    counts = [sum(diagnosis.level is level for diagnosis in found) for level in (Level.PROBLEM, Level.WARNING)]
    terminal.say(f"{counts[0]} problem(s), {counts[1]} warning(s), {len(found)} checks.")
