"""Days that are too old are deleted, while another write comes every ten milliseconds: how long does one ever wait?

A million devices have thirty days each, of which the oldest is too old: what a day's run finds after a month's growth.
The same writes without the deletion are the baseline.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from time import perf_counter

from sqlalchemy import text
from sqlmodel import Session

from benchmarks import installation, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation
from benchmarks.report import Figure, at_most
from licsrv import app as application
from licsrv import upkeep
from licsrv.platform import config, days, scheduler
from licsrv.platform.clock import Clock
from licsrv.runtime import Runtime
from licsrv.upkeep import KEPT_DAYS

NAME = "prune"
_PAUSE_SECONDS = 0.01
_BASELINE_SECONDS = 5.0
_DEVICES = """INSERT INTO devices (id, license_id, fingerprint, parts, text_hash, name, client_version, first_seen_at)
    SELECT id, id, id, '{}', '', '', '', :at FROM licenses"""
_DAYS = """INSERT INTO check_ins (device_id, day, license_id, first_at, last_at, count, status, lease_until,
      client_version)
    SELECT device.id, day.value, device.id, :at, :at, 1, 'ACTIVE', :at, ''
    FROM (SELECT id FROM devices WHERE id > :after ORDER BY id LIMIT :count) AS device
    CROSS JOIN json_each(:days) AS day
    ORDER BY device.id, day.value"""
_DEVICES_AT_ONCE = 20_000  # a signal is heard between two statements


@dataclass(frozen=True)
class Scale:
    """How much is measured; each device has as many days, of which one is too old."""

    devices: int = 1_000_000
    days: int = 30


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own, on SQLite."""
    home = installation.build(folder)
    _fill(home, scale, seeding.now())
    waits, seconds, baseline = asyncio.run(_measure(home))
    (left,) = home.query("SELECT count(*) FROM check_ins")
    if left != scale.devices * (scale.days - 1):
        raise BenchmarkError(f"{left:,} days are left, not {scale.devices * (scale.days - 1):,}.")
    what = f"{scale.devices:,} devices with {scale.days} days"
    return [
        Figure(NAME, f"longest wait of another write, {what}", max(waits) * 1000, unit="ms", target=at_most(50)),
        Figure(NAME, "longest wait without it", max(baseline) * 1000, unit="ms"),
        Figure(NAME, "whole run", seconds, unit="s"),
    ]


async def _measure(home: Installation) -> tuple[list[float], float, list[float]]:
    runtime = application.build_runtime(config.load(home.settings()), clock=Clock())
    jobs = scheduler.make(upkeep.jobs(runtime))
    jobs.start()
    try:
        baseline = await _writing_during(runtime, asyncio.sleep(_BASELINE_SECONDS))
        started = perf_counter()
        waits = await _writing_during(runtime, upkeep.prune_days(runtime))
        return waits, perf_counter() - started, baseline
    finally:
        jobs.shutdown()
        await runtime.close()


async def _writing_during(runtime: Runtime, work: Awaitable[None]) -> list[float]:
    """Write again and again until the work has ended; return how many seconds each write took, its sync included."""
    task = asyncio.ensure_future(work)
    waits = []
    while not task.done():
        started = perf_counter()
        await runtime.writer.run(_write)
        waits.append(perf_counter() - started)
        await asyncio.sleep(_PAUSE_SECONDS)
    await task
    return waits


def _write(session: Session) -> None:
    session.execute(text("UPDATE products SET name = name"))


def _fill(home: Installation, scale: Scale, at: datetime) -> None:
    """Let the database make the rows; the index is made afterwards, which is many times faster."""
    zone = config.load(home.settings()).marketplace_timezone
    oldest = days.day_of(at - timedelta(days=KEPT_DAYS), zone) - timedelta(days=1)
    seeding.add_product(home)
    seeding.add_licenses(home, 1, scale.devices, at=at)
    moment = at.replace(tzinfo=None).isoformat(" ")
    index = home.query("SELECT sql FROM sqlite_master WHERE name = 'ix_check_ins_license_day'")[0]
    seeding.execute(home, text("DROP INDEX ix_check_ins_license_day"))
    seeding.execute(home, text(_DEVICES).bindparams(at=moment))
    named = json.dumps([(oldest + timedelta(days=number)).isoformat() for number in range(scale.days)])
    for after in _starts(home):
        seeding.execute(home, text(_DAYS).bindparams(at=moment, after=after, count=_DEVICES_AT_ONCE, days=named))
    seeding.execute(home, text(index))


def _starts(home: Installation) -> Iterator[str]:
    """Return after which device each statement goes on."""
    after: str | None = ""
    while after is not None:
        yield after
        found = home.query(
            f"SELECT max(id), count(*) FROM (SELECT id FROM devices WHERE id > '{after}' ORDER BY id "
            f"LIMIT {_DEVICES_AT_ONCE})"
        )
        after = found[0] if found[1] == _DEVICES_AT_ONCE else None
