"""``python -m client_stub``: play a licensed CAD program in the terminal. Reads arguments, and no more."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from client_stub.cad import CadProgram, Terminal
from client_stub.configuration import Configuration, ConfigurationError
from client_stub.keys import PinnedKeys
from client_stub.transport import UnansweredError, fetch_keys_for_development

SAMPLE_DEVICE = "02:00:5E:10:00:01|CAD-DISK-0001|CAD-BOARD-0001|CAD-CPU-0001"
VERSION = "3.2.1"


class _CannotStartError(Exception):
    """The arguments do not make a program that can start; the message says why."""


def main(
    arguments: Sequence[str] | None = None, *, output: TextIO | None = None, commands: Iterable[str] | None = None
) -> int:
    """Play, and return the exit code: 0 when the program may work in the end, 1 when not, 2 when it cannot start."""
    options = _parser().parse_args(arguments)
    terminal = Terminal(output or sys.stdout)
    try:
        program = CadProgram(_configuration(options), options.device, terminal)
    except (_CannotStartError, ConfigurationError) as error:
        terminal.say(f"The program cannot start: {error}", "bad")
        return 2
    try:
        may_work = program.play_once() if options.once else program.play(commands or sys.stdin)
    except KeyboardInterrupt:
        return 130
    return 0 if may_work else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client_stub", description="Play a licensed CAD program in the terminal."
    )
    parser.add_argument("--server", required=True, help="license server; http:// for this very computer only")
    parser.add_argument("--code", required=True, help="authorization code (PL...) or instance id")
    parser.add_argument("--device", default=SAMPLE_DEVICE, help="'MAC|disk|board|CPU' (default: an invented machine)")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--keys", type=Path, help="file with the vendor's public keys (JWKS), as a product pins them")
    keys.add_argument(
        "--trust-server-keys", action="store_true", help="take the keys from the server; for development only"
    )
    parser.add_argument("--product", help="believe licenses of this product only")
    parser.add_argument("--issuer", help="believe licenses of this issuer only")
    parser.add_argument("--store", type=Path, help="file to remember the license in (default: the user's data folder)")
    parser.add_argument(
        "--once", action="store_true", help="one round, then exit: 0 the program may work, 1 it may not"
    )
    return parser


def _configuration(options: argparse.Namespace) -> Configuration:
    try:
        jwks = fetch_keys_for_development(options.server) if options.trust_server_keys else _read_keys(options.keys)
        return Configuration(
            server_url=options.server,
            code=options.code,
            keys=PinnedKeys.from_jwks(jwks),
            issuer=options.issuer,
            product=options.product,
            store_path=options.store,
            client_name="CAD-TERMINAL",
            client_version=VERSION,
        )
    except (ValueError, UnansweredError) as error:  # ConfigurationError and PinnedKeysError are ValueErrors
        raise _CannotStartError(str(error)) from error


def _read_keys(path: Path) -> dict[str, object]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _CannotStartError(f"{path.name} cannot be read as a key set.") from error
    if not isinstance(content, dict):
        raise _CannotStartError(f"{path.name} does not hold a key set.")
    return content


if __name__ == "__main__":
    sys.exit(main())
