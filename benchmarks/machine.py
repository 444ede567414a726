"""The machine: which cores there are, who runs where, and the few words by which a result describes it."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

_CORES_AT_START = tuple(sorted(os.sched_getaffinity(0)))


@dataclass(frozen=True)
class Placement:
    """Who runs on which cores: one core serves, another makes the load."""

    server: Sequence[int]
    generator: Sequence[int]
    all: Sequence[int]

    @property
    def is_shared(self) -> bool:
        """Whether there is one core only, which server and generator share: rates are lower then."""
        return len(self.all) == 1


def placement() -> Placement:
    """Return who runs where on this machine."""
    cores = _CORES_AT_START
    return Placement(server=cores[:1], generator=cores[1:2] or cores[:1], all=cores)


@contextmanager
def running_on(cores: Sequence[int]) -> Iterator[None]:
    """Run this process, and the children that it starts here, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def describe(folder: Path) -> dict[str, str]:
    """Describe the machine by what decides the figures, and by nothing that names it."""
    return {
        "cores": str(len(_CORES_AT_START)),
        "CPU": _cpu_model(),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "write and sync of 4 KiB": f"{_sync_milliseconds(folder):.2f} ms",
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()


def _sync_milliseconds(folder: Path) -> float:
    """Measure what a commit waits for at least: on a folder in memory it is next to nothing."""
    path = folder / "sync-probe"
    seconds = []
    with path.open("wb", buffering=0) as file:
        for _ in range(50):
            started = perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            seconds.append(perf_counter() - started)
    path.unlink()
    return median(seconds) * 1000
