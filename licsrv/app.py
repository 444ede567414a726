"""Where the parts meet: a runtime is everything one process needs, an application is a runtime that serves."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, cast

import httpx2
from pydantic import AwareDatetime, Field
from sqlmodel import Session
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp

from licsrv import audit, migrations
from licsrv.audit import heads
from licsrv.console.console import Console
from licsrv.console.pages import all_pages
from licsrv.desk import api as admin_api
from licsrv.desk import idempotency
from licsrv.desk.bulk import store as bulk_store
from licsrv.desk.bulk.runner import BulkRunner
from licsrv.desk.desk import Desk, DeskSettings
from licsrv.desk.operations import SECURITY_SCHEMES
from licsrv.desk.tools import SupportTools
from licsrv.errors import KeyringError, StorageError
from licsrv.heartbeats import store as heartbeat_store
from licsrv.heartbeats.routes import HeartbeatEndpoint, HeartbeatSettings
from licsrv.licensing import store as licensing_store
from licsrv.licensing.devices import Terms
from licsrv.licensing.issuing import issuing
from licsrv.licensing.keyring import KeyFolder, Keyring
from licsrv.licensing.policy_defaults import policies_of
from licsrv.licensing.revocation.routes import RevocationRoutes
from licsrv.licensing.routes import LicenseRoutes
from licsrv.marketplace import store as marketplace_store
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
from licsrv.people import store as admin_store
from licsrv.platform import days, descriptors, logs, openapi, scheduler
from licsrv.platform.clock import Clock
from licsrv.platform.config import Settings
from licsrv.platform.db import SLICE, Database, Hook, open_database, reading
from licsrv.platform.documentation import Documentation
from licsrv.platform.fields import Body
from licsrv.platform.health import Finding, HealthRoutes
from licsrv.platform.metrics import Metrics
from licsrv.platform.openapi import Operation
from licsrv.platform.scheduler import Job
from licsrv.platform.web import Gateway, exception_handlers
from licsrv.platform.writability import Writability, free_bytes
from licsrv.platform.writer import Writer
from licsrv.releases import store as release_store
from licsrv.releases.routes import ReleaseRoutes

_log = logs.logger(__name__)
KEPT_DAYS = 400
_UNSIGNED_KEPT = 10_000
_SETTLED_KEPT = timedelta(days=30)
_FIRST_PRUNE = timedelta(minutes=10)
_STOP_SECONDS = 10.0
_HEADS_EVERY, _FIRST_HEAD = timedelta(hours=1), timedelta(minutes=1)
_WEBHOOK_SECONDS = 10.0
_OTHER_CALLS = 16  # first activations and comparisons, next to the outbox
_OLDEST_GOOD = timedelta(hours=6)
_FAILURES_KEPT = timedelta(days=2)
# License 1.0 is signed for ten minutes, five on either side; the rest is for the clocks of replicas, which differ.
_NONCES_KEPT = timedelta(hours=1)
_TEXTS_KEPT = timedelta(days=3)  # the desk looks at today and yesterday
_GRANTS_KEPT = timedelta(days=31)  # the longest provisional lifetime is 30 days


@cache
def package_version() -> str:
    """Return the installed version."""
    try:
        return version("licsrv")
    except PackageNotFoundError:
        return "0"


class KeyringReader:
    """The keyring as it is on disk: read again when the folder changes, so a new key signs without a restart."""

    def __init__(self, folder: KeyFolder) -> None:
        self._folder = folder
        self._stamp: object = folder.stamp()
        self._keyring = folder.read()

    def __call__(self) -> Keyring:
        """Return the keyring as last read."""
        return self._keyring

    def read_again(self) -> None:
        """Let the next :meth:`refresh` read the folder, whether it changed or not."""
        self._stamp = None

    async def refresh(self) -> None:
        """Read the folder again if it changed; a damaged folder leaves the keys as they were, and is logged."""
        stamp = self._folder.stamp()
        if stamp == self._stamp:
            return
        try:
            self._keyring = await asyncio.to_thread(self._folder.read)
        except KeyringError:
            _log.exception("keys cannot be read again; the known ones stay in use")
            return
        self._stamp = stamp
        _log.info("keys read again")


@dataclass
class Runtime:
    """Everything one process needs."""

    settings: Settings
    clock: Clock
    metrics: Metrics
    database: Database
    writer: Writer
    keyring: KeyringReader
    http: httpx2.AsyncClient
    api: GuardedOpenApi
    worker: Worker
    reconciler: Reconciler
    bulk: BulkRunner
    background: list[asyncio.Task[None]] = field(default_factory=list)

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything."""
        for task in self.background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self.reconciler.close()
        await self.bulk.close()
        await self.worker.finish(_STOP_SECONDS)
        await asyncio.to_thread(self.writer.close)
        await self.http.aclose()
        self.database.dispose()


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
    return Terms(settings.issuer, policies_of(settings), release_store.maintenance_limit)


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


