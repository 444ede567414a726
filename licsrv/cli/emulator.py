"""``licsrv emulator``: hands over to the emulator, which shares no line with this service, not even an import."""

from __future__ import annotations

import os
import sys

import typer


def emulator(context: typer.Context) -> None:
    """Play the marketplace, for rehearsals: `licsrv emulator serve --port 8001`."""
    os.execv(sys.executable, [sys.executable, "-m", "licsrv.emulator", *context.args])  # noqa: S606 - ourselves
