"""``python -m client_stub``: play a licensed CAD program in the terminal, or verify a license file.

Reads arguments, and no more.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from client_stub.machine.clock import SystemClock
from client_stub.machine.device_facts.installation import NAME as IDENTITY_NAME
from client_stub.machine.store import default_path
from client_stub.programs import verify_command
from client_stub.programs.cad import PATIENCE, CadProgram, Wish
from client_stub.programs.terminal import Terminal
from client_stub.session.configuration import Configuration, ConfigurationError
from client_stub.session.connection import UnansweredError
from client_stub.session.transport import fetch_keys_for_development
from client_stub.trust import devices
from client_stub.trust.errors import InvalidDeviceInfoError
from client_stub.trust.keys import PinnedKeys

SAMPLE_DEVICE = "02:00:5E:10:00:01|CAD-DISK-0001|CAD-BOARD-0001|CAD-CPU-0001"
VERSION = "3.2.1"
_ISCDESK_PATIENCE = 120.0  # seconds; there the vendor decides on an application before anything arrives
_READER_GONE = 141  # what a shell says of a program that SIGPIPE ended


class _CannotStartError(Exception):
    """The arguments do not make a program that can start; the message says why."""


def main(
    arguments: Sequence[str] | None = None, *, output: TextIO | None = None, commands: Iterable[str] | None = None
) -> int:
    """Play, and return the exit code: 0 when the program may work in the end, 1 when not, 2 when it cannot start."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["verify"]:
        return verify_command.main(
            given[1:], output=output or sys.stdout, this_device=this_device, now=SystemClock().now()
        )
    options = _parser().parse_args(given)
    terminal = Terminal(output or sys.stdout)
    try:
        program = CadProgram(_configuration(options), _wish(options), terminal)
    except (_CannotStartError, ConfigurationError) as error:
        terminal.say(f"The program cannot start: {error}", "bad")
        return 2
    try:
        may_work = program.play_once() if options.once else program.play(commands or sys.stdin)
    except KeyboardInterrupt:
        return 130
    return 0 if may_work else 1


def this_device(store: Path | None = None) -> str:
    """Return this computer's device text, or an invented one where nothing can be gathered that identifies it.

    With the install identity that the SDK keeps next to ``store`` (by default in the user's data folder).
    """
    try:
        facts = importlib.import_module("client_stub.machine.device_facts")
        kept_at = store or default_path("")
        gathered = str(facts.gather(install_identity=kept_at.with_name(IDENTITY_NAME) if kept_at else None))
        return SAMPLE_DEVICE if devices.parse(gathered).identifies_nothing else gathered
    except (ModuleNotFoundError, InvalidDeviceInfoError):
        return SAMPLE_DEVICE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m client_stub",
        description="Play a licensed CAD program in the terminal.",
        epilog="A license file is verified without network by: python -m client_stub verify FILE --keys KEYS",
    )
    parser.add_argument("--server", default="", help="license server; http:// for this very computer only")
    parser.add_argument("--code", help="authorization code (PL...) or instance id")
    parser.add_argument("--iscdesk", default="", metavar="URL", help="ISCDesk; licenses then come through it")
    parser.add_argument("--instance", metavar="ID", help="the instance that ISCDesk started; the same as --code")
    parser.add_argument("--device", help="'MAC|disk|board|CPU' (default: this computer)")
    keys = parser.add_mutually_exclusive_group(required=True)
    keys.add_argument("--keys", type=Path, help="file with the vendor's public keys (JWKS), as a product pins them")
    keys.add_argument(
        "--trust-server-keys", action="store_true", help="take the keys from the server; for development only"
    )
    parser.add_argument(
        "--file", nargs="?", const="", metavar="NAME", help="ask for a license file instead of a string"
    )
    parser.add_argument("--folder", type=Path, help="where license files go (default: next to the store)")
    parser.add_argument("--require-both", action="store_true", help="demand both signatures of license files")
    parser.add_argument("--revocations", type=Path, help="list of revoked licenses that was carried here")
    parser.add_argument("--product", help="believe licenses of this product only")
    parser.add_argument("--issuer", help="believe licenses of this issuer only")
    parser.add_argument("--channel", default="stable", help="which new versions to look for (default: stable)")
    parser.add_argument("--store", type=Path, help="file to remember the license in (default: the user's data folder)")
    parser.add_argument(
        "--once", action="store_true", help="one round, then exit: 0 the program may work, 1 it may not"
    )
    return parser


def _wish(options: argparse.Namespace) -> Wish:
    device_info = this_device(options.store) if options.device is None else options.device
    return Wish(device_info, options.file, _ISCDESK_PATIENCE if options.iscdesk else PATIENCE)


def _configuration(options: argparse.Namespace) -> Configuration:
    if not options.server and not options.iscdesk:
        raise _CannotStartError("It needs --server, or --iscdesk with --instance.")
    try:
        return Configuration(
            server_url=options.server,
            iscdesk_url=options.iscdesk,
            code=options.instance or options.code or "",
            keys=_keys(options),
            issuer=options.issuer,
            product=options.product,
            store_path=options.store,
            license_folder=options.folder,
            require_both_signatures=options.require_both,
            revocations_path=options.revocations,
            channel=options.channel,
            client_name="CAD-TERMINAL",
            client_version=VERSION,
        )
    except (ValueError, UnansweredError) as error:  # ConfigurationError and PinnedKeysError are ValueErrors
        raise _CannotStartError(str(error)) from error


def _keys(options: argparse.Namespace) -> PinnedKeys:
    if options.trust_server_keys:
        return PinnedKeys.from_jwks(fetch_keys_for_development(options.server))
    return verify_command.read_keys(options.keys)


def _run() -> int:
    """Play; a reader that goes away (``| head``) ends it without a word."""
    try:
        code = main()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    return code


if __name__ == "__main__":
    sys.exit(_run())
