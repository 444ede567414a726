"""``licsrv search``: the console's one box, at the terminal."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli import terminal
from licsrv.cli.options import AsJson
from licsrv.cli.terminal import Column
from licsrv.cli.workplace import open_workplace
from licsrv.platform import moments

if TYPE_CHECKING:
    from licsrv.desk.licenses.answers import Hit, Judged, SearchAnswer

_LONGEST = 80_000
_COLUMNS = (
    Column("Code"),
    Column("Status", styled=True),
    Column("Found by"),
    Column("Device", flexible=True),
    Column("Customer", flexible=True, from_width=terminal.WIDE),
    Column("Expires (UTC)", from_width=terminal.WIDE),
)


def search(
    text: Annotated[
        str,
        typer.Argument(
            metavar="TEXT",
            help="A code, order, id, customer, device, fingerprint, license string or lease; `-` reads it, or a "
            "license file, from standard input.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Find licenses by a code, name or fingerprint; judge a license string, license file or lease."""
    from licsrv.desk.licenses import search as searching

    wanted = sys.stdin.read(_LONGEST) if text == "-" else text
    with open_workplace() as place:
        keyring = place.keys.read()
        with place.reading() as session:
            found = searching.search(session, wanted, keyring=keyring, view=place.view())
    if as_json:
        terminal.show_document(found)
    else:
        _render(found)


def _render(found: SearchAnswer) -> None:
    if found.judged is not None:
        _render_judged(found.judged)
    terminal.show_table(_COLUMNS, [_row(hit) for hit in found.hits])
    if not found.hits:
        terminal.warn("Nothing was found.")
    elif found.has_more:
        terminal.warn("There is more: type more of it.")


def _render_judged(judged: Judged) -> None:
    terminal.say(judged.says.en)
    facts = [("Kind", judged.kind), ("Issued", moments.full(judged.issued_at)), ("Ends", moments.full(judged.ends_at))]
    terminal.show_facts([*facts, ("Key", judged.key_id)])


def _row(hit: Hit) -> list[object]:
    license, device = hit.license, hit.device
    return [
        license.code,
        license.status,
        ", ".join(hit.found_by),
        f"{device.id} {device.name}".rstrip() if device else "",
        license.customer,
        moments.short(license.expires_at) or "never",
    ]
