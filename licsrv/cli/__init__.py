"""The command line: one module per noun, each an entrance like a route: parse, read the clock once, one use case.

Rooms are imported inside the commands: ``licsrv --help`` must not wait for the database library.

Exit codes: 0 done (or nothing to do), 1 refused or failed, 2 the command line itself is wrong, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import cache

import typer
import typer.core
import typer.main

from licsrv.cli import (
    accounts,
    audit,
    backup,
    bulk,
    callbacks,
    desk,
    devices,
    doctor,
    emulator,
    explain,
    init,
    keys,
    licenses,
    migrate,
    outbox,
    products,
    reconcile,
    releases,
    reports,
    revocations,
    search,
    seats,
    serve,
    tokens,
)
from licsrv.errors import LicsrvError, RefusalError

# Plain help on purpose: the boxed one takes twice as long to appear.
app = typer.Typer(
    name="licsrv",
    help="License server for software sold through the Huawei Cloud marketplace.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
app.command("serve", short_help="Serve until stopped.")(serve.serve)
app.command("init", short_help="Create the database and the keys, if missing.")(init.init)
app.command("migrate", short_help="Bring the database to this version's schema.")(migrate.migrate)
app.command("doctor", short_help="Check settings, database, keys and marketplace.")(doctor.doctor)
app.command("search", short_help="Find licenses by a code, order, customer, device or string.")(search.search)
app.command("explain", short_help="Explain what a device would get, and which rule says so.")(explain.explain)
app.command("desk", short_help="Show what needs attention now.")(desk.desk)
for _noun in (
    licenses,
    devices,
    seats,
    products,
    releases,
    revocations,
    keys,
    outbox,
    callbacks,
    reconcile,
    bulk,
    reports,
    audit,
    backup,
    accounts,
    tokens,
):
    app.add_typer(_noun.app)
app.command(
    "emulator",
    short_help="Emulate the marketplace, for tests and rehearsals.",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
)(emulator.emulator)


@cache
def command() -> typer.core.TyperGroup:
    """Return the whole tree of commands, built once: reading the signatures takes as long as a small command."""
    return typer.main.get_group(app)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run one command; a failure is one clear sentence on standard error and a non-zero exit code.

    Args:
        arguments: Instead of those of the process.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal that lacks a character gets its number
    words = sys.argv[1:] if arguments is None else list(arguments)
    if not all(_is_text(word) for word in words):
        _fail("A word of the command holds bytes that are not UTF-8; nothing was changed.")
    try:
        command()(words)
    except RefusalError as error:
        _fail("\n".join([" ".join(filter(None, (error.detail, error.action))), *_problems(error)]))
    except LicsrvError as error:
        _fail(str(error))
    except BrokenPipeError:
        raise SystemExit(1) from None
    except OSError as error:
        _fail(": ".join(str(part) for part in (error.strerror or error, error.filename) if part))
    finally:
        _flush()


def _is_text(word: str) -> bool:
    """Whether a word is text: bytes that are none reach Python as half surrogates (PEP 383)."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True


def _problems(error: RefusalError) -> list[str]:
    """Return the single problems of a refusal that names several, a line for each."""
    errors = error.extra.get("errors", [])
    return [f"{one['field']}: {one['problem']}" for one in errors] if isinstance(errors, list) else []


def _fail(sentence: str) -> None:
    from licsrv.cli.terminal import printable

    lines = [printable(line) for line in sentence.splitlines()]
    print("licsrv: " + "\n".join(lines), file=sys.stderr)
    raise SystemExit(1) from None


def _flush() -> None:
    """Write out what is buffered; discard it silently when the reader has closed the pipe."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
