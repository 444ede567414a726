"""Old days are deleted along the keys, a few rows in each transaction, and nothing else is."""

from __future__ import annotations

from datetime import date, timedelta

from sqlmodel import select

from licsrv import upkeep
from licsrv.heartbeats import store
from licsrv.heartbeats.tables import CheckIn, LicenseDay
from licsrv.licensing.tables import Device, License
from licsrv.platform.db import SLICE, Database, open_database, reading, table_of, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW

TODAY = date(2026, 3, 1)
KEPT = TODAY - timedelta(days=400)


def fill(database: Database, devices: int, days: list[date]) -> None:
    """Write rows of which only the keys matter."""
    with transaction(database) as session:
        for number in range(devices):
            license = License(
                id=f"license-{number:06}", code=f"PL{number}", source="MANUAL", created_at=NOW, facts_changed_at=NOW
            )
            session.add(license)
            session.flush()
            device = Device(
                id=f"device-{number:06}", license_id=license.id, fingerprint="f", parts={}, first_seen_at=NOW
            )
            session.add(device)
        session.flush()
        check_ins = [
            {"device_id": f"device-{number:06}", "day": day, "license_id": f"license-{number:06}", "first_at": NOW,
             "last_at": NOW, "count": 1, "status": "ACTIVE", "lease_until": NOW, "client_version": ""}
            for number in range(devices) for day in days
        ]  # fmt: skip
        session.execute(table_of(CheckIn).insert(), check_ins)
        license_days = [{"license_id": row["license_id"], "day": row["day"]} for row in check_ins]
        session.execute(table_of(LicenseDay).insert(), license_days)


async def test_days_before_the_first_kept_one_go_and_no_others(runtime: Runtime) -> None:
    days = [KEPT - timedelta(days=200), KEPT - timedelta(days=1), KEPT, KEPT + timedelta(days=1), TODAY]
    fill(runtime.database, 12, days)

    await upkeep.prune_days(runtime)

    with reading(runtime.database) as session:
        assert sorted(set(session.exec(select(CheckIn.day)))) == days[2:]
        assert sorted(set(session.exec(select(LicenseDay.day)))) == days[2:]
        assert len(session.exec(select(CheckIn)).all()) == 12 * 3


def test_a_look_names_few_rows_and_goes_on_where_it_ended(sqlite_url: str) -> None:
    database = open_database(sqlite_url)
    fill(database, 30, [KEPT - timedelta(days=number) for number in range(1, 101)])

    seen: list[str] = []
    after: str | None = ""
    looks = 0
    while after is not None:
        with reading(database) as session:
            found = store.devices_with_old_days(session, after=after, before=KEPT)
        assert len(found.ids) * 100 <= SLICE
        seen += found.ids
        after, looks = found.after, looks + 1
    database.dispose()

    assert seen == [f"device-{number:06}" for number in range(30)]
    assert looks == 7
