"""The heartbeat: 10,000 different devices check in over 32 connections, compared with a bare Starlette route.

Both servers run side by side on the same core and are asked in turn (A, B, A, B …) with the very same requests; the
median of the rounds' ratios counts. The licenses are the marketplace's, so that the first check-in of a day also pays
for the outbox. The marketplace takes 19 s for each call, so the outbox waits most of the time; a last round, without
a target, lets it answer in 0.2 s and shows what delivering costs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import installation, processes, seeding
from benchmarks.baseline import READY_PATH
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation, Marketplace
from benchmarks.leases import require_good_lease
from benchmarks.load import Load, http_request, send, shuffled
from benchmarks.machine import placement, running_on
from benchmarks.processes import Server
from benchmarks.report import Figure, at_least, at_most
from benchmarks.seeding import Client

NAME = "heartbeat"
PATH = "/v1/heartbeats"
_SLOW_SECONDS = 19.0
_QUICK_SECONDS = 0.2


@dataclass(frozen=True)
class Scale:
    """How much is measured: in each round every device checks in once, in another order."""

    devices: int = 10_000
    rounds: int = 9
    connections: int = 32


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    place = placement()
    home = installation.build(folder)
    seeding.add_product(home)
    clients = seeding.add_clients(home, scale.devices, at=seeding.now())
    requests = [request_of(client, number) for number, client in enumerate(clients)]
    with (
        running_on(place.generator),
        home.slow_marketplace(_SLOW_SECONDS, place.generator) as market,
        home.serving(place.server, marketplace=market) as server,
    ):
        found = _ask(home, server=server, market=market, requests=requests, scale=scale)
        jwks = json.loads(processes.get(server.port, "/.well-known/jwks.json")[1])
        market.set_pace(0)  # so that the server need not wait for it to stop
    for load in (found.first, *found.subject, *found.delivering):
        for sample in load.samples:
            require_good_lease(sample.body, jwks, nonce=nonce_of(sample.request))
    _require_written(home, scale, found.check_ins)
    return figures(found)


@dataclass(frozen=True)
class Findings:
    """The runs. ``delivering`` are those while the marketplace answered quickly and the outbox delivered."""

    first: Load
    subject: Sequence[Load]
    baseline: Sequence[Load]
    delivering: Sequence[Load]
    resident_mebibytes: float

    @property
    def check_ins(self) -> int:
        """How many check-ins were answered in all."""
        return sum(len(load.latencies) for load in (self.first, *self.subject, *self.delivering))


def _ask(home: Installation, server: Server, market: Marketplace, requests: Sequence[bytes], scale: Scale) -> Findings:
    """Warm up by the first check-ins of the day, ask both servers in turn, then once more with a quick marketplace."""
    first = send(server.port, requests, shuffled(scale.devices), connections=scale.connections)
    size = len(first.samples[0].body)
    subject, baseline = [], []
    with bare_route(home, size) as bare:
        for turn in range(scale.rounds):
            order = shuffled(scale.devices, seed=turn + 2)
            baseline.append(send(bare.port, requests, order, connections=scale.connections))
            subject.append(send(server.port, requests, order, connections=scale.connections))
    market.set_pace(_QUICK_SECONDS)
    delivering = [send(server.port, requests, order, connections=scale.connections)]
    return Findings(
        first=first,
        subject=subject,
        baseline=baseline,
        delivering=delivering,
        resident_mebibytes=server.resident_mebibytes(),
    )


def bare_route(home: Installation, size: int, path: str = PATH) -> AbstractContextManager[Server]:
    """Serve the bare route next to the server, on its core."""
    return processes.serving(
        ["-m", "benchmarks.baseline", "--path", path, "--size", str(size)],
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
    return http_request("POST", PATH, json.dumps(body).encode("ascii"), authorization=f"Bearer {client.license_string}")


def nonce_of(number: int) -> str:
    """Return the nonce of a device's request."""
    return f"nonce-of-device-{number:08d}"


def _require_written(home: Installation, scale: Scale, check_ins: int) -> None:
    """Require that every check-in that was answered is on disk, also when midnight fell into the run."""
    found = home.query("SELECT count(DISTINCT device_id), sum(count) FROM check_ins")
    if found != (scale.devices, check_ins):
        raise BenchmarkError(f"Devices and check-ins on disk are {found}, not {(scale.devices, check_ins)}.")


def figures(found: Findings) -> list[Figure]:
    """Return what the runs showed."""
    rate, bare = (median(load.rate for load in loads) for loads in (found.subject, found.baseline))
    share = median(ours.rate / theirs.rate for ours, theirs in zip(found.subject, found.baseline, strict=True))
    delivering = found.delivering[-1]
    memory = f"resident memory after {found.check_ins:,} check-ins"
    return [
        Figure(NAME, "share of a bare Starlette route", share, unit="×", target=at_least(0.27)),
        Figure(NAME, "p99", _milliseconds(found.subject, 0.99), unit="ms", target=at_most(25)),
        Figure(NAME, memory, found.resident_mebibytes, unit="MiB", target=at_most(200)),
        Figure(NAME, "p50", _milliseconds(found.subject, 0.5), unit="ms"),
        Figure(NAME, "check-ins", rate, unit="/s"),
        Figure(NAME, "bare route", bare, unit="/s"),
        Figure(NAME, "bare route, p99", _milliseconds(found.baseline, 0.99), unit="ms"),
        Figure(NAME, "first check-ins of the day", found.first.rate, unit="/s"),
        Figure(NAME, "first check-ins of the day, p99", found.first.milliseconds(0.99), unit="ms"),
        Figure(NAME, "share while the outbox delivers", delivering.rate / found.baseline[-1].rate, unit="×"),
        Figure(NAME, "p99 while the outbox delivers", delivering.milliseconds(0.99), unit="ms"),
        Figure(
            NAME, "generator's use of its core", max(load.generator_share for load in found.baseline) * 100, unit="%"
        ),
    ]


def _milliseconds(loads: Sequence[Load], share: float) -> float:
    return median(load.milliseconds(share) for load in loads)