def _operations(runtime: Runtime) -> Sequence[Operation]:
    settings, clock, metrics = runtime.settings, runtime.clock, runtime.metrics
    heartbeat = HeartbeatEndpoint(
        runtime.writer,
        keyring=runtime.keyring,
        settings=HeartbeatSettings(settings.issuer, policies_of(settings), settings.marketplace_timezone),
        clock=clock,
        metrics=metrics,
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
        package_version(), _checks(runtime), metrics, before_metrics=partial(_refresh_gauges, runtime)
    )
    operations = [
        *licenses.operations(),
        *revocations.operations(),
        heartbeat.operation(),
        *releases.operations(),
        *callbacks.operations(),
        *health.operations(),
        *admin_api.operations(build_desk(runtime)),
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
    sweeps = scheduler.make(_jobs(runtime))
    sweeps.start()
    runtime.background.append(asyncio.create_task(runtime.worker.run()))
    try:
        yield
    finally:
        sweeps.shutdown(wait=False)
        await runtime.close()


def _jobs(runtime: Runtime) -> tuple[Job, ...]:
    sending = (Job("audit head", _HEADS_EVERY, partial(send_audit_head, runtime), first=_FIRST_HEAD),)
    return (
        *(sending if runtime.settings.audit_heads else ()),
        Job("keys", timedelta(seconds=5), runtime.keyring.refresh),
        Job("gauges", timedelta(seconds=15), partial(_refresh_gauges, runtime)),
        Job("machine", timedelta(seconds=5), partial(_watch_machine, runtime)),
        Job("prune", timedelta(minutes=5), partial(_prune, runtime)),
        Job("prune days", timedelta(days=1), partial(prune_days, runtime), first=_FIRST_PRUNE),
        Job("reconcile", timedelta(seconds=15), runtime.reconciler.tick),
        Job("bulk", timedelta(seconds=2), runtime.bulk.tick),
    )


async def send_audit_head(runtime: Runtime) -> None:
    """Send the end of the audit to its second place; a failure is logged, and the next hour tries again."""
    place = runtime.settings.audit_heads
    mark = await asyncio.to_thread(_audit_mark, runtime)
    if mark is None:
        _log.error("the audit has no head")
        return
    noted = heads.Noted(runtime.clock.now(), mark)
    try:
        if place.startswith("http"):
            (await runtime.http.post(place, json=heads.document(noted), timeout=_WEBHOOK_SECONDS)).raise_for_status()
        else:
            await asyncio.to_thread(heads.write, place, noted)
    except (OSError, httpx2.HTTPError) as error:
        _log.error("the end of the audit could not be sent", error=type(error).__name__)


def _audit_mark(runtime: Runtime) -> audit.Mark | None:
    with reading(runtime.database) as session:
        return audit.mark(session)


async def _refresh_gauges(runtime: Runtime) -> None:
    await _watch_machine(runtime)
    depth = await asyncio.to_thread(_depth, runtime)
    age = (runtime.clock.now() - depth.oldest_at).total_seconds() if depth.oldest_at else 0.0
    runtime.metrics.outbox_waiting.set(depth.waiting)
    runtime.metrics.outbox_parked.set(depth.parked)
    runtime.metrics.outbox_oldest_seconds.set(max(age, 0.0))


async def _watch_machine(runtime: Runtime) -> None:
    """Bring the gauges of the machine up to date; they need no database."""
    free = free_bytes(runtime.database)
    runtime.metrics.free_bytes.set(-1 if free is None else free)
    descriptors.watch(runtime.metrics)


def _depth(runtime: Runtime) -> outbox_store.Depth:
    with reading(runtime.database) as session:
        return outbox_store.depth(session)


async def _prune(runtime: Runtime) -> None:
    """Delete what is old, slice by slice: each is a transaction of its own, between those of callers."""
    now = runtime.clock.now()
    for use_case in (
        partial(
            marketplace_store.prune,
            nonces_before=now - _NONCES_KEPT,
            signed_before=now - timedelta(days=runtime.settings.callback_log_days),
            unsigned_kept=_UNSIGNED_KEPT,
            granted_before=now - _GRANTS_KEPT,
        ),
        partial(outbox_store.prune, before=now - _SETTLED_KEPT),
        partial(licensing_store.prune_refusals, before=_first_day_kept(runtime)),
        partial(licensing_store.prune_texts, before=days.day_of(now - _TEXTS_KEPT, UTC)),
    ):
        while await runtime.writer.run(use_case) >= SLICE:
            pass
    await runtime.writer.run(
        partial(
            admin_store.prune,
            answers_before=now - idempotency.KEPT,
            seen_before=now - runtime.settings.session_idle,
            failed_before=now - _FAILURES_KEPT,
            now=now,
        )
    )


async def prune_days(runtime: Runtime) -> None:
    """Delete old days of devices and licenses, a few at a time along their keys; the looks keep no writer waiting."""
    before = _first_day_kept(runtime)
    for look, forget in (
        (heartbeat_store.devices_with_old_days, heartbeat_store.delete_device_days),
        (heartbeat_store.licenses_with_old_days, heartbeat_store.delete_license_days),
    ):
        after: str | None = ""
        while after is not None:
            found = await asyncio.to_thread(_look, runtime.database, partial(look, after=after, before=before))
            if found.ids:
                await runtime.writer.run(partial(forget, ids=found.ids, before=before))
            after = found.after


def _look(database: Database, look: Callable[[Session], heartbeat_store.OldDays]) -> heartbeat_store.OldDays:
    with reading(database) as session:
        return look(session)


def _first_day_kept(runtime: Runtime) -> date:
    return days.day_of(runtime.clock.now() - timedelta(days=KEPT_DAYS), runtime.settings.marketplace_timezone)


def _key_problem(runtime: Runtime, keyring: Keyring) -> str | None:
    try:
        with reading(runtime.database) as session:
            if not audit.is_head_ours(session):
                return "the database does not fit seal.key: see `licsrv doctor` and `licsrv keys reseal`"
            return issuing.missing_keys(session, keyring, now=runtime.clock.now())
    except StorageError:
        return None  # the check of the database reports that


def _checks(runtime: Runtime) -> dict[str, Any]:
    async def database() -> Finding:
        step = await asyncio.to_thread(migrations.revision, runtime.database)
        if step is None:
            return Finding(False, "cannot be reached")
        return Finding(step == migrations.HEAD, f"schema at step {step}", {"migration": step})

    async def keys() -> Finding:
        keyring = runtime.keyring()
        count = len(keyring.jwks()["keys"])
        problem = await asyncio.to_thread(_key_problem, runtime, keyring)  # devices that can be served are served
        return Finding(count > 0, problem or f"{count} verify", {"count": count})

    async def outbox() -> Finding:
        depth = await asyncio.to_thread(_depth, runtime)
        age = runtime.clock.now() - depth.oldest_at if depth.oldest_at else timedelta()
        values = {"waiting": depth.waiting, "parked": depth.parked, "oldest_seconds": int(age.total_seconds())}
        # A stuck outbox does not make this replica unready: devices are served without it.
        return Finding(True, "moving" if age < _OLDEST_GOOD else "not moving", values)

    writing = Writability(runtime.database, runtime.writer)
    return {"database": database, "writing": writing.check, "keys": keys, "outbox": outbox}
