"""The command line: one module per noun, each an entrance like a route: parse, read the clock once, one use case.

Rooms are imported inside the commands: ``licsrv --help`` must not wait for the database library.
"""

from __future__ import annotations

import sys

import typer

from licsrv.cli import emulator, init, serve
from licsrv.errors import LicsrvError

app = typer.Typer(
    name="licsrv",
    help="License server for software sold through the Huawei Cloud marketplace.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("serve")(serve.serve)
app.command("init")(init.init)
app.command(
    "emulator", context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}
)(emulator.emulator)


def main() -> None:
    """Run one command; a failure is one clear sentence and a non-zero exit code."""
    try:
        app()
    except LicsrvError as error:
        print(f"licsrv: {error}", file=sys.stderr)
        raise SystemExit(1) from None
