"""The audit under seals: rewriting rows, hashes and head is found, because the key is not in the database."""

from __future__ import annotations

from contextlib import suppress

import pytest
from sqlalchemy import text
from sqlmodel import select

from licsrv import audit
from licsrv.audit.entries import GENESIS, entry_hash
from licsrv.audit.store import _fields
from licsrv.audit.tables import AuditEntry, AuditHead
from licsrv.errors import StorageError
from licsrv.platform.db import Database, reading, table_of, transaction
from licsrv.platform.seals import Sealed, Seals
from tests.audit.conftest import KEYS, note, sealed, verdict, write


@pytest.fixture
def audited(database: Database) -> Database:
    """Five sealed entries."""
    sealed(database, Sealed.ROWS)
    write(database, 1, 2)
    write(database, 3, 4, 5)
    sealed(database)
    assert verdict(database) is None
    return database


def rewrite(database: Database, *, without: int = 0) -> None:
    """Do what a database administrator can: change the rest, and recompute every hash and the head."""
    with transaction(database) as session:
        if without:
            session.execute(text(f"DELETE FROM audit_entries WHERE seq = {without}"))
        rows = session.execute(select(table_of(AuditEntry)).order_by(text("seq"))).mappings().all()
        last = GENESIS
        for number, row in enumerate(rows, start=1):
            last = entry_hash(last, _fields(row, number))
            session.execute(
                text("UPDATE audit_entries SET seq = :seq, hash = :hash WHERE id = :id"),
                {"seq": number, "hash": last, "id": row["id"]},
            )
        session.execute(text("UPDATE audit_head SET seq = :seq, hash = :hash"), {"seq": len(rows), "hash": last})


@pytest.mark.parametrize("deleted", [1, 2, 4])
def test_a_chain_that_was_recomputed_without_an_entry_is_found_at_its_place(audited: Database, deleted: int) -> None:
    rewrite(audited, without=deleted)

    assert f"Entry {deleted} has no valid seal" in (verdict(audited) or "")


def test_an_entry_that_was_changed_with_every_hash_after_it_is_named(audited: Database) -> None:
    with transaction(audited) as session:
        session.execute(text("UPDATE audit_entries SET actor = 'staff:else' WHERE seq = 3"))
    rewrite(audited)

    assert "Entry 3 has no valid seal" in (verdict(audited) or "")


CUT = {
    "the tail": ("DELETE FROM audit_entries WHERE seq > 3", "3", "(SELECT hash FROM audit_entries WHERE seq = 3)"),
    "everything": ("DELETE FROM audit_entries", "0", f"'{GENESIS}'"),
}


@pytest.mark.parametrize("seal", ["seal", "NULL", "'newest.0'", "(SELECT max(seal) FROM audit_entries)"])
@pytest.mark.parametrize("what", CUT)
def test_what_is_cut_off_is_found_now_and_after_the_next_entry(audited: Database, what: str, seal: str) -> None:
    delete, seq, digest = CUT[what]
    with transaction(audited) as session:
        session.execute(text(delete))
        session.execute(text(f"UPDATE audit_head SET seq = {seq}, hash = {digest}, seal = {seal}"))

    assert "no valid seal" in (verdict(audited) or "")
    write(audited, 6)
    write(audited, 7)
    assert f"Entry {int(seq) + 1} has no valid seal" in (verdict(audited) or "")


@pytest.mark.parametrize(
    "seal",
    ["NULL", "''", "'newest.'", "'.'", "'else.00'", "'newest.\u00e9'", "(SELECT seal FROM audit_head)",
     "(SELECT one.seal FROM audit_entries one WHERE one.seq = 1)"],
)  # fmt: skip
def test_a_seal_of_another_row_or_none_does_not_do(audited: Database, seal: str) -> None:
    with transaction(audited) as session:
        session.execute(text(f"UPDATE audit_entries SET seal = {seal} WHERE seq = 4"))

    assert "Entry 4 has no valid seal" in (verdict(audited) or "")


def test_after_a_rotation_the_older_entries_still_verify(database: Database) -> None:
    sealed(database, Sealed.ROWS, KEYS[1:])
    write(database, 1)
    sealed(database)
    write(database, 2)

    with reading(database) as session:
        seals = [row.seal or "" for row in session.scalars(select(AuditEntry).order_by(text("seq")))]
    assert [seal.partition(".")[0] for seal in seals] == ["before", "newest"]
    assert verdict(database) is None
    sealed(database, keys=KEYS[:1])
    assert "Entry 1 has no valid seal" in (verdict(database) or ""), "the key before is gone"


def test_a_database_older_than_seals_is_read_and_then_sealed_once(database: Database) -> None:
    write(database, 1, 2)
    sealed(database, Sealed.NOTHING)
    write(database, 3)
    assert verdict(database) is None
    with transaction(database) as session:
        assert [audit.reseal(session, 0, limit=2), audit.reseal(session, 2, limit=2)] == [2, None]
    sealed(database)

    assert verdict(database) is None
    write(database, 4)
    assert verdict(database) is None


def test_the_clients_own_request_id_is_in_the_chain_and_older_entries_are_read_without(database: Database) -> None:
    from licsrv.audit import Action, Cause
    from tests.conftest import NOW

    cause = Cause("client", "ours", client_request_id="theirs-0001")
    with transaction(database, [audit.seal]) as session:
        audit.record(session, Action.NOTE_ADDED, subject="x", cause=cause, now=NOW)
    write(database, 2)

    assert verdict(database) is None
    with transaction(database) as session:
        session.execute(text("UPDATE audit_entries SET client_request_id = NULL WHERE seq = 1"))
    assert verdict(database) == "Entry 1 is not what was written."


def test_an_empty_audit_of_a_sealed_installation_is_whole_only_with_its_sealed_head(database: Database) -> None:
    sealed(database, Sealed.ROWS)
    assert verdict(database) is None
    with transaction(database) as session:
        audit.reseal_head(session)
    sealed(database)

    assert verdict(database) is None
    with transaction(database) as session:
        session.execute(text("UPDATE audit_head SET seal = NULL"))
    assert "no valid seal" in (verdict(database) or "")
    with reading(database) as session:
        assert session.scalars(select(AuditHead)).one().seq == 0


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_what_a_running_service_writes_while_entries_are_sealed_again_is_sealed_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sealed(database, Sealed.ROWS, KEYS[1:])
    write(database, 1, 2)
    sealed(database, keys=KEYS[:1])
    make, written = Seals.make, [3]

    def make_while_another_writes(seals: Seals, kind: str, fields: tuple[object, ...]) -> str:
        while written:
            number = written.pop()
            with suppress(StorageError), transaction(database, [audit.seal]) as session:
                session.execute(text("SET LOCAL lock_timeout = '20ms'"))
                note(session, number)
        return make(seals, kind, fields)

    monkeypatch.setattr(Seals, "make", make_while_another_writes)
    with transaction(database) as session:
        assert audit.reseal(session, 0) is None
    write(database, 4)

    assert verdict(database) is None
