"""The morning of a day on which the marketplace cannot be reached: first check-ins arrive at a fixed rate.

Every first check-in leaves a message for the marketplace, and a backlog of hundreds of thousands waits already. Nothing
listens where the marketplace should be, so each try fails at once: the case in which retries could take a whole core.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, sleep

from benchmarks import heartbeat, installation, seeding
from benchmarks.load import Load, send, shuffled
from benchmarks.machine import placement, running_on
from benchmarks.processes import Server
from benchmarks.report import Figure, at_most

NAME = "outage"


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Args:
        waiting: Messages that wait at the start.
        devices: Devices that check in, once each.
        per_second: Check-ins a second.
        idle_seconds: How long retries alone are watched.
    """

    waiting: int = 600_000
    devices: int = 3_000
    per_second: float = 100
    idle_seconds: float = 10


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own; a failed answer makes it invalid."""
    place = placement()
    home = installation.build(folder)
    seeding.add_product(home)
    at = seeding.now()
    clients = seeding.add_clients(home, scale.devices, at=at)
    seeding.add_waiting_messages(home, scale.waiting, at=at)
    requests = [heartbeat.request_of(client, number) for number, client in enumerate(clients)]
    with (
        running_on(place.generator),
        home.serving(place.server, marketplace=installation.unreachable_marketplace()) as server,
    ):
        retries = _share_of_a_core(server, lambda: sleep(scale.idle_seconds))
        loads: list[Load] = []
        surge = _share_of_a_core(
            server,
            lambda: loads.append(
                send(server.port, requests, shuffled(scale.devices), connections=32, per_second=scale.per_second)
            ),
        )
    what = f"{scale.per_second:g} first check-ins a second, {scale.waiting:,} messages waiting"
    return [
        Figure(NAME, f"use of a core, {what}", surge * 100, unit="%", target=at_most(60)),
        Figure(NAME, f"p99, {what}", loads[0].milliseconds(0.99), unit="ms"),
        Figure(NAME, "use of a core by retries alone", retries * 100, unit="%"),
    ]


def _share_of_a_core(server: Server, work: Callable[[], object]) -> float:
    """Return which share of a core the server used while this was done."""
    before, started = server.cpu_seconds(), perf_counter()
    work()
    return (server.cpu_seconds() - before) / (perf_counter() - started)
