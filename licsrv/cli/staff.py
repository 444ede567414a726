"""Who uses the terminal, what reason they give, and whether they mean it.

A name given with ``--as`` is a claim. What is known is the user id, behind sudo that of the caller of sudo.
"""

from __future__ import annotations

import getpass
import sys
from typing import TYPE_CHECKING

import typer

from licsrv.platform.text_limits import LONGEST_NAME, LONGEST_REASON, SHORTEST_REASON

if TYPE_CHECKING:
    from licsrv.audit import Cause
    from licsrv.people.actors import Actor

_NOBODY = "unknown"


def actor(name: str | None) -> str:
    """Return how the audit names the person: the user id on this machine, and the name that they say they have."""
    from licsrv.platform import config

    return f"terminal:{config.invoking_user()} ({name or _account()})"


def cause(name: str | None, *, reason: str = "") -> Cause:
    """Return who does something and why, as the audit records it."""
    from licsrv.audit import Cause

    return Cause(actor(name), reason=reason)


def person(name: str | None) -> Actor:
    """Return the person as the rooms that ask for permissions know them."""
    from licsrv.people.actors import at_the_terminal

    return at_the_terminal(actor(name))


def _account() -> str:
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run under a number that has no name
        return _NOBODY
    return "".join(character for character in name if character.isprintable())[:LONGEST_NAME].strip() or _NOBODY


def read_name(name: str | None) -> str | None:
    """Check the name given with ``--as``; a callback of the option."""
    if name is None:
        return None
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise typer.BadParameter(f"A name has 1 to {LONGEST_NAME} printable characters.")
    return name


def read_reason(reason: str) -> str:
    """Check a reason: customers read it, and it is kept for good; a callback of the option."""
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON or not reason.isprintable():
        raise typer.BadParameter(
            f"Give a reason of {SHORTEST_REASON} to {LONGEST_REASON} printable characters in one line."
        )
    return reason


def read_possible_reason(reason: str) -> str:
    """Check a reason that may be left out; a callback of the option."""
    return read_reason(reason) if reason else ""


def is_asked(*, yes: bool) -> bool:
    """Whether a person can be asked, and did not say beforehand that they mean it."""
    return not yes and sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before a change; without a terminal the command itself is the consent."""
    if is_asked(yes=yes) and not typer.confirm(question, err=True):
        print("Nothing was changed.", file=sys.stderr)
        raise typer.Exit(1)
