"""The support desk among very many licenses and devices: how long a search of each kind and a license page take.

The rows are made by the database itself; those that are looked for are made by the project's own code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy import Connection, Engine, text
from sqlmodel import Session, SQLModel

from benchmarks import installation, postgresql, seeding
from benchmarks.errors import BenchmarkError
from benchmarks.installation import Installation
from benchmarks.report import Figure, at_most
from licsrv.audit import Cause
from licsrv.desk.licenses import page, search
from licsrv.desk.licenses.actions import service
from licsrv.desk.licenses.timeline import items
from licsrv.desk.today import answers as today
from licsrv.desk.view import View
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import changes, devices
from licsrv.licensing.changes import Purchase
from licsrv.licensing.devices import Activation, Terms
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Keyring
from licsrv.licensing.origins import MANUAL
from licsrv.licensing.policies import Policies
from licsrv.licensing.tables import Device, DevicePart, License
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import Database, open_database, reading, table_of, transaction
from licsrv.platform.paging import Window

NAME, NAME_ON_POSTGRESQL = "desk", "desk-postgresql"
_CODE, _CUSTOMER, _WORKSTATION = "PLWANTED01", "Wanted Works", "WANTED-WS"
_DEVICES_OF_ONE, _DAYS = 10, 365
_INFO = "04:7C:16:5E:E3:{0:02X}|DISK-{0}|BOARD-{0}|BFEBFBFF00090672"
_BULK: Sequence[type[SQLModel]] = (License, Device, DevicePart, CheckIn, OutboxRow)


@dataclass(frozen=True)
class Scale:
    """How much is measured."""

    licenses: int = 1_000_000
    devices_each: int = 3
    settled: int = 2_000_000
    """Messages that the marketplace has taken."""
    rounds: int = 20


def measure(folder: Path, scale: Scale) -> list[Figure]:
    """Carry the benchmark out in a folder of its own, on SQLite."""
    home = installation.build(folder)
    return _measure_at(f"sqlite:///{home.database}", home, scale, path=NAME)


def measure_on_postgresql(folder: Path, scale: Scale) -> list[Figure]:
    """Carry it out on a PostgreSQL server of its own; nothing is measured where there is none."""
    home = installation.build(folder)
    with postgresql.empty_database() as url:
        return _measure_at(url, home, scale, path=NAME_ON_POSTGRESQL) if url is not None else []


def _measure_at(url: str, home: Installation, scale: Scale, *, path: str) -> list[Figure]:
    database = open_database(url)
    try:
        return measure_on(database, KeyFolder(home.keys).read(), scale, path=path)
    finally:
        database.dispose()


def measure_on(database: Database, keyring: Keyring, scale: Scale, *, path: str) -> list[Figure]:
    """Fill a database that is at the newest step and empty, and measure on it."""
    at = seeding.now()
    _fill(database.write, scale, at)
    license_string = _add_wanted(database, keyring, at)
    tasks = _tasks(database, keyring, license_string=license_string, at=at)
    devices = scale.licenses * scale.devices_each
    size = f"{scale.licenses:,} licenses, {devices:,} devices, {scale.settled:,} settled messages"
    return [
        Figure(path, f"{name}, {size} (median)", _median_of(name, work, scale.rounds), unit="ms", target=at_most(most))
        for name, (work, most) in tasks.items()
    ]


def _median_of(name: str, work: Callable[[], bool], rounds: int) -> float:
    """Return how many milliseconds a task takes."""
    times = []
    for _ in range(rounds):
        started = perf_counter()
        if not work():
            raise BenchmarkError(f"{name} does not find what it should.")
        times.append((perf_counter() - started) * 1000)
    return median(times)


def _tasks(
    database: Database, keyring: Keyring, license_string: str, at: datetime
) -> Mapping[str, tuple[Callable[[], bool], float]]:
    view = View(Policies(), at)
    texts = {
        "code": _CODE, "beginning of a code": _CODE[:7].lower(), "order": "CSWANTED", "customer": _CUSTOMER[:8].upper(),
        "device name": _WORKSTATION.lower(), "fingerprint": _INFO.format(1), "license string": license_string,
    }  # fmt: skip

    def finder(words: str) -> Callable[[], bool]:
        def find() -> bool:
            with reading(database) as session:
                found = search.search(session, words, keyring=keyring, view=view)
            return any(hit.license.code == _CODE for hit in found.hits)

        return find

    searches: dict[str, tuple[Callable[[], bool], float]] = {
        f"search by {name}": (finder(words), 100) for name, words in texts.items()
    }
    return {
        **searches,
        "license page with timeline and year": (lambda: _look(database, view, keyring), 200),
        "the desk": (lambda: _board(database, view, keyring), 60),
    }


def _look(database: Database, view: View, keyring: Keyring) -> bool:
    """Read what the page shows first, in one go."""
    with reading(database) as session:
        shown = page.page(session, _CODE, view=view, offered=service.offered, keyring=keyring)
        found = items.timeline(session, _CODE, Window()).items
        used = page.usage(session, _CODE, zone=UTC, now=view.now).days
    return len(shown.devices) == _DEVICES_OF_ONE and len(found) == Window().limit and len(used) >= _DAYS


def _board(database: Database, view: View, keyring: Keyring) -> bool:
    with reading(database) as session:
        today.board(session, keyring=keyring, key_pair="", clock_difference=None, view=view, zone=UTC)
    return True


def _add_wanted(database: Database, keyring: Keyring, at: datetime) -> str:
    """Add the license that is looked for, with ten devices that were here every day of a year."""
    cause, terms = Cause("benchmark"), Terms(installation.ISSUER)
    with transaction(database) as session:
        purchase = Purchase(_CODE, MANUAL, order_id="CSWANTED", customer=_CUSTOMER, device_limit=_DEVICES_OF_ONE)
        license = changes.add(session, purchase, cause=cause, now=at)
        for number in range(_DEVICES_OF_ONE):
            request = Activation(_CODE, _INFO.format(number), f"{_WORKSTATION}-{number}")
            issued = devices.activate(session, request, keyring=keyring, terms=terms, cause=cause, now=at)
        session.flush()
        _add_days(session, license.id, at)
    return issued.text


def _add_days(session: Session, license_id: str, at: datetime) -> None:
    from sqlmodel import col, select

    for device_id in session.exec(select(Device.id).where(col(Device.license_id) == license_id)).all():
        for number in range(_DAYS):
            seen = at - timedelta(days=number)
            session.add(
                CheckIn(
                    device_id=device_id, day=seen.date(), license_id=license_id, first_at=seen, last_at=seen, count=1,
                    status="ACTIVE", lease_until=seen + timedelta(days=7), client_version="3.2.1",
                )
            )  # fmt: skip


def _fill(engine: Engine, scale: Scale, at: datetime) -> None:
    """Let the database make the rows; the indexes are made afterwards, which is many times faster."""
    dialect = _POSTGRESQL if engine.dialect.name == "postgresql" else _SQLITE
    indexes = [index for model in _BULK for index in table_of(model).indexes]
    with engine.begin() as connection:
        _unhurried(connection)
        for index in indexes:
            index.drop(connection)
        parameters = {
            "at": at.replace(tzinfo=None).isoformat(" "), "day": at.date().isoformat(),
            "settled": scale.settled, "licenses": scale.licenses,
            "devices": scale.licenses * scale.devices_each, "each": scale.devices_each,
        }  # fmt: skip
        for statement in dialect:
            connection.execute(text(statement), {k: v for k, v in parameters.items() if f":{k}" in statement})
        for index in indexes:
            index.create(connection)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("ANALYZE"))


def _unhurried(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SET LOCAL statement_timeout = 0"))


# The ids of devices and licenses follow each other, as those of real ones do; names and hashes do not.
_SQLITE = (
    """INSERT INTO licenses (id, code, source, product_id, order_id, order_line_id, customer, amount, places_taken,
         is_test, created_at, activated_at, expires_at, facts_changed_at)
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :licenses)
       SELECT printf('0%022d', i), printf('PL%010d', (i * 2654435761) % 10000000000), 'marketplace', 'OFFI1',
         printf('CS%015d', i), '', 'Customer ' || (i * 7919 % 100003) || ' Ltd', :each, :each, 0, :at, :at,
         datetime(:at, '+' || (i % 700 + 1) || ' days') || '.000000', :at FROM n""",
    """INSERT INTO devices (id, license_id, fingerprint, parts, text_hash, name, client_version, first_seen_at)
       WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < :devices - 1)
       SELECT printf('0%022d', i), printf('0%022d', i / :each + 1), lower(hex(randomblob(21))), '{}', '',
         'WS-' || (i * 7919 % 1000003), '3.2.1', :at FROM n""",
    """INSERT INTO device_parts (device_id, license_id, part_hash)
       SELECT id, license_id, lower(hex(randomblob(16))) FROM devices
       UNION ALL SELECT id, license_id, lower(hex(randomblob(16))) FROM devices""",
    """INSERT INTO check_ins (device_id, day, license_id, first_at, last_at, count, status, lease_until,
         client_version)
       SELECT id, :day, license_id, :at, :at, 1, 'ACTIVE', :at, '3.2.1' FROM devices""",
    """INSERT INTO outbox (kind, ordering_key, payload, state, attempts, due_at, created_at, settled_at)
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :settled)
       SELECT 'report_usage', printf('0%022d', i % :licenses + 1), '{}', 'DELIVERED', 1, :at, :at, :at FROM n""",
)
_POSTGRESQL = (
    """INSERT INTO licenses (id, code, source, product_id, order_id, order_line_id, customer, amount, places_taken,
         is_test, created_at, activated_at, expires_at, facts_changed_at)
       SELECT '0' || lpad(i::text, 22, '0'), 'PL' || lpad(((i * 2654435761) % 10000000000)::text, 10, '0'),
         'marketplace', 'OFFI1', 'CS' || lpad(i::text, 15, '0'), '', 'Customer ' || (i * 7919 % 100003) || ' Ltd',
         CAST(:each AS int), CAST(:each AS int), false, CAST(:at AS timestamp), CAST(:at AS timestamp),
         CAST(:at AS timestamp) + (i % 700 + 1) * interval '1 day', CAST(:at AS timestamp)
       FROM generate_series(1, CAST(:licenses AS bigint)) AS n(i)""",
    """INSERT INTO devices (id, license_id, fingerprint, parts, text_hash, name, client_version, first_seen_at)
       SELECT '0' || lpad(i::text, 22, '0'), '0' || lpad((i / CAST(:each AS int) + 1)::text, 22, '0'), md5(i::text),
         '{}', '', 'WS-' || (i * 7919 % 1000003), '3.2.1', CAST(:at AS timestamp)
       FROM generate_series(0, CAST(:devices AS bigint) - 1) AS n(i)""",
    """INSERT INTO device_parts (device_id, license_id, part_hash)
       SELECT id, license_id, md5('m' || id) FROM devices
       UNION ALL SELECT id, license_id, md5('d' || id) FROM devices""",
    """INSERT INTO check_ins (device_id, day, license_id, first_at, last_at, count, status, lease_until,
         client_version)
       SELECT id, CAST(:day AS date), license_id, CAST(:at AS timestamp), CAST(:at AS timestamp), 1, 'ACTIVE',
         CAST(:at AS timestamp), '3.2.1' FROM devices""",
    """INSERT INTO outbox (kind, ordering_key, payload, state, attempts, due_at, created_at, settled_at)
       SELECT 'report_usage', '0' || lpad((i % CAST(:licenses AS bigint) + 1)::text, 22, '0'), '{}', 'DELIVERED', 1,
         CAST(:at AS timestamp), CAST(:at AS timestamp), CAST(:at AS timestamp)
       FROM generate_series(1, CAST(:settled AS bigint)) AS n(i)""",
)
