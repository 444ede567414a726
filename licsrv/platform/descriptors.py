"""File descriptors: each connection takes one, and without one left no caller is accepted, and none is refused."""

from __future__ import annotations

import resource
from errno import EMFILE
from pathlib import Path

from licsrv.platform import logs
from licsrv.platform.metrics import Metrics

_LITTLE_LEFT = 0.85
_log = logs.logger(__name__)
_OPEN = Path("/proc/self/fd")


def raise_limit() -> int:
    """Raise the soft limit to the hard one, which needs no right; return it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard and hard != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return limit()


def limit() -> int:
    """Return how many descriptors this process may use."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def in_use() -> int:
    """Return how many descriptors are open; the limit where none is left to look with."""
    try:
        return sum(1 for _ in _OPEN.iterdir())
    except OSError as error:
        return limit() if error.errno == EMFILE else 0


def watch(metrics: Metrics) -> None:
    """Bring the gauges up to date, and log a warning when few descriptors are left."""
    used, most = in_use(), limit()
    metrics.open_descriptors.set(used)
    metrics.descriptor_limit.set(most)
    if used >= most * _LITTLE_LEFT:
        _log.warning("file descriptors run out: new connections will wait", used=used, limit=most)
