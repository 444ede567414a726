"""The start: from ``licsrv serve`` to the first 200 of ``/readyz``, on an initialised database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import installation
from benchmarks.machine import placement
from benchmarks.report import Figure, at_most

NAME = "start"


@dataclass(frozen=True)
class Scale:
    """How often it is started."""

    starts: int = 5


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    home = installation.build(folder)
    seconds, memory = [], []
    for _ in range(scale.starts):
        with home.serving(placement().server) as server:
            seconds.append(server.ready_seconds)
            memory.append(server.resident_mebibytes())
    return [
        Figure(NAME, "start to ready", median(seconds), unit="s", target=at_most(2)),
        Figure(NAME, "slowest start to ready", max(seconds), unit="s"),
        Figure(NAME, "resident memory after the start", median(memory), unit="MiB"),
    ]
