"""Which benchmarks there are, and how much each measures in a full and in a quick run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks import activation, bulk, callback, desk, heartbeat, outage, prune, releases, revocations, seats, startup
from benchmarks.report import Figure

Measurement = Callable[[Path], list[Figure]]


@dataclass(frozen=True)
class Benchmark:
    """One benchmark at its two scales; each takes the folder in which it is carried out."""

    about: str
    full: Measurement
    quick: Measurement
    has_database_server: bool = False
    """Whether a server that is no child of this process works for it: its work must not count as other programs'."""


BENCHMARKS: Mapping[str, Benchmark] = {
    heartbeat.NAME: Benchmark(
        "check-ins of many devices, against a bare route",
        partial(heartbeat.measure, scale=heartbeat.Scale()),
        partial(heartbeat.measure, scale=heartbeat.Scale(devices=2_000, rounds=2)),
    ),
    seats.NAME: Benchmark(
        "renewals of many seats, against a bare route and check-ins",
        partial(seats.measure, scale=seats.Scale()),
        partial(seats.measure, scale=seats.Scale(devices=400, rounds=2)),
    ),
    activation.NAME: Benchmark(
        "activations with few licenses in the table, and with many",
        partial(activation.measure, scale=activation.Scale()),
        partial(activation.measure, scale=activation.Scale(few=4_000, many=100_000, rounds=2, activations=500)),
    ),
    callback.NAME: Benchmark(
        "callbacks while the marketplace is slow",
        partial(callback.measure, scale=callback.Scale()),
        partial(callback.measure, scale=callback.Scale(callbacks=600, warm_up=60)),
    ),
    outage.NAME: Benchmark(
        "first check-ins of a day while the marketplace cannot be reached",
        partial(outage.measure, scale=outage.Scale()),
        partial(outage.measure, scale=outage.Scale(waiting=20_000, devices=300, idle_seconds=2)),
    ),
    prune.NAME: Benchmark(
        "old days deleted while others write",
        partial(prune.measure, scale=prune.Scale()),
        partial(prune.measure, scale=prune.Scale(devices=5_000)),
    ),
    desk.NAME: Benchmark(
        "searches and the license page of the support desk, among very many licenses",
        partial(desk.measure, scale=desk.Scale()),
        partial(desk.measure, scale=desk.Scale(licenses=20_000, settled=40_000, rounds=5)),
    ),
    desk.NAME_ON_POSTGRESQL: Benchmark(
        "the same on PostgreSQL",
        partial(desk.measure_on_postgresql, scale=desk.Scale()),
        partial(desk.measure_on_postgresql, scale=desk.Scale(licenses=20_000, settled=40_000, rounds=5)),
        has_database_server=True,
    ),
    bulk.NAME: Benchmark(
        "very many licenses revoked at once, with their audit entries and the revocation list",
        partial(bulk.measure, scale=bulk.Scale()),
        partial(bulk.measure, scale=bulk.Scale(licenses=5_000)),
    ),
    bulk.NAME_ON_POSTGRESQL: Benchmark(
        "the same on PostgreSQL",
        partial(bulk.measure_on_postgresql, scale=bulk.Scale()),
        partial(bulk.measure_on_postgresql, scale=bulk.Scale(licenses=5_000)),
        has_database_server=True,
    ),
    startup.NAME: Benchmark(
        "start to ready",
        partial(startup.measure, scale=startup.Scale()),
        partial(startup.measure, scale=startup.Scale(starts=2)),
    ),
    releases.NAME: Benchmark(
        "version checks with very many published versions",
        partial(releases.measure, scale=releases.Scale()),
        partial(releases.measure, scale=releases.Scale(devices=100, rounds=1, publications=3)),
    ),
    revocations.NAME: Benchmark(
        "a long revocation list: size, signing and checking",
        partial(revocations.measure, scale=revocations.Scale()),
        partial(revocations.measure, scale=revocations.Scale(rounds=2)),
    ),
}
