"""``licsrv explain``: what a device would get of a license, and which rule says so."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson, LicenseName, typed
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.errors import InvalidRequestError
from licsrv.platform import moments
from licsrv.platform.days import Typed

if TYPE_CHECKING:
    from licsrv.desk.licenses.answers import ExplainAnswer

_LONGEST = 64 * 1024
_TRACE = (Column("Rule"), Column("", styled=True), Column("It says", flexible=True))


def explain(
    code: LicenseName,
    device: Annotated[
        str,
        typer.Option("--device", metavar="TEXT", help="MAC|DISK|BOARD|CPU; `-` reads it from standard input."),
    ],
    at: Annotated[
        Typed | None,
        typer.Option("--at", metavar="MOMENT", parser=typed,
                     help="A day (from its beginning), such as 2027-01-31, or RFC 3339; left out: now."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option("--policy", exists=True, dir_okay=False,
                     help='A JSON file with values of a policy, such as {"places.limit": 3}.'),
    ] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Explain what a device would get, now or at a date, and which rule says so; nothing is changed."""
    from licsrv.desk.licenses import explaining

    text = sys.stdin.read(_LONGEST).strip() if device == "-" else device
    with open_workplace() as place:
        moment = at.begin(place.settings.day_zone) if at is not None else place.clock.now()
        key, policies = place.keys.read().device_key, place.policies()
        values = _values(policy) if policy is not None else None
        with place.reading() as session:
            found = explaining.explain(session, code, text, values=values, key=key, policies=policies, at=moment)
    if as_json:
        terminal.show_document(found)
    else:
        _render(found)


def _values(file: Path) -> dict[str, Any]:
    """Return the values of a policy's file; which of them can be is judged by the policy.

    Raises:
        InvalidRequestError: It is no JSON object.
    """
    raw = file.read_bytes()[: _LONGEST + 1]
    try:
        found = json.loads(raw) if len(raw) <= _LONGEST else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise InvalidRequestError("The file is no policy.", action='Write a JSON object, such as {"places.limit": 3}.')
    return found


def _render(found: ExplainAnswer) -> None:
    terminal.say(found.says.en)
    device = found.device
    terminal.show_facts(
        [
            ("At", moments.full(found.at)),
            ("Device", f"{device.id} {device.name}".rstrip() if device is not None else "not known"),
            ("Refusal", found.code),
            ("Seats" if found.floating else "Places", f"{found.places_taken} of {found.places} taken"),
        ]
    )
    terminal.show_table(_TRACE, [[step.rule, "ok" if step.passed else "no", step.says.en] for step in found.trace])
