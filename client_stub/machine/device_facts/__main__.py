"""Show the device text of this machine and explain it: ``python -m client_stub.device_facts``.

The first line of the output is the text alone, with the install identity as the SDK names it; ``--quiet`` prints
nothing else. Exits with 0, also when parts are empty: the server decides what it makes of them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from client_stub.machine.device_facts import installation
from client_stub.machine.device_facts.installation import Identified, Trouble
from client_stub.machine.device_facts.selection import DeviceFacts
from client_stub.machine.device_facts.survey import survey
from client_stub.machine.store import default_path

_UNKNOWN = "not known"


def main(arguments: Sequence[str] | None = None, *, output: TextIO | None = None) -> int:
    """Print the device text of this machine, and, unless asked to be quiet, where it comes from."""
    parser = argparse.ArgumentParser(
        prog="python -m client_stub.device_facts", description="Show what licenses on this machine are bound to."
    )
    parser.add_argument("--store", type=Path, help="the program's store (default: in the user's data folder)")
    parser.add_argument("--quiet", action="store_true", help="print the device text and nothing else")
    options = parser.parse_args(arguments)
    facts, store = survey(), options.store or default_path("")
    found = installation.identify(facts.text, store.with_name(installation.NAME) if store else None)
    lines = [found.text] if options.quiet else [found.text, *explain(facts), *_identity(facts, found)]
    stream = output or sys.stdout
    stream.write("".join(f"{_printable(line)}\n" for line in lines))
    return 0


def explain(facts: DeviceFacts) -> Iterator[str]:
    """Say line by line what counts, what was left out and why, and what to do when it is too little."""
    yield ""
    yield f"MAC addresses: {', '.join(facts.macs) or _UNKNOWN}"
    yield f"Disk serials:  {', '.join(facts.disks) or _UNKNOWN}"
    yield f"Board serial:  {facts.board or _UNKNOWN}"
    yield f"CPU id:        {facts.cpu or _UNKNOWN}"
    if facts.left_out:
        yield "Left out:"
        yield from (
            f"  {found.part}: {found.name or 'one without a name'}, because {found.why}" for found in facts.left_out
        )
    yield from (f"Note: {remark}" for remark in facts.remarks)
    if not facts.is_enough:
        yield "Note: This is too little to identify this machine among others; inform the vendor's support."


def _identity(facts: DeviceFacts, found: Identified) -> Iterator[str]:
    if found.trouble is Trouble.NOT_KEPT:
        yield "Note: There is nothing of this machine's own, and no identity of the installation could be kept."
    elif found.text != facts.text:
        yield "Note: The identity of this installation is named among the disks, because the machine has too little."


def _printable(line: str) -> str:
    """Names come from drivers; a terminal obeys control characters, and an old one fails on letters it lacks."""
    return "".join(character if " " <= character <= "~" else "?" for character in line)


if __name__ == "__main__":
    sys.exit(main())
