"""Activation: new devices ask for the license string of codes that the server knows, 32 at once.

Measured in turn with few licenses in the table and with a million: the time to activate must not grow with them.
The server may use every core; so does the generator, as there is none left for it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import installation, processes, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation
from benchmarks.leases import require_good_string
from benchmarks.load import Load, http_request, send, shuffled
from benchmarks.machine import placement
from benchmarks.report import Figure, at_least, at_most

NAME = "activation"
PATH = "/v1/licenses/string"


@dataclass(frozen=True)
class Scale:
    """How much is measured. A warm-up of one round goes before the rounds that count."""

    few: int = 10_000
    many: int = 1_000_000
    rounds: int = 5
    activations: int = 1_000
    connections: int = 32


@dataclass(frozen=True)
class _Subject:
    """One of the two servers, with the codes of its table in the order in which they are activated."""

    home: Installation
    port: int
    numbers: Sequence[int]

    def activate(self, turn: int, scale: Scale) -> Load:
        """Activate the codes of one round, and look at what some devices got."""
        numbers = self.numbers[turn * scale.activations : (turn + 1) * scale.activations]
        requests = [request_of(number) for number in numbers]
        load = send(self.port, requests, range(len(requests)), connections=scale.connections)
        jwks = json.loads(processes.get(self.port, "/.well-known/jwks.json")[1])
        for sample in load.samples:
            require_good_string(sample.body, jwks, code=seeding.code_of(numbers[sample.request]))
        return load


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    folder.mkdir(parents=True)
    few, many = (_home(folder / str(count), count) for count in (scale.few, scale.many))
    rounds = scale.rounds + 1
    with ExitStack() as stack:
        subjects = [
            _Subject(home, stack.enter_context(home.serving(placement().all)).port, shuffled(count))
            for home, count in ((few, scale.few), (many, scale.many))
        ]
        loads = [[subject.activate(turn, scale) for subject in subjects] for turn in range(rounds)]
    for home in (few, many):
        _require_written(home, rounds * scale.activations)
    return figures([pair[0] for pair in loads[1:]], [pair[1] for pair in loads[1:]], scale)


def request_of(number: int) -> bytes:
    """Return the request of a new device for the code of a number."""
    body = {
        "code": seeding.code_of(number),
        "device_info": seeding.device_info_of(number),
        "nonce": f"nonce-{number:012d}",
        "client": {"version": "3.2.1", "name": "CAD-WS"},
    }
    return http_request("POST", PATH, json.dumps(body).encode("ascii"))


def _home(folder: Path, count: int) -> Installation:
    home = installation.build(folder)
    seeding.add_product(home)
    seeding.add_licenses(home, 0, count, at=seeding.now())
    return home


def _require_written(home: Installation, activations: int) -> None:
    """Require that every activation that was answered is on disk, with its place and its audit entry."""
    found = home.query(
        "SELECT (SELECT count(*) FROM devices), (SELECT sum(places_taken) FROM licenses), "
        "(SELECT count(*) FROM issued_licenses), (SELECT count(*) FROM audit_entries WHERE action = 'DEVICE_ACTIVATED')"
    )
    if set(found) != {activations}:
        raise BenchmarkError(f"Devices, places, strings and audit entries on disk are {found}, not {activations} each.")


def figures(few: Sequence[Load], many: Sequence[Load], scale: Scale) -> list[Figure]:
    """Return what the runs showed."""
    rate, rate_many = median(load.rate for load in few), median(load.rate for load in many)
    slower = median(one.rate / other.rate for one, other in zip(few, many, strict=True))
    title = f"with {scale.many:,} licenses"
    return [
        Figure(NAME, "activations", rate, unit="/s", target=at_least(500)),
        Figure(NAME, "p99", median(load.milliseconds(0.99) for load in few), unit="ms", target=at_most(150)),
        Figure(NAME, f"activations {title}", rate_many, unit="/s", target=at_least(500)),
        Figure(NAME, f"p99 {title}", median(load.milliseconds(0.99) for load in many), unit="ms", target=at_most(150)),
        Figure(NAME, f"slower {title}", slower, unit="×", target=at_most(1.25)),
        Figure(NAME, "generator's use of a core", max(load.generator_share for load in few) * 100, unit="%"),
    ]
