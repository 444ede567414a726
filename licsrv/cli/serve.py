"""``licsrv serve``: the service."""

from __future__ import annotations

import gc
import signal
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.cli.workplace import base_url, has_accounts, listening_url, setup_link
from licsrv.errors import SettingsError

if TYPE_CHECKING:
    import socket

    import uvicorn
    from starlette.types import ASGIApp

    from licsrv.platform.config import Settings
    from licsrv.runtime import Runtime

_STOP_SECONDS = 20
_SWITCH_SECONDS = 0.0005


def serve(
    host: Annotated[str | None, typer.Option(help="Instead of LICSRV_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of LICSRV_PORT.")] = None,
) -> None:
    """Serve until stopped; what was accepted by then is finished. SIGHUP reloads keys and log level."""
    from licsrv.platform import config, descriptors, listener, logs

    settings = config.load()
    logs.configure(settings.log_level, settings.log_format)
    host, port = host or settings.host, settings.port if port is None else port
    descriptors.raise_limit()
    with listener.listen(host, port) as taken:
        prepare(settings)
        _greet(settings, host, taken.getsockname()[1])
        # uvicorn raises the signal once more after its graceful end; without a handler the process would die of it.
        signal.signal(signal.SIGTERM, lambda *_: None)
        _run(_configuration(settings), taken)


def _configuration(settings: Settings) -> uvicorn.Config:
    import uvicorn

    from licsrv.platform import listener

    return uvicorn.Config(
        "licsrv.cli.serve:application",
        factory=True,
        http=listener.GuardedProtocol,
        ws="none",
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        limit_concurrency=listener.most_connections(),
        timeout_graceful_shutdown=_STOP_SECONDS,
        timeout_keep_alive=30,
    )


def _run(config: uvicorn.Config, taken: socket.socket) -> None:
    from uvicorn import Server
    from uvicorn.supervisors import Multiprocess

    server = Server(config)
    if config.workers > 1:
        Multiprocess(config, sockets=[taken]).run()
        return
    with suppress(KeyboardInterrupt):
        server.run(sockets=[taken])
    if not server.started:
        raise typer.Exit(1)


def prepare(settings: Settings) -> None:
    """Bring the database to the newest schema and try the keys, before the first worker starts.

    Raises:
        KeyringError: The keys cannot be read.
        StorageError: The database cannot be used.
    """
    from licsrv.cli.opening import key_folder, upgraded

    folder = key_folder(settings)
    folder.ensure_seal_key()
    folder.read()
    upgraded(settings)


def application() -> ASGIApp:
    """Return one worker's application, made from the environment."""
    from licsrv.app import build_runtime, create_app
    from licsrv.platform import config, logs

    settings = config.load()
    logs.configure(settings.log_level, settings.log_format)
    # The writer's thread waits for the interpreter after every statement; by default it would wait 5 ms each time.
    sys.setswitchinterval(_SWITCH_SECONDS)
    for name in config.unknown_names():
        logs.logger(__name__).warning("unknown setting", setting=name)
    runtime = build_runtime(settings)
    app = create_app(runtime)
    signal.signal(signal.SIGHUP, lambda *_: _reload(runtime))
    # What was loaded stays for good: the collector need not walk through it for every few thousand requests.
    gc.collect()
    gc.freeze()
    return app


def _reload(runtime: Runtime) -> None:
    """Read the keys again, and the log level: a file can change while the process runs, its environment cannot."""
    from licsrv.platform import config, logs

    log = logs.logger(__name__)
    runtime.keyring.read_again()
    try:
        level = config.load().log_level
    except SettingsError:
        log.exception("settings are wrong; the log level stays as it is")
        return
    logs.set_level(level)
    log.warning("reload: keys are read again", log_level=level)


def _greet(settings: Settings, host: str, port: int) -> None:
    """Say where the service is: to a person on a terminal with a link for the first account, else in one log line."""
    from licsrv.cli.doctor import settings_check
    from licsrv.platform import logs

    log = logs.logger(__name__)
    for diagnosis in settings_check.listener(settings, host=host):
        log.warning("the listener is open to the network", detail=diagnosis.detail, advice=diagnosis.advice)
    address, public = listening_url(host, port), base_url(settings, host, port)
    if sys.stderr.isatty():
        print("\n".join(_lines(settings, address, public)), file=sys.stderr, flush=True)
        return
    log.info("serving", address=address, desk=f"{public}/admin", is_connected=bool(settings.marketplace_ak))
    if not has_accounts(settings):
        log.warning("there is no account yet: `licsrv accounts link` prints a link that makes the first one")


def _lines(settings: Settings, base: str, public: str) -> Iterator[str]:
    no_keys = "" if settings.callback_access_keys else "   (no access key set: refuses everything)"
    marketplace = (
        ", ".join(settings.marketplace_urls)
        if settings.marketplace_ak
        else ("not connected (set LICSRV_MARKETPLACE_AK and _SK)")
    )
    yield f"licsrv serves on {base}"
    yield f"  callback address   {base}/marketplace/callback{no_keys}"
    yield f"  open API           {marketplace}"
    yield f"  documentation      {base}/docs"
    yield f"  readiness          {base}/readyz"
    yield f"  support desk       {public}/admin   (for programs {public}/admin/api: licsrv tokens new)"
    if link := setup_link(settings, public):
        yield f"  first account      {link}   (once, within a day)"
