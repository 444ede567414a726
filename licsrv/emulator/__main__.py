"""``python -m licsrv.emulator serve``: the emulator as a process of its own, for local runs and demos."""

from __future__ import annotations

import argparse
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from types import FrameType

import httpx2
import uvicorn
from starlette.applications import Starlette

from licsrv.emulator.app import control_routes_of, create_app
from licsrv.emulator.control import help_lines
from licsrv.emulator.product_line import BASE_PATH
from licsrv.emulator.settings import EmulatorSettings, FrozenReading


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status.

    Args:
        argv: The words after the program's name; those of the process when None.
    """
    options = _parser().parse_args(argv)
    try:
        settings = EmulatorSettings(
            callback_url=options.callback_url,
            access_key=options.access_key,
            ak=options.ak,
            sk=options.sk,
            speed=options.speed,
            frozen_reads_as=FrozenReading(options.frozen_reads_as),
            legacy_http_status=options.legacy_http_status,
            probes_by_itself=options.probes,
        )
        listener = _listen(options.host, options.port)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"The emulator cannot start: {error}\n")
        return 1
    return _serve(create_app(settings), listener, quiet=options.quiet)


def _serve(app: Starlette, listener: socket.socket, *, quiet: bool) -> int:
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        date_header=False,  # the marketplace's own clock writes Date
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_not_asked_for)
    if not quiet:
        _print_help(app, listener)
    # uvicorn hands the signal on after its graceful end; without a handler the process would die of it.
    signal.signal(signal.SIGTERM, _ignore)
    signal.signal(signal.SIGINT, _ignore)
    with listener:
        uvicorn.Server(config).run(sockets=[listener])
    return 0


def _is_not_asked_for(record: logging.LogRecord) -> bool:
    """Keep connections that a fault broke off out of the log: they were asked for."""
    return record.exc_info is None or not isinstance(record.exc_info[1], httpx2.RemoteProtocolError)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the server has seen the signal already."""


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65_535:
        raise ValueError(f"port must be between 0 and 65535, not {port}")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return listener


def _print_help(app: Starlette, listener: socket.socket) -> None:
    host, port = listener.getsockname()[:2]
    base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
    emulator = app.state.emulator
    lines = [
        "Marketplace emulator",
        f"  open API    {base}{BASE_PATH}   (LICSRV_MARKETPLACE_URLS={base})",
        f"  control     {base}/control",
        f"  ISCDesk     {base}/iscdesk",
        f"  callbacks   to {emulator.settings.callback_url}",
        f"  key pair    {emulator.settings.ak}, speed {emulator.settings.speed:g}",
        "",
        *help_lines(control_routes_of(emulator)),
        "",
        f"Try: curl -X POST {base}/control/codes -d '{{\"days\": 30}}'",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    defaults = EmulatorSettings()
    parser = argparse.ArgumentParser(prog="licsrv emulator", description="The marketplace to rehearse with.")
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve", help="serve until stopped")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default %(default)s)")
    serve.add_argument("--port", type=int, default=8001, help="port to listen on, 0 for any (default %(default)s)")
    serve.add_argument("--callback-url", default=defaults.callback_url, help="where callbacks go (default %(default)s)")
    serve.add_argument("--access-key", default=defaults.access_key, help="callback access key (default %(default)s)")
    serve.add_argument("--ak", default=defaults.ak, help="open API access key id (default %(default)s)")
    serve.add_argument("--sk", default=defaults.sk, help="open API secret key (default %(default)s)")
    serve.add_argument("--speed", type=float, default=1.0, help="divides retry intervals and lateness (default 1)")
    serve.add_argument("--frozen-reads-as", choices=[*FrozenReading], default=FrozenReading.EXPIRED.value)
    serve.add_argument("--legacy-http-status", action="store_true", help="business errors with the older HTTP statuses")
    serve.add_argument("--probes", action="store_true", help="replay the saved debug cases twice a day (by --speed)")
    serve.add_argument("--quiet", action="store_true", help="print nothing at the start")
    return parser


if __name__ == "__main__":
    sys.exit(main())
