"""Options that several commands share, so that they are spelled and explained the same everywhere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from importlib import import_module
from typing import Annotated, TypeAlias

import typer

from licsrv.cli import staff
from licsrv.platform import days
from licsrv.platform.days import Typed
from licsrv.platform.text_limits import LONGEST_FEATURE

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")]
Limit: TypeAlias = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Show at most this many.")]
Yes: TypeAlias = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]
Staff: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--as",
        metavar="NAME",
        callback=staff.read_name,
        help="Who you are, for the audit; else your account's name.",
    ),
]
ShownReason: TypeAlias = Annotated[
    str,
    typer.Option("--reason", metavar="TEXT", callback=staff.read_reason, help="Why; the customer reads it."),
]
KeptReason: TypeAlias = Annotated[
    str, typer.Option("--reason", metavar="TEXT", callback=staff.read_reason, help="Why; the audit keeps it.")
]
PossibleReason: TypeAlias = Annotated[
    str,
    typer.Option(
        "--reason",
        metavar="TEXT",
        callback=staff.read_possible_reason,
        help="Why (optional); the audit keeps it.",
        show_default=False,
    ),
]
LicenseName: TypeAlias = Annotated[str, typer.Argument(metavar="CODE", help="The license's code, or its id.")]


def short_text(most: int, *, least: int = 0) -> Callable[[str | None], str | None]:
    """Return a callback that checks the length of a text and that it can be printed."""
    return lambda value: value if value is None else _short(value, least, most)


def features(texts: list[str] | None) -> list[str] | None:
    """Check the features that an option takes, such as ``draw``, ``export=3`` or ``solver until 2027-03-31``."""
    return texts and [_feature(_short(text, 1, LONGEST_FEATURE)) for text in texts]


def _feature(text: str) -> str:
    from licsrv.licensing import entitlements

    try:
        entitlements.canonical(text, UTC)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return text  # the command that knows the zone says when a day ends


def _short(value: str, least: int, most: int) -> str:
    value = value.strip()
    if not least <= len(value) <= most or not value.isprintable():
        raise typer.BadParameter(f"At most {most} printable characters{', and not blank' if least else ''}.")
    return value


def word_of(enumeration: str) -> Callable[[str | None], str | None]:
    """Return a callback that takes one word of an enumeration, in any case.

    Args:
        enumeration: As ``module:Name``. It is imported when the option is used: help waits for no room.
    """
    module, _, name = enumeration.partition(":")

    def check(word: str | None) -> str | None:
        if word is None:
            return None
        words = [str(one) for one in getattr(import_module(module), name)]
        for one in words:
            if one.upper() == word.upper():
                return one
        raise typer.BadParameter(f"One of {', '.join(words)}.")

    return check


def typed(text: str) -> Typed:
    """Read a day or a moment; the command that knows the zone says which end of the day it means."""
    try:
        return days.read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
