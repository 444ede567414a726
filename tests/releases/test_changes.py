"""The vendor publishes, rolls out and withdraws: what is kept, what is noted, what is refused."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from licsrv import audit
from licsrv.audit.tables import AuditEntry
from licsrv.errors import ConflictError, InvalidRequestError, NotFoundError
from licsrv.licensing import changes as licensing
from licsrv.licensing.changes import Purchase
from licsrv.licensing.origins import MANUAL
from licsrv.platform.db import Database, open_database, reading, transaction
from licsrv.releases import changes, rules, store
from licsrv.releases.catalogues import Catalogues
from licsrv.releases.changes import ProductRules, Which
from licsrv.releases.tables import Release
from licsrv.releases.versions import Scheme
from tests.conftest import NOW
from tests.releases.conftest import PUBLICATION, VENDOR


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    found = open_database(database_url)
    yield found
    found.dispose()


def act(database: Database, use_case: Any, *arguments: Any, now: Any = NOW) -> Any:
    with transaction(database, (audit.seal,)) as session:
        session.expire_on_commit = False
        return use_case(session, *arguments, cause=VENDOR, now=now)


def publish(database: Database, version: str = "2.0", **members: Any) -> Release:
    release: Release = act(database, changes.publish, replace(PUBLICATION, version=version, **members))
    return release


def entries(database: Database) -> list[tuple[str, str, str, dict[str, Any]]]:
    with reading(database) as session:
        assert audit.verify(session) is None
        rows = session.exec(select(AuditEntry).order_by(AuditEntry.id)).all()  # type: ignore[arg-type]
        return [(row.action, row.subject, row.reason, json.loads(row.detail)) for row in rows]


def change_number(database: Database) -> int:
    with reading(database) as session:
        product = store.product(session, "OFFI1")
        return product.change_number if product is not None else 0


def test_a_publication_is_kept_and_noted(database: Database) -> None:
    release = publish(database, "2.0", minimum_version=" 1.5 ", rollout_percent=10)

    assert (release.version, release.minimum_version, release.rollout_percent) == ("2.0", "1.5", 10)
    assert (release.created_by, release.published_at, release.withdrawn_at) == ("staff:ann", NOW, None)
    [(action, subject, _, detail)] = entries(database)
    assert (action, subject) == ("RELEASE_PUBLISHED", "OFFI1")
    assert detail == {
        "id": release.id, "version": "2.0", "channel": "stable", "platform": "linux", "minimum_version": "1.5",
        "rollout_percent": 10, "url": PUBLICATION.url, "size": 123, "sha256": "a" * 64,
        "published_at": NOW.isoformat(),
    }  # fmt: skip
    assert change_number(database) == 1


def test_the_publication_date_has_whole_seconds(database: Database) -> None:
    release = act(database, changes.publish, PUBLICATION, now=NOW + timedelta(microseconds=999_999))

    assert release.published_at == NOW


@pytest.mark.parametrize("again", ["2.0", "2", "v2.0.0"])
def test_the_same_version_is_published_once(database: Database, again: str) -> None:
    publish(database, "2.0")

    with pytest.raises(ConflictError):
        publish(database, again)

    publish(database, "2.0", channel="beta")
    publish(database, "2.0", platform="windows")
    publish(database, "2.0", product_id="OFFI2")
    assert len(entries(database)) == 4


def test_a_withdrawn_number_is_not_used_again(database: Database) -> None:
    publish(database, "2.0")
    act(database, changes.withdraw, Which("OFFI1", "2.0"))

    with pytest.raises(ConflictError):
        publish(database, "2.0")


def test_of_many_who_publish_the_same_at_once_one_does(database: Database) -> None:
    barrier = threading.Barrier(6)

    def compete(_: int) -> bool:
        barrier.wait()
        try:
            publish(database, "2.0")
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(compete, range(6)))

    assert sorted(done) == [False] * 5 + [True]
    assert (len(entries(database)), change_number(database)) == (1, 1)


def test_of_many_who_publish_different_versions_at_once_all_do(database: Database) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda number: publish(database, f"{number}.0"), range(12)))

    assert (len(entries(database)), change_number(database)) == (12, 12)


def test_a_refused_publication_leaves_nothing(database: Database) -> None:
    with pytest.raises(InvalidRequestError):
        publish(database, "2.0", url="http://insecure.example.com/")

    assert entries(database) == []
    with reading(database) as session:
        assert store.product(session, "OFFI1") is None


def test_a_withdrawal_is_kept_with_its_reason_and_done_once(database: Database) -> None:
    publish(database, "2.0")
    publish(database, "2.0", platform="windows")
    publish(database, "3.0")

    first = act(database, changes.withdraw, Which("OFFI1", "2.0.0", platform="windows"))
    rest = act(database, changes.withdraw, Which("OFFI1", "2.0"))

    assert [release.platform for release in (*first, *rest)] == ["windows", "linux"]
    assert {(row.withdrawn_at, row.withdrawn_by, row.withdrawn_reason) for row in (*first, *rest)} == {
        (NOW, "staff:ann", "It breaks files.")
    }
    assert act(database, changes.withdraw, Which("OFFI1", "2.0")) == []
    noted = [entry for entry in entries(database) if entry[0] == "RELEASE_WITHDRAWN"]
    assert [(entry[2], entry[3]["platform"]) for entry in noted] == [
        ("It breaks files.", "windows"), ("It breaks files.", "linux"),
    ]  # fmt: skip
    assert change_number(database) == 5


@pytest.mark.parametrize("which", [Which("OFFI1", "2.1"), Which("OFFI9", "2.0"), Which("OFFI1", "2.0", channel="beta")])
def test_what_was_never_published_cannot_be_changed(database: Database, which: Which) -> None:
    publish(database, "2.0")

    with pytest.raises(NotFoundError):
        act(database, changes.withdraw, which)
    with pytest.raises(NotFoundError):
        act(database, changes.roll_out, which, 50)
    assert len(entries(database)) == 1


def test_a_roll_out_is_noted_and_the_same_again_is_not(database: Database) -> None:
    publish(database, "2.0", rollout_percent=5)

    act(database, changes.roll_out, Which("OFFI1", "2.0"), 50)
    assert act(database, changes.roll_out, Which("OFFI1", "2.0"), 50) == []

    [_, (action, subject, _, detail)] = entries(database)
    assert (action, subject) == ("RELEASE_CHANGED", "OFFI1")
    assert detail["rollout_percent"] == {"before": 5, "after": 50}
    assert change_number(database) == 2


def test_a_withdrawn_version_is_not_rolled_out(database: Database) -> None:
    publish(database, "2.0", rollout_percent=5)
    act(database, changes.withdraw, Which("OFFI1", "2.0"))

    with pytest.raises(ConflictError):
        act(database, changes.roll_out, Which("OFFI1", "2.0"), 50)


@pytest.mark.parametrize("percent", [-1, 101])
def test_there_are_a_hundred_per_cent(database: Database, percent: int) -> None:
    publish(database, "2.0")

    with pytest.raises(InvalidRequestError):
        act(database, changes.roll_out, Which("OFFI1", "2.0"), percent)


def test_the_numbering_changes_where_every_version_can_be_read_so(database: Database) -> None:
    release = publish(database, "2.0.0", minimum_version="1.0.0")

    _, changed = act(database, changes.set_rules, "OFFI1", ProductRules(Scheme.SEMVER))

    assert changed == {"version_scheme": {"before": "pep440", "after": "semver"}}
    with reading(database) as session:
        row = store.release(session, release.id)
        assert row is not None
        assert (release.version_key, row.version_key) == ("2", "2.0.0")
    assert change_number(database) == 2
    publish(database, "2.1.0-rc.1")


@pytest.mark.parametrize("versions", [["2.0"], ["2.0.0", "2.0.1rc1"], ["1.0.0+a", "1.0.0+b"]])
def test_the_numbering_stays_where_a_version_cannot_be_read_or_told_apart(
    database: Database, versions: list[str]
) -> None:
    for version in versions:
        publish(database, version)

    with pytest.raises(ConflictError):
        act(database, changes.set_rules, "OFFI1", ProductRules(Scheme.SEMVER))


def test_rules_are_noted_and_the_same_again_is_not(database: Database) -> None:
    wanted = ProductRules(Scheme.SEMVER, 12)

    act(database, changes.set_rules, "OFFI1", wanted)
    _, again = act(database, changes.set_rules, "OFFI1", wanted)

    assert again == {}
    [(action, _, _, detail)] = entries(database)
    assert action == "PRODUCT_CHANGED"
    assert detail["maintenance_months"] == {"before": None, "after": 12}


@pytest.mark.parametrize("months", [-1, 1201])
def test_maintenance_lasts_a_century_at_most(database: Database, months: int) -> None:
    with pytest.raises(InvalidRequestError):
        act(database, changes.set_rules, "OFFI1", ProductRules(maintenance_months=months))


def test_the_end_of_maintenance_is_known_for_any_license(database: Database) -> None:
    act(database, changes.set_rules, "OFFI1", ProductRules(maintenance_months=12))
    end = NOW + timedelta(days=400)
    ruled = act(database, licensing.add, Purchase("C-1", MANUAL, product_id="OFFI1", expires_at=end))
    unruled = act(database, licensing.add, Purchase("C-2", MANUAL, product_id="OFFI2", expires_at=end))

    with reading(database) as session:
        assert rules.maintenance_end(ruled, store.maintenance_months(session, "OFFI1")) == NOW.replace(year=2027)
        assert rules.maintenance_end(unruled, store.maintenance_months(session, "OFFI2")) == end


def test_the_versions_are_read_again_only_after_a_change(database: Database) -> None:
    catalogues = Catalogues()

    def read() -> Any:
        with reading(database) as session:
            product = store.product(session, "OFFI1")
            assert product is not None
            return catalogues.of(session, product)

    publish(database, "2.0")
    first = read()
    assert read() is first
    publish(database, "10.0")

    second = read()

    assert second is not first
    assert [candidate.version.text for candidate in second["stable", "linux"]] == ["2.0", "10.0"]
