"""The step that makes the revocation list: what was revoked, released and given back before stands on it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, insert
from sqlmodel import select

from licsrv import migrations
from licsrv.licensing.revocation import lists, store
from licsrv.licensing.tables import IssuedLicense, Product, RevocationChange
from licsrv.platform.db import Database, reading
from tests.conftest import NOW
from tests.former_steps import at_step

_numbers = itertools.count()
HOUR = timedelta(hours=1)


@pytest.fixture
def before(empty_url: str) -> Iterator[Database]:
    """A database at the step before the list."""
    database = at_step(empty_url, "0002")
    yield database
    database.dispose()


def fill(database: Database, table: str, rows: list[dict[str, Any]]) -> None:
    with database.write.connect() as connection:
        found = Table(table, MetaData(), autoload_with=connection)
        connection.execute(insert(found), rows)
        connection.commit()


def license(id: str, **facts: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": id, "code": id, "source": "manual", "product_id": "", "order_id": "", "order_line_id": "",
        "customer": "", "places_taken": 0, "is_test": False, "created_at": NOW, "activated_at": NOW,
        "facts_changed_at": NOW, "expires_at": None, "revoked_at": None, "released_at": None,
    }  # fmt: skip
    return values | facts


def device(id: str, license_id: str, released_at: datetime | None) -> dict[str, Any]:
    return {
        "id": id, "license_id": license_id, "fingerprint": id, "parts": {}, "text_hash": "", "name": "",
        "client_version": "", "first_seen_at": NOW, "released_at": released_at,
    }  # fmt: skip


def issued(id: str, license_id: str, device_id: str, exp: datetime | None) -> dict[str, Any]:
    claims = {"jti": id} | ({"exp": int(exp.timestamp())} if exp else {})
    return {
        "id": id, "license_id": license_id, "device_id": device_id, "form": "string", "digest": id, "key_id": "k",
        "claims": json.dumps(claims), "issued_at": NOW,
    }  # fmt: skip


def test_what_ended_before_there_was_a_list_stands_on_it(before: Database) -> None:
    end = NOW + timedelta(days=30)
    fill(before, "products", [{"product_id": "P", "name": "P", "amount_is_places": True, "features": []}])
    fill(
        before,
        "licenses",
        [
            license("kept", expires_at=end),
            license("revoked", revoked_at=NOW + 2 * HOUR, expires_at=NOW),
            license("released", revoked_at=NOW + 3 * HOUR, released_at=NOW + HOUR),
        ],
    )
    fill(before, "devices", [device("here", "kept", None), device("gone", "kept", NOW), device("r", "revoked", None)])
    fill(
        before,
        "issued_licenses",
        [issued("s1", "kept", "here", end), issued("s2", "kept", "gone", end), issued("s3", "revoked", "r", end)],
    )

    migrations.upgrade(before)

    with reading(before) as session:
        changes = session.exec(select(RevocationChange).order_by(RevocationChange.number)).all()  # type: ignore[arg-type]
        expected = [
            (1, lists.string_entry("s2"), end, NOW),
            (2, lists.license_entry("released"), None, NOW + HOUR),
            (3, lists.license_entry("revoked"), end, NOW + 2 * HOUR),
        ]
        assert [(row.number, row.entry, row.ends_at, row.at) for row in changes] == expected
        assert {row.action for row in changes} == {"add"}
        head = store.head(session)
        assert (head.number, head.changed_at) == (3, NOW + 2 * HOUR)
        given_back = {row.id: row.given_back_at for row in session.exec(select(IssuedLicense))}
        assert given_back == {"s1": None, "s2": NOW, "s3": None}
        product = session.exec(select(Product)).one()
        assert (product.second_signature, product.deliver_as) == (False, "auto")


def test_an_empty_database_gets_an_empty_list(before: Database) -> None:
    migrations.upgrade(before)

    with reading(before) as session:
        assert store.head(session) == store.Head(0, None)


def test_old_code_may_go_on_writing_what_it_knows(before: Database) -> None:
    migrations.upgrade(before)

    columns = {"product_id": "P", "name": "P", "amount_is_places": True, "features": []}
    with before.write.connect() as connection:
        table = Table("products", MetaData(), autoload_with=connection)
        connection.execute(insert(table), [columns])
        connection.commit()

    with reading(before) as session:
        assert session.exec(select(Product)).one().deliver_as == "auto"
