"""Callbacks: renewals of many licenses arrive 32 at once, while the marketplace's open API takes 19 s for each call.

Each renewal asks the outbox to ask the marketplace, so that calls are under way all the time; none of the callbacks
may wait for them. Bodies and signatures are made by the emulator's code, not by the server's own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic, sleep

from benchmarks import installation, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import ACCESS_KEY, Installation, Marketplace
from benchmarks.load import Load, http_request, send
from benchmarks.machine import placement, running_on
from benchmarks.processes import Server
from benchmarks.report import Figure, at_most
from licsrv.emulator.callback_requests import message_for, signed_query, with_query
from licsrv.emulator.settings import EmulatorSettings

NAME = "callback"
PATH = "/marketplace/callback"
_PATIENCE_SECONDS = 20.0
_SIGNED_SECONDS = 55.0  # a signature counts for 60 s


@dataclass(frozen=True)
class Scale:
    """How much is measured: one renewal for each of so many licenses; a warm-up goes before."""

    callbacks: int = 3_000
    warm_up: int = 200
    connections: int = 32
    marketplace_seconds: float = 19.0


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own."""
    place = placement()
    home = installation.build(folder)
    at = seeding.now()
    count = scale.warm_up + scale.callbacks
    seeding.add_product(home)
    seeding.add_licenses(home, 0, count, at=at)
    with (
        running_on(place.generator),
        home.slow_marketplace(scale.marketplace_seconds, place.generator) as market,
        home.serving(place.server, marketplace=market) as server,
    ):
        _renew(server, range(scale.warm_up), scale)
        before = _wait_for_calls(market)
        load = _renew(server, range(scale.warm_up, count), scale)
        after = market.calls_under_way()
        market.set_pace(0)  # so that the server need not wait for it to stop
    if not after:
        raise BenchmarkError("No call to the marketplace was under way: this did not measure what it should.")
    _require_written(home, count)
    return figures(load, before, after)


def request_of(number: int, *, at: datetime) -> bytes:
    """Return a signed renewal of the license of a number, of an order of its own."""
    body = {
        "activity": "refreshLicenseCode",
        "scene": "RENEWAL",
        "orderId": f"CS9{number:014d}",
        "orderLineId": f"CS9{number:014d}-000001",
        "license": seeding.code_of(number),
        "productId": seeding.PRODUCT_ID,
        "expireTime": f"{at + timedelta(days=730):%Y%m%d%H%M%S}",
        "testFlag": "0",
    }
    message = message_for(body, EmulatorSettings())
    return http_request(
        "POST", with_query(PATH, signed_query(message, access_key=ACCESS_KEY, moment=at)), message.content
    )


def _renew(server: Server, numbers: Sequence[int], scale: Scale) -> Load:
    """Send renewals signed just before, and require that each succeeds: HTTP 200 alone says nothing here."""
    requests = [request_of(number, at=seeding.now()) for number in numbers]
    load = send(
        server.port,
        requests,
        range(len(requests)),
        connections=scale.connections,
        samples=len(requests),
        time_limit=_SIGNED_SECONDS,
    )
    answers = [json.loads(sample.body) for sample in load.samples]
    refused = [answer for answer in answers if answer["resultCode"] != "000000"]
    if refused or len(answers) != len(requests):
        raise BenchmarkError(f"{len(refused)} callbacks were refused: {refused[:1]}")
    return load


def _wait_for_calls(market: Marketplace) -> int:
    """Wait until the outbox waits for the marketplace, and return by how many calls."""
    until = monotonic() + _PATIENCE_SECONDS
    while not (found := market.calls_under_way()):
        if monotonic() > until:
            raise BenchmarkError("The outbox does not call the marketplace.")
        sleep(0.01)
    return found


def _require_written(home: Installation, count: int) -> None:
    """Require that every callback is on disk: in the log, as an order, as a new end, and as a question to ask."""
    found = home.query(
        "SELECT (SELECT count(*) FROM callback_log), (SELECT count(*) FROM license_orders), "
        "(SELECT count(*) FROM licenses WHERE expires_at > datetime('now', '+700 days'))"
    )
    if set(found) != {count}:
        raise BenchmarkError(f"Callbacks, orders and new ends on disk are {found}, not {count} each.")


def figures(load: Load, before: int, after: int) -> list[Figure]:
    """Return what the run showed."""
    return [
        Figure(NAME, "p99", load.milliseconds(0.99), unit="ms", target=at_most(100)),
        Figure(NAME, "p50", load.milliseconds(0.5), unit="ms"),
        Figure(NAME, "slowest", load.milliseconds(1), unit="ms"),
        Figure(NAME, "callbacks", load.rate, unit="/s"),
        Figure(NAME, "calls to the marketplace under way", min(before, after)),
    ]
