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


class Others:
    """How much of the machine other programs use at the same time: such figures are worth less."""

    def __init__(self) -> None:
        self._busy = self._seconds = 0.0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Watch them during the block, whose children must have ended with it."""
        started, busy = perf_counter(), _busy_seconds() - _own_seconds()
        yield
        self._busy += _busy_seconds() - _own_seconds() - busy
        self._seconds += perf_counter() - started

    def share(self) -> float:
        """Return the share of all cores that others used while they were watched."""
        if not self._seconds:
            return 0.0
        # The kernel counts in ticks, so over a few milliseconds more can seem to have been used than there was.
        return min(max(self._busy, 0.0) / (self._seconds * len(_CORES_AT_START)), 1.0)


def _busy_seconds() -> float:
    """Return the seconds that all cores have worked, interrupts and time taken by the hypervisor included."""
    user, nice, system, _idle, _waiting, interrupts, soft, stolen = (
        int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split()[1:9]
    )
    return (user + nice + system + interrupts + soft + stolen) / os.sysconf("SC_CLK_TCK")


def _own_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


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
