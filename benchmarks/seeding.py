"""Data to measure on, written past the use cases in bulk, through the project's own tables and its own signing.

What the server finds is what it would have written itself: hashed parts, license strings signed by its own key.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Executable, Insert, func, insert, literal, select, text, true
from sqlmodel import SQLModel

from benchmarks.installation import DEVICE_LIMIT, ISSUER, Installation
from licsrv.licensing import fingerprints, policies
from licsrv.licensing.issuing import issuing, strings
from licsrv.licensing.issuing.strings import LicenseTerms
from licsrv.licensing.key_folder import KeyFolder
from licsrv.licensing.keyring import Keyring, Purpose
from licsrv.licensing.tables import Device, DevicePart, IssuedLicense, License, PolicyVersion, Product
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import open_database, table_of
from licsrv.platform.ids import new_id
from licsrv.seats.service import keyed
from licsrv.seats.tables import Seat

PRODUCT_ID = "OFFI0000000000000001"
_FEATURES = ["modelling", "drawing", "simulation"]
_CHUNK = 10_000
_CODES = 10**10
_STEP = 2_654_435_761  # a prime: multiples of it meet every code once before one comes again
Item = TypeVar("Item")


@dataclass(frozen=True)
class Client:
    """One device with the license string that it presents."""

    license_string: str
    device_info: str
    license_id: str = ""
    device_id: str = ""


@dataclass(frozen=True)
class SeatHolder:
    """One program with its seat."""

    client: Client
    seat_id: str
    session: str


def code_of(number: int) -> str:
    """Return the authorization code of a number; codes follow each other in no order, as those of real sales."""
    return f"PL{number * _STEP % _CODES:010d}"


def device_info_of(number: int) -> str:
    """Return the facts of one of many different machines of the same model."""
    mac = f"{number:010X}"
    pairs = ":".join(mac[start : start + 2] for start in range(0, 10, 2))
    return f"04:{pairs}|001B_444A_{number:08X}.|PF{number:08d}|BFEBFBFF00090672"


def now() -> datetime:
    """Return the moment at which data is made."""
    return datetime.now(UTC)


def add_licenses(installation: Installation, first: int, count: int, *, at: datetime) -> None:
    """Add activated licenses of the marketplace without devices, for the codes of these numbers.

    One is written as a row, the database makes the others after it: a million rows in seconds.
    """
    pattern = _license(first, new_id(at), at, places=0)
    _write(installation, [(License, [pattern])])
    if count > 1:
        execute(installation, _copies(pattern["code"], first + 1, first + count - 1))


def add_licenses_by_row(url: str, count: int, *, at: datetime) -> None:
    """Add such licenses to a database of either engine, each written as a row."""
    database = open_database(url)
    try:
        with database.write.begin() as connection:
            for chunk in _chunks(_license(number, new_id(at), at, places=0) for number in range(count)):
                connection.execute(insert(table_of(License)), chunk)
    finally:
        database.dispose()


def _copies(code: str, first: int, last: int) -> Insert:
    """Return the statement that copies a license for each number, under the code, order and id of that number."""
    counted = select(literal(first).label("n")).cte("numbers", recursive=True)
    numbers = counted.union_all(select(counted.c.n + 1).where(counted.c.n < last))
    licenses, n = table_of(License), numbers.c.n
    different: dict[str, ColumnElement[Any]] = {
        "id": func.printf("%023d", n),
        "code": func.printf("PL%010d", n * _STEP % _CODES),
        "order_id": func.printf("CS%015d", n),
        "order_line_id": func.printf("CS%015d-000001", n),
    }
    columns = [different.get(column.name, column) for column in licenses.c]
    rows = select(*columns).select_from(licenses.join(numbers, true())).where(licenses.c.code == code)
    return insert(licenses).from_select(list(licenses.c.keys()), rows)


def add_clients(installation: Installation, count: int, *, at: datetime) -> list[Client]:
    """Add so many licenses with one device each, and return what the devices need to check in."""
    keyring = KeyFolder(installation.keys).read()
    clients: list[Client] = []
    rows: dict[type[SQLModel], list[dict[str, Any]]] = {License: [], Device: [], DevicePart: [], IssuedLicense: []}
    for number in range(count):
        license = _license(number, new_id(at), at, places=1)
        info = device_info_of(number)
        device, parts = _device(license["id"], info, keyring=keyring, at=at)
        license_string, issued = _issue(license, device["id"], info=info, keyring=keyring, at=at)
        clients.append(Client(license_string, info, license_id=license["id"], device_id=device["id"]))
        rows[License].append(license)
        rows[Device].append(device)
        rows[DevicePart] += parts
        rows[IssuedLicense].append(issued)
    _write(installation, rows.items())
    return clients


def add_seats(installation: Installation, clients: Sequence[Client], each: int, *, at: datetime) -> list[SeatHolder]:
    """Give so many programs of each device a seat, and return what they need to renew it."""
    key = KeyFolder(installation.keys).read().device_key
    holders = [
        SeatHolder(client, new_id(at), f"session-{number:04}-of-{client.device_id}")
        for number in range(each)
        for client in clients
    ]
    rows = (
        {
            "id": one.seat_id, "license_id": one.client.license_id, "device_id": one.client.device_id,
            "session": keyed("session", one.session, key=key),
            "holder": keyed("holder", f"{one.client.device_id}:{one.session}", key=key),
            "since": at, "until": at + timedelta(minutes=15), "seconds": 900,
        }
        for one in holders
    )  # fmt: skip
    _write(installation, [(Seat, rows)])
    return holders


def add_waiting_messages(installation: Installation, count: int, *, at: datetime) -> None:
    """Add reports of use that the marketplace has not taken yet, each of another license, all due."""
    counted = select(literal(1).label("n")).cte("numbers", recursive=True)
    numbers = counted.union_all(select(counted.c.n + 1).where(counted.c.n < count))
    message = func.json_object(
        "code",
        func.printf("PLW%09d", numbers.c.n),
        "client_id",
        func.printf("0D%021d", numbers.c.n),
        "day",
        f"{at:%Y-%m-%d}",
    )
    values: dict[str, ColumnElement[Any]] = {
        "kind": literal("report_usage"), "ordering_key": func.printf("0W%021d", numbers.c.n), "payload": message,
        "state": literal("WAITING"), "attempts": literal(0), "due_at": literal(at), "created_at": literal(at),
    }  # fmt: skip
    rows = select(*values.values()).select_from(numbers)
    execute(installation, insert(table_of(OutboxRow)).from_select(list(values), rows))


def add_product(installation: Installation, policy_values: Mapping[str, Any] | None = None) -> None:
    """Add the product that all licenses are of, and what its policy states."""
    stated = policies.text_of(policy_values or {"places.limit": DEVICE_LIMIT})
    product = Product(product_id=PRODUCT_ID, name="CAD Professional", features=_FEATURES)
    policy = PolicyVersion(
        product_id=PRODUCT_ID, version=1, stated=stated, at=now(), actor="benchmark",
    )  # fmt: skip
    _write(installation, [(Product, [product.model_dump()]), (PolicyVersion, [policy.model_dump()])])


def _license(number: int, license_id: str, at: datetime, *, places: int) -> dict[str, Any]:
    return _LICENSE | {
        "id": license_id,
        "code": code_of(number),
        "order_id": f"CS{number:015d}",
        "order_line_id": f"CS{number:015d}-000001",
        "places_taken": places,
        "created_at": at,
        "activated_at": at,
        "expires_at": at + timedelta(days=365),
        "expiry_stated_at": at,
        "facts_changed_at": at,
    }


_LICENSE = License(
    id="",
    code="",
    source="marketplace",
    product_id=PRODUCT_ID,
    amount=1,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
    facts_changed_at=datetime(2026, 1, 1, tzinfo=UTC),
).model_dump()


def _device(license_id: str, info: str, keyring: Keyring, at: datetime) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    parts = fingerprints.hash_parts(fingerprints.parse(info), key=keyring.device_key)
    device = {
        "id": new_id(at),
        "license_id": license_id,
        "fingerprint": fingerprints.fingerprint(parts),
        "parts": parts,
        "text_hash": fingerprints.hash_text(info, key=keyring.device_key),
        "name": "CAD-WS",
        "client_version": "3.2.1",
        "first_seen_at": at,
        "released_at": None,
    }
    hashes = fingerprints.selective_parts(parts)
    return device, [{"device_id": device["id"], "license_id": license_id, "part_hash": value} for value in hashes]


def _issue(
    license: dict[str, Any], device_id: str, info: str, keyring: Keyring, at: datetime
) -> tuple[str, dict[str, Any]]:
    key, issued_id = keyring.signer(Purpose.LICENSE), new_id(at)
    terms = LicenseTerms(
        issuer=ISSUER,
        issued_id=issued_id,
        license_id=license["id"],
        code=license["code"],
        product=PRODUCT_ID,
        product_name="CAD Professional",
        features=_FEATURES,
        amount=1,
        is_test=False,
        is_provisional=False,
        issued_at=at,
        ends_at=license["expires_at"],
    )
    salt = issuing.salt(keyring.device_key, issued_id)
    license_string, claims = strings.sign_license(terms, fingerprints.parse(info), salt=salt, key=key)
    claims["dev"] = {name: value for name, value in claims["dev"].items() if name != "s"}  # the salt is not stored
    row = {
        "id": issued_id,
        "license_id": license["id"],
        "device_id": device_id,
        "form": issuing.STRING,
        "digest": strings.digest(license_string),
        "key_id": key.key_id,
        "claims": json.dumps(claims, separators=(",", ":"), ensure_ascii=False),
        "issued_at": at,
    }
    return license_string, row | {"seal": keyring.issued_seal(row)}


def _write(installation: Installation, tables: Iterable[tuple[type[SQLModel], Iterable[dict[str, Any]]]]) -> None:
    with _changing(installation) as connection:
        for model, rows in tables:
            for chunk in _chunks(rows):
                connection.execute(insert(table_of(model)), chunk)


def execute(installation: Installation, statement: Executable) -> None:
    """Carry out one statement in a transaction of its own."""
    with _changing(installation) as connection:
        connection.execute(statement)


@contextmanager
def _changing(installation: Installation) -> Iterator[Connection]:
    """Open one transaction; afterwards empty the write-ahead log, so that no server starts with it."""
    database = open_database(f"sqlite:///{installation.database}")
    try:
        with database.write.begin() as connection:
            yield connection
        with database.read.connect() as connection:
            connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    finally:
        database.dispose()


def _chunks(rows: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(rows)
    take: Callable[[], list[Item]] = lambda: list(islice(iterator, _CHUNK))  # noqa: E731
    return iter(take, [])
