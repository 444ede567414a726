"""Policies are changed by new versions, which are all kept; what was in the products before is the first."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import MetaData, Table, insert
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session

from licsrv import audit, migrations
from licsrv.audit import Cause
from licsrv.errors import ConflictError, NotFoundError, PolicyContradictionError
from licsrv.licensing import policy_changes, store
from licsrv.licensing.policies import Policies, Policy, Times
from licsrv.licensing.policy_changes import Plan, Wanted
from licsrv.licensing.tables import PolicyVersion
from licsrv.platform.db import Database, open_database, reading, transaction
from tests import products
from tests.conftest import NOW
from tests.former_steps import at_step

_numbers = itertools.count()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = open_database(database_url)
    with transaction(opened, [audit.seal]) as session:
        products.describe(session, "CAD")
    yield opened
    opened.dispose()


def change(session: Session, known: Policies | None = None, *, product_id: str = "CAD", **wanted: Any) -> Plan:
    asked = Wanted(**{"values": {}, **wanted})
    cause = Cause("staff:kim", reason="because")
    return policy_changes.change(session, product_id, asked, known=known or Policies(), cause=cause, now=NOW)


def stated(database: Database) -> list[tuple[int, str, int | None]]:
    with reading(database) as session:
        rows = store.policy_versions(session, "CAD", most=50)
        return [(row.version, row.stated, row.restores) for row in rows]


def test_every_version_is_kept_with_who_when_and_why(database: Database) -> None:
    with transaction(database, [audit.seal]) as session:
        change(session, values={"places.limit": 2})
        change(session, values={"moves.per_place": 1, "places.limit": None})

    assert stated(database) == [(2, '{"moves.per_place":1}', None), (1, '{"places.limit":2}', None)]
    with reading(database) as session:
        first = store.policy_version(session, "CAD", 1)
        assert first is not None
        assert (first.actor, first.reason, first.at, first.replaced_at) == ("staff:kim", "because", NOW, NOW)
        assert store.policy_text(session, "CAD") == '{"moves.per_place":1}'


def test_a_change_that_changes_nothing_writes_nothing(database: Database) -> None:
    with transaction(database, [audit.seal]) as session:
        change(session, values={"places.limit": 2})
        assert change(session, values={"places.limit": 2.0}).changes is False

    assert len(stated(database)) == 1


def test_undo_goes_back_version_by_version(database: Database) -> None:
    with transaction(database, [audit.seal]) as session:
        change(session, values={"places.limit": 2})
        change(session, values={"places.limit": 3})
        change(session, undo=True)
        change(session, undo=True)
        with pytest.raises(ConflictError):
            change(session, undo=True)

    assert stated(database)[:2] == [(4, "{}", 0), (3, '{"places.limit":2}', 1)]


def test_a_change_after_an_undo_is_undone_to_what_was_before_it(database: Database) -> None:
    with transaction(database, [audit.seal]) as session:
        change(session, values={"places.limit": 2})
        change(session, values={"places.limit": 3})
        change(session, undo=True)
        change(session, values={"places.limit": 4})
        assert change(session, undo=True).after == {"places.limit": 2}


def test_what_was_changed_meanwhile_is_not_written_over(database: Database) -> None:
    with transaction(database, [audit.seal]) as session:
        change(session, values={"places.limit": 2}, seen=0)
        with pytest.raises(ConflictError):
            change(session, values={"places.limit": 3}, seen=0)


def test_an_undo_does_not_bring_back_what_contradicts_the_settings_of_today(database: Database) -> None:
    with transaction(database, [audit.seal]) as session:
        change(session, values={"time.check_in_hours": 48})
        change(session, values={"time.check_in_hours": 12})
        short = Policies(Policy(time=Times(grace=timedelta(hours=24))))
        with pytest.raises(PolicyContradictionError):
            change(session, short, undo=True)


@pytest.mark.parametrize("product_id", ["", "CAD\x00", "cad", "UNKNOWN", "x" * 500])
def test_a_product_that_is_not_described_has_no_policy(database: Database, product_id: str) -> None:
    with transaction(database, [audit.seal]) as session, pytest.raises(NotFoundError):
        change(session, product_id=product_id, values={"places.limit": 2})


def test_of_many_changes_at_once_each_is_a_version(database: Database) -> None:
    def one(number: int) -> None:
        with transaction(database, [audit.seal]) as session:
            change(session, values={"places.limit": number})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(1, 9)))

    assert sorted(version for version, _, _ in stated(database)) == list(range(1, 9))


def test_the_database_refuses_a_second_current_version(database: Database) -> None:
    rows = [PolicyVersion(product_id="CAD", version=number, stated="{}", at=NOW, actor="a") for number in (1, 2)]
    with closing(Session(database.write)) as session:
        session.add_all(rows)
        with pytest.raises(IntegrityError):
            session.flush()
        session.rollback()


# --- What was in the products before


@pytest.fixture
def before(empty_url: str) -> Iterator[Database]:
    """A database at the step before there were policies."""
    database = at_step(empty_url, "0018")
    yield database
    database.dispose()


def test_what_products_said_becomes_the_first_version(before: Database) -> None:
    plain: dict[str, Any] = {
        "name": "x", "features": [], "device_limit": None, "amount_is_places": True, "learned_parts": 2,
        "learned_days": 30, "weak_binding": False,
    }  # fmt: skip
    other = {"device_limit": 3, "amount_is_places": False, "learned_parts": 0, "learned_days": 7, "weak_binding": True}
    with before.write.connect() as connection:
        table = Table("products", MetaData(), autoload_with=connection)
        connection.execute(insert(table), [{"product_id": "PLAIN", **plain}, {"product_id": "CAD", **plain, **other}])
        connection.commit()

    migrations.upgrade(before)

    assert [version for version, *_ in stated(before)] == [1]
    with reading(before) as session:
        assert store.policy_text(session, "PLAIN") == ""
        policy = Policies().of(store.policy_text(session, "CAD"))
    assert (policy.places.limit, policy.places.amount_counts) == (3, False)
    assert (policy.recognition.learned_parts, policy.recognition.learned_within.days) == (0, 7)
    assert policy.recognition.weak_binding is True
    with transaction(before) as session:
        assert change(session, undo=True).after == {}, "the move can be undone like any change"
