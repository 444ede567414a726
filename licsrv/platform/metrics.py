"""What is counted, in Prometheus' words. No label holds a code, a device or a person: labels are few and fixed."""

from __future__ import annotations

from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from licsrv.platform.storage_errors import Failure

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The counters of one process; each runtime has its own registry, so tests do not meet each other."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        counter, gauge = partial(Counter, registry=self.registry), partial(Gauge, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)
        self.requests = counter("licsrv_requests", "Requests answered", ["route", "method", "status"])
        self.request_seconds = histogram("licsrv_request_seconds", "Time to answer", ["route"], buckets=_SECONDS)
        self.refusals = counter("licsrv_refusals", "Refusals by code", ["code"])
        self.callbacks = counter("licsrv_callbacks", "Marketplace callbacks answered", ["activity", "result_code"])
        self.licenses_issued = counter("licsrv_licenses_issued", "Licenses handed out")
        self.provisional_denied = counter(
            "licsrv_provisional_denied", "Provisional licenses denied, by the budget used up", ["budget"]
        )
        self.leases = counter("licsrv_leases", "Leases granted, by status", ["status"])
        self.device_forks = counter(
            "licsrv_device_forks", "Check-ins that did not go on from the last lease: late, returned, proven", ["event"]
        )
        self.heartbeat_batch = histogram(
            "licsrv_heartbeat_batch", "Check-ins that shared a commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
        )
        self.seat_batch = histogram(
            "licsrv_seat_batch", "Renewals of seats that shared a commit", buckets=(1, 2, 4, 8, 16, 32, 64, 128)
        )
        self.seats_live = gauge("licsrv_seats_live", "Seats of floating licenses in use")
        self.seats_borrowed = gauge("licsrv_seats_borrowed", "Seats that are borrowed")
        self.deliveries = counter("licsrv_deliveries", "Outbox deliveries by outcome", ["kind", "outcome"])
        self.outbox_waiting = gauge("licsrv_outbox_waiting", "Outbox rows not settled")
        self.outbox_parked = gauge("licsrv_outbox_parked", "Outbox rows refused for good")
        self.outbox_oldest_seconds = gauge("licsrv_outbox_oldest_seconds", "Age of the oldest row not settled")
        self.marketplace_paused = gauge("licsrv_marketplace_paused", "1 while calls to the marketplace are paused")
        self.clock_difference_seconds = gauge(
            "licsrv_clock_difference_seconds", "Marketplace's Date header less our clock"
        )
        self.failed_commits = counter("licsrv_failed_commits", "Transactions that the database refused", ["reason"])
        for failure in Failure:
            self.failed_commits.labels(failure)  # present from the start, so that an alert can see the first one
        self.free_bytes = gauge("licsrv_free_bytes", "Free space next to the SQLite database; -1 elsewhere")
        self.open_descriptors = gauge("licsrv_open_descriptors", "File descriptors in use, connections included")
        self.descriptor_limit = gauge("licsrv_descriptor_limit", "File descriptors that the process may use")
        self._leases: dict[str, Counter] = {}
        self._children: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def count_request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count an answered request; ``route`` and ``method`` must come from a short list."""
        key = (route, method, status)
        if (found := self._children.get(key)) is None:  # looking labels up costs more than counting
            found = (self.requests.labels(route, method, str(status)), self.request_seconds.labels(route))
            self._children[key] = found
        counter, histogram = found
        counter.inc()
        histogram.observe(seconds)

    def count_lease(self, status: str) -> None:
        """Count a lease granted; ``status`` is one of the contract's five words."""
        if (found := self._leases.get(status)) is None:
            found = self._leases[status] = self.leases.labels(status)
        found.inc()

    def text(self) -> bytes:
        """Return everything in the Prometheus text format."""
        return generate_latest(self.registry)
