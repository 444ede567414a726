"""Seats: 10,000 programs renew their seats over 32 connections, compared with a bare route and with check-ins.

Renewals and check-ins of the same devices go to the same server, and the bare route serves next to it on the same
core; all are asked in turn, and the median of the rounds' ratios counts. Seats are those of teams: so many of them
belong to one license. A renewal is committed and its seat signed before the answer.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks import heartbeat, installation, processes, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation
from benchmarks.leases import require_good_seat
from benchmarks.load import Load, http_request, send, shuffled
from benchmarks.machine import placement, running_on
from benchmarks.processes import Server
from benchmarks.report import Figure, at_least, at_most
from benchmarks.seeding import SeatHolder

NAME = "seats"
PATH = "/v1/seats/renew"


@dataclass(frozen=True)
class Scale:
    """How much is measured: in each round every seat is renewed once, in another order."""

    devices: int = 2_000
    seats_each: int = 5
    rounds: int = 9
    connections: int = 32

    @property
    def seats(self) -> int:
        """How many seats there are."""
        return self.devices * self.seats_each


@dataclass(frozen=True)
class Findings:
    """The runs."""

    renewals: Sequence[Load]
    check_ins: Sequence[Load]
    baseline: Sequence[Load]


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    place = placement()
    home = installation.build(folder)
    seeding.add_product(home, {"places.floating": True, "places.limit": scale.seats_each})
    at = seeding.now()
    holders = seeding.add_seats(home, seeding.add_clients(home, scale.devices, at=at), scale.seats_each, at=at)
    requests = [request_of(holder, number) for number, holder in enumerate(holders)]
    check_ins = [heartbeat.request_of(holder.client, number) for number, holder in enumerate(holders)]
    with running_on(place.generator), home.serving(place.server) as server:
        found = _ask(home, server, requests, check_ins=check_ins, scale=scale)
        jwks = json.loads(processes.get(server.port, "/.well-known/jwks.json")[1])
    for load in found.renewals:
        for sample in load.samples:
            require_good_seat(sample.body, jwks, nonce=heartbeat.nonce_of(sample.request))
    _require_held(home, scale)
    return figures(found)


def _ask(
    home: Installation, server: Server, requests: Sequence[bytes], *, check_ins: Sequence[bytes], scale: Scale
) -> Findings:
    """Warm up by a first renewal and check-in of each, then ask for both and for the bare route in turn."""
    first = send(server.port, requests, shuffled(scale.seats), connections=scale.connections)
    send(server.port, check_ins, shuffled(scale.seats), connections=scale.connections)
    size = len(first.samples[0].body)
    renewals, beats, baseline = [], [], []
    with heartbeat.bare_route(home, size, path=PATH) as bare:
        for turn in range(scale.rounds):
            order = shuffled(scale.seats, seed=turn + 2)
            baseline.append(send(bare.port, requests, order, connections=scale.connections))
            beats.append(send(server.port, check_ins, order, connections=scale.connections))
            renewals.append(send(server.port, requests, order, connections=scale.connections))
    return Findings(renewals, beats, baseline)


def request_of(holder: SeatHolder, number: int) -> bytes:
    """Return a program's renewal as bytes."""
    body = {
        "seat_id": holder.seat_id,
        "session": holder.session,
        "nonce": heartbeat.nonce_of(number),
        "device_info": holder.client.device_info,
    }
    text = json.dumps(body).encode("ascii")
    return http_request("POST", PATH, text, authorization=f"Bearer {holder.client.license_string}")


def _require_held(home: Installation, scale: Scale) -> None:
    found = home.query("SELECT count(*), count(DISTINCT holder) FROM seats WHERE ended_at IS NULL")
    if found != (scale.seats, scale.seats):
        raise BenchmarkError(f"Seats on disk are {found}, not {scale.seats}.")


def figures(found: Findings) -> list[Figure]:
    """Return what the runs showed."""
    share, of_check_ins = (
        median(ours.rate / theirs.rate for ours, theirs in zip(found.renewals, others, strict=True))
        for others in (found.baseline, found.check_ins)
    )
    return [
        Figure(NAME, "share of a bare Starlette route", share, unit="×", target=at_least(0.27)),
        Figure(NAME, "share of the check-in's rate", of_check_ins, unit="×", target=at_least(1.0)),
        Figure(NAME, "p99", _milliseconds(found.renewals, 0.99), unit="ms", target=at_most(25)),
        Figure(NAME, "p50", _milliseconds(found.renewals, 0.5), unit="ms"),
        Figure(NAME, "renewals", median(load.rate for load in found.renewals), unit="/s"),
        Figure(NAME, "check-ins", median(load.rate for load in found.check_ins), unit="/s"),
        Figure(NAME, "bare route", median(load.rate for load in found.baseline), unit="/s"),
    ]


def _milliseconds(loads: Sequence[Load], share: float) -> float:
    return median(load.milliseconds(share) for load in loads)
