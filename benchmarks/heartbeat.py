"""The heartbeat: 10,000 different devices check in over 32 connections, compared with a bare Starlette route.

Both servers run side by side on the same core and are asked in turn (A, B, A, B …), with the very same requests; the
medians are compared. The licenses are the marketplace's, so that the first check-in of each day also pays for the
outbox; the marketplace behind takes 19 s for each call, so that the outbox has work all the time.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import house, processes, seeding
from benchmarks.baseline import READY_PATH
from benchmarks.errors import BenchmarkError
from benchmarks.house import House
from benchmarks.leases import require_good_lease
from benchmarks.load import Load, http_request, send, shuffled
from benchmarks.machine import placement, running_on
from benchmarks.processes import Server
from benchmarks.report import Figure, at_least, at_most
from benchmarks.seeding import Client

NAME = "heartbeat"
PATH = "/v1/heartbeats"
_MARKETPLACE_SECONDS = 19.0


@dataclass(frozen=True)
class Scale:
    """How much is measured. ``passes`` is how often each device checks in within one round."""

    devices: int = 10_000
    rounds: int = 5
    passes: int = 2
    connections: int = 32


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    place = placement()
    home = house.build(folder)
    with running_on(place.generator):
        seeding.add_product(home)
        clients = seeding.add_clients(home, scale.devices, at=seeding.now())
        requests = [request_of(client, number) for number, client in enumerate(clients)]
        with home.slow_marketplace(_MARKETPLACE_SECONDS, place.generator) as market:
            with home.serving(place.server, marketplace=market) as server:
                first = send(server.port, requests, shuffled(scale.devices), connections=scale.connections)
                size = len(first.samples[0].body)
                with bare_route(home, size) as bare:
                    subject, baseline = _in_turn(server.port, bare.port, requests, scale)
                jwks = json.loads(processes.get(server.port, "/.well-known/jwks.json")[1])
    for load in (first, *subject):
        for sample in load.samples:
            require_good_lease(sample.body, jwks, nonce=nonce_of(sample.request))
    _require_written(home, scale, 1 + scale.rounds * scale.passes)
    return figures(first, subject, baseline)


def bare_route(home: House, size: int) -> AbstractContextManager[Server]:
    """Serve the bare route beside the server, on its core."""
    return processes.serving(
        ["-m", "benchmarks.baseline", "--path", PATH, "--size", str(size)],
        cores=placement().server,
        ready_path=READY_PATH,
        log=home.folder / "baseline.log",
    )


def request_of(client: Client, number: int) -> bytes:
    """Return a device's check-in as bytes."""
    body = {
        "nonce": nonce_of(number),
        "device_info": client.device_info,
        "client": {"version": "3.2.1", "name": "CAD-WS"},
    }
    return http_request(
        "POST", PATH, json.dumps(body).encode("ascii"), authorization=f"Bearer {client.license_string}"
    )


def nonce_of(number: int) -> str:
    """Return the nonce of a device's request."""
    return f"nonce-of-device-{number:08d}"


def _in_turn(
    server: int, bare: int, requests: Sequence[bytes], scale: Scale
) -> tuple[list[Load], list[Load]]:
    subject, baseline = [], []
    for turn in range(scale.rounds):
        order = shuffled(scale.devices, scale.passes, seed=turn + 2)
        baseline.append(send(bare, requests, order, connections=scale.connections))
        subject.append(send(server, requests, order, connections=scale.connections))
    return subject, baseline


def _require_written(home: House, scale: Scale, each: int) -> None:
    """Require that every check-in that was answered is in the database, on as many days as the run touched."""
    with closing(sqlite3.connect(f"file:{home.database}?mode=ro", uri=True)) as connection:
        devices, count = connection.execute("SELECT count(DISTINCT device_id), sum(count) FROM check_ins").fetchone()
    if (devices, count) != (scale.devices, scale.devices * each):
        raise BenchmarkError(f"{count} check-ins of {devices} devices are on disk, not {scale.devices * each}.")


def figures(first: Load, subject: Sequence[Load], baseline: Sequence[Load]) -> list[Figure]:
    """Return what the runs showed."""
    rate, bare = median(load.rate for load in subject), median(load.rate for load in baseline)
    p99 = median(load.milliseconds(0.99) for load in subject)
    return [
        Figure(NAME, "share of a bare Starlette route", rate / bare, "×", at_least(0.27)),
        Figure(NAME, "p99", p99, "ms", at_most(25)),
        Figure(NAME, "check-ins", rate, "/s"),
        Figure(NAME, "p50", median(load.milliseconds(0.5) for load in subject), "ms"),
        Figure(NAME, "bare route", bare, "/s"),
        Figure(NAME, "bare route, p99", median(load.milliseconds(0.99) for load in baseline), "ms"),
        Figure(NAME, "first check-ins of the day", first.rate, "/s"),
        Figure(NAME, "first check-ins of the day, p99", first.milliseconds(0.99), "ms"),
        Figure(NAME, "generator's use of its core", max(load.generator_share for load in baseline) * 100, "%"),
    ]
