"""What a process does at intervals (pruning, gauges, keys, the end of the audit), and whether it is ready to serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, timedelta
from functools import partial
from typing import Any

import httpx2
from sqlmodel import Session

from licsrv import audit, migrations
from licsrv.audit import heads
from licsrv.desk import idempotency
from licsrv.desk.bulk import store as bulk_store
from licsrv.errors import StorageError
from licsrv.heartbeats import store as heartbeat_store
from licsrv.licensing import moving, releasing, surplus
from licsrv.licensing import store as licensing_store
from licsrv.licensing.issuing import issuing
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.policies import Policies
from licsrv.licensing.policy_defaults import policies_of
from licsrv.licensing.releasing import Limits
from licsrv.marketplace import store as marketplace_store
from licsrv.outbox import store as outbox_store
from licsrv.people import store as people_store
from licsrv.platform import days, descriptors, logs
from licsrv.platform.db import SLICE, Database, reading
from licsrv.platform.health import Finding
from licsrv.platform.scheduler import Job
from licsrv.platform.writability import Writability, free_bytes
from licsrv.runtime import Runtime
from licsrv.seats import presence
from licsrv.seats import store as seat_store

_log = logs.logger(__name__)
KEPT_DAYS = 400
_UNSIGNED_KEPT = 10_000
_SETTLED_KEPT = timedelta(days=30)
_FIRST_PRUNE = timedelta(minutes=10)
_HEADS_EVERY, _FIRST_HEAD = timedelta(hours=1), timedelta(minutes=1)
_WEBHOOK_SECONDS = 10.0
_OLDEST_GOOD = timedelta(hours=6)
_PAUSE_SECONDS = 0.1  # between two slices: their journal is copied before it is full (docs/performance.md)
_FAILURES_KEPT = timedelta(days=2)
_LAPSED_KEPT = timedelta(days=1)
_SEATS_KEPT = timedelta(days=7)  # a program that was away may ask what became of its seat
# License 1.0 is signed for ten minutes, five on either side; the rest is for the clocks of replicas, which differ.
_NONCES_KEPT = timedelta(hours=1)
_TEXTS_KEPT = timedelta(days=3)  # the desk looks at today and yesterday
_GRANTS_KEPT = timedelta(days=31)  # the longest provisional lifetime is 30 days


def jobs(runtime: Runtime) -> tuple[Job, ...]:
    """Return what the process does at intervals; each is safe to run on every replica."""
    sending = (Job("audit head", _HEADS_EVERY, partial(send_audit_head, runtime), first=_FIRST_HEAD),)
    return (
        *(sending if runtime.settings.audit_heads else ()),
        Job("keys", timedelta(seconds=5), runtime.keyring.refresh),
        Job("gauges", timedelta(seconds=15), partial(refresh_gauges, runtime)),
        Job("journal", timedelta(seconds=1), partial(_copy_journal, runtime)),
        Job("machine", timedelta(seconds=5), partial(_watch_machine, runtime)),
        Job("prune", timedelta(minutes=5), partial(prune, runtime)),
        Job("prune days", timedelta(days=1), partial(prune_days, runtime), first=_FIRST_PRUNE),
        Job("unseen", timedelta(days=1), partial(release_unseen, runtime), first=_FIRST_PRUNE),
        Job("surplus", timedelta(minutes=1), partial(release_surplus, runtime)),
        Job("presence", timedelta(seconds=10), partial(_note_presence, runtime), first=timedelta()),
        Job("reconcile", timedelta(seconds=15), runtime.reconciler.tick),
        Job("bulk", timedelta(seconds=2), runtime.bulk.tick),
    )


async def _note_presence(runtime: Runtime) -> None:
    """Note that this process lives; after a silence of the service, seats get the time that they missed."""
    now = runtime.clock.now()
    await runtime.writer.run(lambda session: presence.note(session, runtime.replica, now=now))


async def release_surplus(runtime: Runtime) -> None:
    """Release devices beyond a reduced number of places, where their product says so; each few in a transaction."""
    policies = policies_of(runtime.settings)
    after: str | None = ""
    while after is not None:
        found, after = await asyncio.to_thread(_find_surplus, runtime, policies, after)
        for license_id in found:
            use_case = partial(surplus.release, license_id=license_id, policies=policies, now=runtime.clock.now())
            while await runtime.writer.run(use_case, is_background=True):
                await asyncio.sleep(_PAUSE_SECONDS)


def _find_surplus(runtime: Runtime, policies: Policies, after: str) -> tuple[Sequence[str], str | None]:
    with reading(runtime.database) as session:
        return surplus.find(session, policies, after=after)


async def release_unseen(runtime: Runtime) -> None:
    """Free the places of devices that were not seen for long, where their product says so; a license at a time."""
    limits = Limits(policies_of(runtime.settings), heartbeat_store.last_moments)
    after: str | None = ""
    while after is not None:
        found, after = await asyncio.to_thread(_find_unseen, runtime, limits, after)
        for license_id, device_ids in found.items():
            free = partial(
                releasing.free_unseen, license_id=license_id, device_ids=device_ids, terms=limits,
                cause=moving.UPKEEP, now=runtime.clock.now(),
            )  # fmt: skip
            await runtime.writer.run(free, is_background=True)
            await asyncio.sleep(_PAUSE_SECONDS)


def _find_unseen(runtime: Runtime, limits: Limits, after: str) -> tuple[Mapping[str, Sequence[str]], str | None]:
    now = runtime.clock.now()
    with reading(runtime.database) as session:
        return moving.find_unseen(session, limits.policies, limits.last_contacts, after=after, now=now)


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


async def refresh_gauges(runtime: Runtime) -> None:
    """Bring the gauges up to date."""
    await _watch_machine(runtime)
    seats = await asyncio.to_thread(_seats, runtime)
    runtime.metrics.seats_live.set(seats.live)
    runtime.metrics.seats_borrowed.set(seats.borrowed)
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


def _seats(runtime: Runtime) -> seat_store.Count:
    with reading(runtime.database) as session:
        return seat_store.count_live(session, now=runtime.clock.now())


def _depth(runtime: Runtime) -> outbox_store.Depth:
    with reading(runtime.database) as session:
        return outbox_store.depth(session)


async def _copy_journal(runtime: Runtime) -> None:
    await asyncio.to_thread(runtime.database.checkpoint)


async def prune(runtime: Runtime) -> None:
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
        partial(heartbeat_store.prune_branches, before=now - timedelta(days=KEPT_DAYS)),
        partial(licensing_store.prune_refusals, before=_first_day_kept(runtime)),
        partial(licensing_store.prune_texts, before=days.day_of(now - _TEXTS_KEPT, UTC)),
        partial(bulk_store.prune, before=now - bulk_store.KEPT),
        partial(seat_store.prune, before=now - _SEATS_KEPT),
        partial(presence.end_forgotten, replica=runtime.replica, before=now - _LAPSED_KEPT, now=now),
        partial(
            people_store.prune,
            answers_before=now - idempotency.KEPT,
            seen_before=now - runtime.settings.session_idle,
            failed_before=now - _FAILURES_KEPT,
            now=now,
        ),
    ):
        while await runtime.writer.run(use_case, is_background=True) >= SLICE:
            await asyncio.sleep(_PAUSE_SECONDS)


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
                await runtime.writer.run(partial(forget, ids=found.ids, before=before), is_background=True)
                await asyncio.sleep(_PAUSE_SECONDS)
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


def checks(runtime: Runtime) -> dict[str, Any]:
    """Return what makes a process ready to serve, by name."""

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
