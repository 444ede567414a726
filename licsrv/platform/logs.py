"""Structured logs: one JSON object a line (or text for people), with the request id where there is one.

Callers pass facts as keyword arguments and never a secret, a token or a raw device fact; as a second net, values
under names that look like one are replaced here.
"""

from __future__ import annotations

import logging
import logging.config
import re
import sys
from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import Any

import structlog

_SECRET_NAME = re.compile(
    r"secret|password|passphrase|token|authorization|signature|access_key|device_info|license_string|private",
    re.IGNORECASE,
)
HIDDEN = "[hidden]"
REQUEST_ID: ContextVar[str] = ContextVar("request_id", default="")


def add_request_id(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Name the request under way, where there is one."""
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    return event


def hide_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace values whose names say that they must not be logged."""
    for name in event:
        if _SECRET_NAME.search(name):
            event[name] = HIDDEN
    return event


def configure(level: str = "INFO", style: str = "json") -> None:
    """Send our records and those of uvicorn, SQLAlchemy and the rest through one format to standard error."""
    shared: list[Any] = [
        add_request_id,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        hide_secrets,
    ]
    render: Any = (
        structlog.processors.JSONRenderer()
        if style == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    last = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, structlog.processors.format_exc_info, render]
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {
                "ours": {"()": structlog.stdlib.ProcessorFormatter, "processors": last, "foreign_pre_chain": shared}
            },
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "ours"}},
            "root": {"handlers": ["stderr"], "level": level},
            # httpx2 logs every request with its full address at INFO; apscheduler every tick.
            "loggers": {name: {"level": "WARNING"} for name in ("httpx2", "httpcore2", "apscheduler", "alembic")},
        }
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def set_level(level: str) -> None:
    """Change the minimum level of a running process."""
    logging.getLogger().setLevel(level)


def logger(name: str) -> Any:
    """Return the logger of a module."""
    return structlog.stdlib.get_logger(name)
