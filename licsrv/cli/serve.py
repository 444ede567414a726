"""``licsrv serve``: the service."""

from __future__ import annotations

import gc
import signal
import socket
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from licsrv.errors import ServiceUnavailableError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from licsrv.platform.config import Settings

_STOP_SECONDS = 20
_SWITCH_SECONDS = 0.0005


def serve(
    host: Annotated[str | None, typer.Option(help="Instead of LICSRV_HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Instead of LICSRV_PORT.")] = None,
) -> None:
    """Serve until stopped; what was accepted by then is finished."""
    import uvicorn

    from licsrv.platform import config, logs

    settings = config.load()
    logs.configure(settings.log_level, settings.log_format)
    host, port = host or settings.host, settings.port if port is None else port
    require_free(host, port)
    prepare(settings)
    _greet(settings, host, port)
    # uvicorn raises the signal once more after its graceful end; without a handler the process would die of it.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        "licsrv.cli.serve:application",
        factory=True,
        host=host,
        port=port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=True,
        forwarded_allow_ips=settings.trusted_proxies,
        timeout_graceful_shutdown=_STOP_SECONDS,
        timeout_keep_alive=30,
    )


def prepare(settings: Settings) -> None:
    """Bring the database to the newest schema and try the keys, before the first worker starts.

    Raises:
        KeyringError: The keys cannot be read.
        StorageError: The database cannot be used.
    """
    from licsrv.cli.workplace import key_folder, upgraded

    key_folder(settings).read()
    upgraded(settings)


def require_free(host: str, port: int) -> None:
    """Try the address before anything starts, so that one in use is told in a sentence.

    Raises:
        ServiceUnavailableError: Nobody can listen there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
    except OSError as error:
        raise ServiceUnavailableError(
            f"Cannot listen on {host}:{port} ({error.strerror or error}).",
            action="Choose another by --port, or end what listens there.",
        ) from error


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
    app = create_app(build_runtime(settings))
    # What was loaded stays for good: the collector need not walk through it for every few thousand requests.
    gc.collect()
    gc.freeze()
    return app


def _greet(settings: Settings, host: str, port: int) -> None:
    from licsrv.cli.workplace import base_url, listening_url, setup_link

    base, public = listening_url(host, port), base_url(settings, host, port)
    lines = [
        f"licsrv serves on {base}",
        f"  callback address   {base}/marketplace/callback"
        + ("" if settings.callback_access_keys else "   (no access key set: refuses everything)"),
        f"  open API           {', '.join(settings.marketplace_urls)}"
        if settings.marketplace_ak
        else "  open API           not connected (set LICSRV_MARKETPLACE_AK and _SK)",
        f"  documentation      {base}/docs",
        f"  readiness          {base}/readyz",
        f"  support desk       {public}/admin   (for programs {public}/admin/api: licsrv tokens new)",
    ]
    link = setup_link(settings, public)
    if link is not None:
        lines.append(f"  first account      {link}   (once, within a day)")
    print("\n".join(lines), file=sys.stderr, flush=True)
