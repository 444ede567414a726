"""The end of the audit in a second place: sent each hour, and missed when an older end is put back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from licsrv import audit
from licsrv.app import build_runtime
from licsrv.audit import Mark, heads
from licsrv.audit.entries import GENESIS
from licsrv.errors import SettingsError
from licsrv.platform.db import Database, reading, transaction
from licsrv.upkeep import jobs, send_audit_head
from tests.audit.conftest import sealed, verdict, write
from tests.conftest import StandingClock, make_settings


def missing(database: Database, path: Path) -> Mark | None:
    with reading(database) as session:
        return audit.missing(session, [one.mark for one in heads.read(path)])


async def sent(url: str, keys: Path, clock: StandingClock, place: str, transport: Any = None) -> None:
    runtime = build_runtime(make_settings(url, keys, AUDIT_HEADS=place), clock=clock, transport=transport)
    await send_audit_head(runtime)
    await runtime.close()


async def test_an_older_end_that_is_put_back_with_its_seal_is_missed(
    database: Database, database_url: str, keys_dir: Path, clock: StandingClock, tmp_path: Path
) -> None:
    sealed(database)
    with transaction(database) as session:
        audit.reseal_head(session)
    path = tmp_path / "heads"
    write(database, 1, 2)
    await sent(database_url, keys_dir, clock, f"file:{path}")
    with reading(database) as session:
        old = session.execute(text("SELECT seq, hash, seal FROM audit_head")).one()
    write(database, 3)
    await sent(database_url, keys_dir, clock, f"file:{path}")
    assert missing(database, path) is None

    with transaction(database) as session:
        session.execute(text("DELETE FROM audit_entries WHERE seq > 2"))
        session.execute(
            text("UPDATE audit_head SET seq = :seq, hash = :hash, seal = :seal"),
            {"seq": old.seq, "hash": old.hash, "seal": old.seal},
        )
    assert verdict(database) is None, "nothing in the database shows it"
    gone = missing(database, path)
    write(database, 4)
    await sent(database_url, keys_dir, clock, f"file:{path}")

    assert gone is not None
    assert gone.seq == 3
    assert missing(database, path) == gone, "also after the service went on"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.at for one in heads.read(path)] == [clock.now()] * 3


async def test_a_webhook_gets_the_end_and_a_failure_stops_nothing(
    sqlite_url: str, keys_dir: Path, clock: StandingClock
) -> None:
    got: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        got.append(json.loads(request.content))
        return httpx2.Response(500 if len(got) > 1 else 204)

    for _ in range(2):
        await sent(sqlite_url, keys_dir, clock, "https://watch.test/heads", httpx2.MockTransport(answer))
    await sent(sqlite_url, keys_dir, clock, "file:/nowhere/at/all")

    assert got == [{"event": "audit_head", "at": clock.now().isoformat(), "seq": 0, "hash": GENESIS}] * 2


def test_lines_that_are_none_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "heads"
    path.write_text(f"\nx y\n2026-03-01T09:30:00+00:00 5:{GENESIS}\n2026-03-01T09:30:00+00:00 5:\nnever 5:{GENESIS}\n")

    assert [str(one.mark) for one in heads.read(path)] == [f"5:{GENESIS}"]


@pytest.mark.parametrize("place", ["file:relative", "file:", "http://far.test/x", "ftp://x", "yes", "https://"])
def test_what_is_no_place_is_refused(tmp_path: Path, place: str) -> None:
    with pytest.raises(SettingsError, match="AUDIT_HEADS"):
        make_settings("sqlite:///x.db", tmp_path, AUDIT_HEADS=place)


def test_the_job_is_there_where_a_place_is_set(sqlite_url: str, keys_dir: Path) -> None:
    for place, count in (("", 0), ("syslog", 1)):
        runtime = build_runtime(make_settings(sqlite_url, keys_dir, AUDIT_HEADS=place))
        found = [job for job in jobs(runtime) if job.name == "audit head"]
        runtime.database.dispose()
        assert len(found) == count
