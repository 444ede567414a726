"""Where the parts meet: a runtime is everything one process needs, an application is a runtime that serves."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import httpx2
from pydantic import AwareDatetime, Field
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp

from licsrv import audit, upkeep
from licsrv.console.console import Console
from licsrv.console.pages import all_pages
from licsrv.desk import api as desk_api
from licsrv.desk.bulk import store as bulk_store
from licsrv.desk.bulk.runner import BulkRunner
from licsrv.desk.desk import Desk, DeskSettings
from licsrv.desk.operations import SECURITY_SCHEMES
from licsrv.desk.tools import SupportTools
from licsrv.heartbeats import store as heartbeat_store
from licsrv.heartbeats.routes import HeartbeatEndpoint, HeartbeatSettings
from licsrv.licensing.devices import Terms
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.policy_defaults import policies_of
from licsrv.licensing.revocation.routes import RevocationRoutes
from licsrv.licensing.routes import LicenseRoutes
from licsrv.marketplace.callbacks.routes import PATH as CALLBACK_PATH
from licsrv.marketplace.callbacks.routes import CallbackRoutes
from licsrv.marketplace.deliveries import Deliveries
from licsrv.marketplace.licenses.applications import Issuer
from licsrv.marketplace.licenses.introduction import IntroductionSettings, MarketplaceAuthority
from licsrv.marketplace.open_api.aksk import KeyPair
from licsrv.marketplace.open_api.client import OpenApi
from licsrv.marketplace.open_api.guarded import GuardedOpenApi
from licsrv.marketplace.provisional import Budgets
from licsrv.marketplace.reconciliation.runner import Reconciler, ReconciliationSettings
from licsrv.outbox import store as outbox_store
from licsrv.outbox.worker import Worker
from licsrv.platform import openapi, scheduler
from licsrv.platform.clock import Clock
from licsrv.platform.config import Settings
from licsrv.platform.db import Database, Hook, open_database
from licsrv.platform.documentation import Documentation
from licsrv.platform.fields import Body
from licsrv.platform.health import HealthRoutes
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import Operation
from licsrv.platform.web import Gateway, exception_handlers
from licsrv.platform.writer import Writer
from licsrv.releases import store as release_store
from licsrv.releases.routes import ReleaseRoutes
from licsrv.runtime import KeyringReader, Runtime
from licsrv.seats.routes import SeatRoutes, SeatSettings

_OTHER_CALLS = 16  # first activations and comparisons, next to the outbox


@cache
def package_version() -> str:
    """Return the installed version."""
    try:
        return version("licsrv")
    except PackageNotFoundError:
        return "0"


def transaction_hooks(worker: Worker) -> Sequence[Hook]:
    """Return what happens in every transaction right before its commit."""
    return (audit.seal, lambda session: outbox_store.wake_after_commit(session, worker.wake))


def build_runtime(
    settings: Settings, *, clock: Clock | None = None, transport: httpx2.AsyncBaseTransport | None = None
) -> Runtime:
    """Put a process together; the database must be at the newest step and the keys must be there.

    Args:
        clock: Another clock, for tests.
        transport: Another way to the marketplace, for tests: an emulator in the same process.

    Raises:
        KeyringError: The keys cannot be read.
        StorageError: The database address cannot be used.
    """
    clock = clock or Clock()
    metrics = Metrics()
    database = open_database(settings.database_url)
    passphrase = settings.keys_passphrase.get_secret_value() if settings.keys_passphrase else None
    keyring = KeyringReader(KeyFolder(settings.keys_dir, passphrase=passphrase))
    database.seal_with(lambda: keyring().seals)
    writer = Writer(database, metrics=metrics)
    limits = httpx2.Limits(max_connections=settings.outbox_concurrency + _OTHER_CALLS)
    http = httpx2.AsyncClient(transport=transport, trust_env=True, limits=limits)
    api = GuardedOpenApi(
        _open_api(settings, http, clock),
        writer,
        access_key=settings.marketplace_ak,
        clock=clock,
        metrics=metrics,
        most_calls=settings.outbox_concurrency,
    )
    worker = _worker(
        settings, writer, api, issuer=Issuer(license_terms(settings), keyring), clock=clock, metrics=metrics
    )
    writer.add_hooks(transaction_hooks(worker))
    reconciler = _reconciler(settings, api, database, writer=writer, clock=clock)
    bulk = BulkRunner(database, writer, clock=clock, owner=secrets.token_hex(8))
    return Runtime(
        settings,
        clock,
        metrics,
        database=database,
        writer=writer,
        keyring=keyring,
        http=http,
        api=api,
        worker=worker,
        reconciler=reconciler,
        bulk=bulk,
    )


def _open_api(settings: Settings, http: httpx2.AsyncClient, clock: Clock) -> OpenApi:
    secret = settings.marketplace_sk.get_secret_value()
    pair = KeyPair(settings.marketplace_ak, secret) if settings.marketplace_ak else None
    return OpenApi(http, base_urls=settings.marketplace_urls, key_pair=pair, clock=clock.now)


def license_terms(settings: Settings) -> Terms:
    """Return the terms under which an installation issues licenses."""
    return Terms(
        settings.issuer,
        policies_of(settings),
        release_store.maintenance_limit,
        last_contacts=heartbeat_store.last_moments,
    )


def _worker(
    settings: Settings, writer: Writer, api: GuardedOpenApi, issuer: Issuer, clock: Clock, metrics: Metrics
) -> Worker:
    limit = timedelta(seconds=settings.marketplace_timeout_seconds)
    deliveries = Deliveries(api.in_background(), clock, limit, alive_unfreezes=settings.alive_unfreezes, issuer=issuer)
    return Worker(
        writer,
        deliveries.deliverers() if settings.marketplace_ak else (),  # without a key pair every message waits
        on_parked=deliveries.note_parked,
        clock=clock,
        metrics=metrics,
        owner=secrets.token_hex(8),
        lease=limit * 4 + timedelta(seconds=10),
        concurrency=settings.outbox_concurrency,
        max_attempts=settings.outbox_max_attempts,
    )


def _reconciler(
    settings: Settings, api: GuardedOpenApi, database: Database, writer: Writer, clock: Clock
) -> Reconciler:
    return Reconciler(
        api,
        database,
        writer,
        settings=ReconciliationSettings(
            timedelta(seconds=settings.marketplace_timeout_seconds),
            settings.reconcile_per_second,
            settings.reconcile_at,
            timezone=settings.marketplace_timezone,
            alive_unfreezes=settings.alive_unfreezes,
        ),
        clock=clock,
        owner=secrets.token_hex(8),
    )


def create_app(runtime: Runtime) -> ASGIApp:
    """Return the application of a runtime; its lifespan starts and ends the work in the background."""
    operations = [*_operations(runtime)]
    hot = {
        (operation.method, operation.path): cast(ASGIApp, operation.handler)
        for operation in operations
        if operation.raw
    }
    documentation = Documentation(
        operations, title="licsrv", version=package_version(), security_schemes=SECURITY_SCHEMES
    )
    app = Starlette(
        routes=[
            *openapi.routes([*operations, *documentation.operations()]),
            *openapi.routes([replace(one, path=one.path + "/") for one in operations if one.path == CALLBACK_PATH]),
            *Console(operations, all_pages(), day_zone=runtime.settings.day_zone).routes(),
        ],
        exception_handlers=exception_handlers(runtime.metrics),
        lifespan=partial(_lifespan, runtime),
    )
    # A redirect would send a signature to whatever host the caller's Host header names.
    app.router.redirect_slashes = False
    return Gateway(app, metrics=runtime.metrics, hot=hot, addresses=runtime.settings.log_addresses)


def _heartbeat(runtime: Runtime) -> HeartbeatEndpoint:
    settings = runtime.settings
    return HeartbeatEndpoint(
        runtime.writer,
        keyring=runtime.keyring,
        settings=HeartbeatSettings(
            settings.issuer,
            policies_of(settings),
            settings.marketplace_timezone,
            keeps_networks=settings.log_addresses != "none",
        ),
        clock=runtime.clock,
        metrics=runtime.metrics,
    )


def _operations(runtime: Runtime) -> Sequence[Operation]:
    settings, clock, metrics = runtime.settings, runtime.clock, runtime.metrics
    seats = SeatRoutes(
        runtime.writer,
        runtime.keyring,
        SeatSettings(settings.issuer, policies_of(settings)),
        clock=clock,
        metrics=metrics,
        replica=runtime.replica,
    )
    licenses = LicenseRoutes(
        runtime.writer,
        _authority(runtime),
        runtime.keyring,
        terms=license_terms(settings),
        clock=clock,
        metrics=metrics,
    )
    callbacks = CallbackRoutes(
        runtime.writer,
        settings.callback_access_keys,
        settings.callback_timezone,
        issuer=Issuer(license_terms(settings), runtime.keyring),
        clock=clock,
        metrics=metrics,
    )
    revocations = RevocationRoutes(runtime.database, runtime.keyring, settings.issuer, clock=clock)
    releases = ReleaseRoutes(runtime.database, runtime.keyring, settings.issuer, clock=clock)
    health = HealthRoutes(
        package_version(), upkeep.checks(runtime), metrics, before_metrics=partial(upkeep.refresh_gauges, runtime)
    )
    operations = [
        *licenses.operations(),
        *revocations.operations(),
        _heartbeat(runtime).operation(),
        *seats.operations(),
        *releases.operations(),
        *callbacks.operations(),
        *health.operations(),
        *desk_api.operations(build_desk(runtime)),
    ]
    if settings.allow_test_clock:
        operations.append(_test_clock(clock))
    return operations


def build_desk(runtime: Runtime) -> Desk:
    """Return the support desk of a process."""
    settings = runtime.settings
    return Desk(
        runtime.database,
        runtime.writer,
        keyring=runtime.keyring,
        settings=DeskSettings(
            settings.session_idle,
            settings.session_span,
            settings.admin_calls_per_minute,
            totp_required=settings.totp_required,
            issuer=settings.issuer,
            public_url=settings.public_url,
            step_up=settings.step_up,
            bulk_approval_above=settings.bulk_approval_above,
            day_zone=settings.marketplace_timezone,
            approver_wait=settings.approver_wait,
        ),
        clock=runtime.clock,
        support=_support_tools(runtime),
    )


def _support_tools(runtime: Runtime) -> SupportTools:
    tools = SupportTools(
        runtime.keyring,
        license_terms(runtime.settings),
        alive_unfreezes=runtime.settings.alive_unfreezes,
        started_in_bulk=bulk_store.started_alone,
    )
    if not runtime.api.is_configured:
        return tools
    return replace(
        tools,
        compare=runtime.reconciler.compare,
        key_pair=runtime.api.key_pair,
        clock_difference=lambda: runtime.api.last_clock_difference,
    )


def _authority(runtime: Runtime) -> MarketplaceAuthority:
    settings = runtime.settings
    return MarketplaceAuthority(
        runtime.api,
        runtime.database,
        runtime.writer,
        settings=IntroductionSettings(
            timedelta(seconds=settings.activation_timeout_seconds),
            settings.provisional_span,
            settings.unknown_codes_per_minute,
            budgets=Budgets(
                settings.provisional_per_address, settings.provisional_per_network, settings.provisional_in_all
            ),
        ),
        address_key=lambda: runtime.keyring().device_key,
        clock=runtime.clock,
        metrics=runtime.metrics,
    )


class TestClockRequest(Body):
    """Where the clock shall go on from."""

    now: AwareDatetime = Field(ge=datetime(2000, 1, 1, tzinfo=UTC), lt=datetime(9000, 1, 1, tzinfo=UTC))


class TestClockAnswer(Body):
    """The time by the test clock."""

    now: datetime


def _test_clock(clock: Clock) -> Operation:
    async def move(_: Request, body: TestClockRequest) -> TestClockAnswer:
        clock.move_to(body.now)
        return TestClockAnswer(now=clock.now())

    return Operation(
        "POST", "/v1/test/clock", "Move the clock (tests only)", tag="operations", handler=move,
        body=TestClockRequest, result=TestClockAnswer,
    )  # fmt: skip


@asynccontextmanager
async def _lifespan(runtime: Runtime, _: Any) -> AsyncIterator[None]:
    sweeps = scheduler.make(upkeep.jobs(runtime))
    sweeps.start()
    runtime.background.append(asyncio.create_task(runtime.worker.run()))
    try:
        yield
    finally:
        sweeps.shutdown(wait=False)
        await runtime.close()
