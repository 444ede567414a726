"""Where the log goes while a command does a server's work: to standard error, never into the command's output."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def logs_on_standard_error() -> Iterator[None]:
    """Keep what a server would log away from standard output, and the values of local variables out of it.

    The defaults of structlog are meant for developers: standard output, and tracebacks with every local variable,
    codes and keys included.
    """
    import structlog

    from licsrv.platform import logs

    before = structlog.get_config()
    if isinstance(before["logger_factory"], structlog.stdlib.LoggerFactory):  # a server's: nothing to change
        yield
        return
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            logs.hide_secrets,
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)
