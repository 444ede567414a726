"""Version checks: devices ask with their license strings for something newer, where a thousand versions are published.

Most of the versions are held back, so that for every answer the server has to look through nearly all of them. The
first answer after a publication is measured apart: for it the server reads and compares every version again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from pathlib import Path
from statistics import median

from benchmarks import installation, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation
from benchmarks.load import Load, http_request, send
from benchmarks.machine import placement
from benchmarks.processes import Server
from benchmarks.report import Figure, at_most
from benchmarks.seeding import PRODUCT_ID, Client
from licsrv import audit
from licsrv.audit import Cause
from licsrv.platform.db import open_database, transaction
from licsrv.releases import changes
from licsrv.releases.changes import ProductRules
from licsrv.releases.publication import Publication

NAME = "releases"
PATH = "/v1/versions/check"
_VENDOR = Cause("benchmark")


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    versions: int = 1_000
    devices: int = 500
    rounds: int = 3
    connections: int = 4
    publications: int = 10


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    home = installation.build(folder)
    at = seeding.now()
    seeding.add_product(home)
    clients = seeding.add_clients(home, scale.devices, at=at)
    offered = max(scale.versions // 20, 1)
    _publish(home, range(1, offered + 1), percent=100)
    _publish(home, range(offered + 1, scale.versions + 1), percent=0)
    with home.serving(placement().server) as server:
        loads = [_ask(server, clients, scale, expected=f"1.{offered}") for _ in range(scale.rounds + 1)]
        first = _first_answers(home, server, clients[0], scale=scale)
    return figures(loads[1:], first, scale)


def _publish(home: Installation, numbers: Sequence[int], *, percent: int) -> None:
    """Publish versions with these numbers, in the past, so that every license's maintenance covers them."""
    database = open_database(f"sqlite:///{home.database}")
    now = seeding.now()
    try:
        with transaction(database, (audit.seal,)) as session:
            changes.set_rules(session, PRODUCT_ID, ProductRules(maintenance_months=12), cause=_VENDOR, now=now)
            for number in numbers:
                changes.publish(session, _publication(number, percent), cause=_VENDOR, now=now - timedelta(hours=1))
    finally:
        database.dispose()


def _publication(number: int, percent: int) -> Publication:
    return Publication(
        PRODUCT_ID, f"1.{number}", channel="stable", platform="windows-x86_64",
        url=f"https://downloads.example.com/cad-1.{number}.exe", size=400_000_000, sha256=f"{number:064x}",
        minimum_version="1.0", rollout_percent=percent,
        notes_zh="修复若干问题。" * 40, notes_en="Mends a number of things. " * 40,
    )  # fmt: skip


def request_of(client: Client) -> bytes:
    """Return the request of a device that runs the oldest version."""
    body = {"product": PRODUCT_ID, "version": "0.9", "channel": "stable", "platform": "windows-x86_64"}
    bearer = f"Bearer {client.license_string}"
    return http_request("POST", PATH, json.dumps(body).encode("ascii"), authorization=bearer)


def _ask(server: Server, clients: Sequence[Client], scale: Scale, *, expected: str) -> Load:
    """Let every device ask once, and check some of the answers."""
    requests = [request_of(client) for client in clients]
    load = send(server.port, requests, range(len(requests)), connections=scale.connections)
    _require_offered(load, expected)
    return load


def _first_answers(home: Installation, server: Server, client: Client, scale: Scale) -> Sequence[Load]:
    """Publish a version and ask, again and again."""
    loads = []
    for number in islice(range(scale.versions + 1, 10 * scale.versions), scale.publications):
        _publish(home, [number], percent=100)
        load = send(server.port, [request_of(client)], [0], connections=1)
        _require_offered(load, f"1.{number}")
        loads.append(load)
    return loads


def _require_offered(load: Load, expected: str) -> None:
    """Require that the answers looked at offer this version, signed."""
    for sample in load.samples:
        answer = json.loads(sample.body)
        if (answer["version"], answer["forced"]) != (expected, True) or not answer["manifest"]:
            raise BenchmarkError(f"Another version than {expected} is offered: {answer}")


def figures(loads: Sequence[Load], first: Sequence[Load], scale: Scale) -> list[Figure]:
    """Return what the runs showed."""
    title = f"of {scale.versions:,} versions"
    after = [load.milliseconds(0.5) for load in first]
    return [
        Figure(
            NAME,
            f"answer {title}, p99",
            median(load.milliseconds(0.99) for load in loads),
            unit="ms",
            target=at_most(20),
        ),
        Figure(NAME, f"answer {title}, median", median(load.milliseconds(0.5) for load in loads), unit="ms"),
        Figure(NAME, "checks", median(load.rate for load in loads), unit="/s"),
        Figure(NAME, "first answer after a publication", median(after), unit="ms"),
        Figure(NAME, "generator's use of a core", max(load.generator_share for load in loads) * 100, unit="%"),
    ]
