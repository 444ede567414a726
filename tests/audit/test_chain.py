"""The audit's chain: whatever was written is found as it was written, and whatever was done to it is found too."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text
from sqlmodel import Session, select

from licsrv import audit
from licsrv.audit.entries import GENESIS, canonical, entry_hash
from licsrv.audit.tables import AuditEntry, AuditHead
from licsrv.errors import ConflictError
from licsrv.platform.db import Database, reading, transaction
from licsrv.platform.writer import Writer
from tests.audit.conftest import note, verdict, write


def test_an_empty_audit_is_whole(database: Database) -> None:
    assert verdict(database) is None


def test_what_was_recorded_is_chained_in_its_order(database: Database) -> None:
    write(database, 1, 2)
    write(database, 3)

    with reading(database) as session:
        entries = session.exec(select(AuditEntry).order_by(text("seq"))).all()
        head = session.exec(select(AuditHead)).one()
    assert [(entry.seq, entry.subject) for entry in entries] == [
        (1, "license-1"), (2, "license-2"), (3, "license-3"),
    ]  # fmt: skip
    assert len({entry.hash for entry in entries}) == 3
    assert (head.seq, head.hash) == (3, entries[-1].hash)
    assert verdict(database) is None


def test_a_long_chain_is_read_page_by_page(database: Database) -> None:
    write(database, *range(2001))
    assert verdict(database) is None

    tamper(database, "UPDATE audit_entries SET reason = 'x' WHERE seq = 2001")
    assert verdict(database) == "Entry 2001 is not what was written."


def tamper(database: Database, *statements: str) -> None:
    with transaction(database) as session:
        for statement in statements:
            session.execute(text(statement))


FORGED = (
    "INSERT INTO audit_entries (seq, at, actor, action, subject, reason, detail, request_id, hash) "
    "SELECT {seq}, at, actor, action, subject, reason, detail, request_id, {hash} FROM audit_entries WHERE seq = 1"
)
TAMPERINGS = {
    "another actor": (["UPDATE audit_entries SET actor = 'staff:else' WHERE seq = 2"], "Entry 2 is not"),
    "another action": (["UPDATE audit_entries SET action = 'LICENSE_REVOKED' WHERE seq = 3"], "Entry 3 is not"),
    "another subject": (["UPDATE audit_entries SET subject = 'license-9' WHERE seq = 1"], "Entry 1 is not"),
    "another reason": (["UPDATE audit_entries SET reason = '' WHERE seq = 4"], "Entry 4 is not"),
    "another detail": (["UPDATE audit_entries SET detail = '{}' WHERE seq = 2"], "Entry 2 is not"),
    "another request": (["UPDATE audit_entries SET request_id = 'x' WHERE seq = 2"], "Entry 2 is not"),
    "another moment": (["UPDATE audit_entries SET at = (SELECT at FROM audit_entries WHERE seq = 1) WHERE seq = 2"],
                       "Entry 2 is not"),
    "a character moved to the next field": (
        ["UPDATE audit_entries SET actor = 'staff:', action = '2LICENSE_ADDED' WHERE seq = 2"], "Entry 2 is not"),
    "another hash": (["UPDATE audit_entries SET hash = '" + GENESIS + "' WHERE seq = 2"], "Entry 2 is not"),
    "no hash": (["UPDATE audit_entries SET hash = NULL WHERE seq = 2"], "Entry 2 is not"),
    "the first entry deleted": (["DELETE FROM audit_entries WHERE seq = 1"], "Entry 1 is missing"),
    "a middle entry deleted": (["DELETE FROM audit_entries WHERE seq = 3"], "Entry 3 is missing"),
    "a gap closed up": (
        ["DELETE FROM audit_entries WHERE seq = 3", "UPDATE audit_entries SET seq = 3 WHERE seq = 4",
         "UPDATE audit_entries SET seq = 4 WHERE seq = 5"], "Entry 3 is not"),
    "two entries swapped": (
        ["UPDATE audit_entries SET seq = 99 WHERE seq = 2", "UPDATE audit_entries SET seq = 2 WHERE seq = 3",
         "UPDATE audit_entries SET seq = 3 WHERE seq = 99"], "Entry 2 is not"),
    "an entry inserted at the end": ([FORGED.format(seq=6, hash="hash")], "Entry 6 is not"),
    "an entry inserted outside the chain": ([FORGED.format(seq="NULL", hash="NULL")], "outside the chain"),
    "an entry taken out of the chain": (["UPDATE audit_entries SET seq = NULL WHERE seq = 5"], "entries were cut off"),
    "an entry numbered below the first": ([FORGED.format(seq=0, hash="hash")], "Entry 1 is missing"),
    "the tail cut off": (["DELETE FROM audit_entries WHERE seq > 3"], "ends at entry 3"),
    "everything cut off": (["DELETE FROM audit_entries"], "ends at entry 0"),
    "the tail cut off and its number mended": (
        ["DELETE FROM audit_entries WHERE seq > 3", "UPDATE audit_head SET seq = 3"], "ends at entry 3"),
    "ids exchanged": (
        ["UPDATE audit_entries SET id = 99 WHERE seq = 2", "UPDATE audit_entries SET id = 2 WHERE seq = 3",
         "UPDATE audit_entries SET id = 3 WHERE seq = 2"], "Entry 3 is not in its place"),
    "another head": (["UPDATE audit_head SET hash = '" + GENESIS + "'"], "ends at entry 5"),
    "no head": (["DELETE FROM audit_head"], "ends at entry 5"),
    "everything and the head cut off": (["DELETE FROM audit_entries", "DELETE FROM audit_head"], "ends at entry 0"),
}  # fmt: skip


@pytest.mark.parametrize("tampering", TAMPERINGS)
def test_tampering_is_found_and_its_place_named(database: Database, tampering: str) -> None:
    statements, found = TAMPERINGS[tampering]
    write(database, *range(1, 6))
    assert verdict(database) is None

    tamper(database, *statements)

    assert re.search(found, verdict(database) or "nothing found"), verdict(database)


CUT_OFF = ("DELETE FROM audit_entries WHERE seq > 3", "UPDATE audit_head SET seq = 3, hash = '{hash}'")


def test_a_noted_end_finds_what_was_cut_off_or_written_anew_head_and_all(database: Database) -> None:
    write(database, *range(1, 6))
    with reading(database) as session:
        noted = audit.mark(session)
        third = session.scalar(select(AuditEntry.hash).where(AuditEntry.seq == 3))
    tamper(database, *(statement.format(hash=third) for statement in CUT_OFF))
    assert verdict(database) is None  # nothing in the database itself can tell

    assert "ends at entry 3, and entry 5 was noted" in (verdict(database, noted) or "")
    write(database, 7, 8, 9)
    assert verdict(database, noted) == "Entry 5 is another one than was noted: the chain was rewritten."


def test_a_noted_end_that_is_still_in_the_chain_is_no_trouble(database: Database) -> None:
    write(database, 1, 2)
    with reading(database) as session:
        noted = audit.mark(session)
    write(database, 3)

    assert noted is not None
    assert audit.Mark.parse(f" {noted} ") == noted
    assert verdict(database, noted) is None


@pytest.mark.parametrize("text", ["", "5", "5:", ":" + GENESIS, "-1:" + GENESIS, "5:" + GENESIS + "0", "५:" + GENESIS])
def test_what_is_no_mark_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="A mark is"):
        audit.Mark.parse(text)


def test_an_entry_smuggled_in_is_not_chained_by_the_next_transaction(database: Database) -> None:
    write(database, 1)
    tamper(database, FORGED.format(seq="NULL", hash="NULL"))

    write(database, 2)

    assert "outside the chain" in (verdict(database) or "")


def test_a_rolled_back_change_leaves_neither_entry_nor_gap(database: Database) -> None:
    def fail() -> None:
        with transaction(database, [audit.seal]) as session:
            note(session, 2)
            raise ConflictError("No.")

    write(database, 1)
    with pytest.raises(ConflictError):
        fail()
    write(database, 3)

    with reading(database) as session:
        assert [entry.subject for entry in audit.entries(session)] == ["license-3", "license-1"]
    assert verdict(database) is None


async def test_a_use_case_that_fails_among_others_leaves_no_gap(database: Database) -> None:
    def failing(session: Session) -> None:
        note(session, 99)
        raise ConflictError("No.")

    writer = Writer(database, hooks=[audit.seal])
    for number in range(5):
        await writer.run(lambda session, number=number: note(session, number))  # type: ignore[misc]
        with pytest.raises(ConflictError):
            await writer.run(failing)
    writer.close()

    with reading(database) as session:
        assert len(audit.entries(session)) == 5
    assert verdict(database) is None


def test_parallel_transactions_keep_one_chain(database: Database) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: write(database, number, number + 1000), range(60)))

    with reading(database) as session:
        numbers = sorted(entry.seq or 0 for entry in session.exec(select(AuditEntry)))
    assert numbers == list(range(1, 121))
    assert verdict(database) is None


def test_checking_while_others_write_raises_no_false_alarm(database: Database) -> None:
    write(database, *range(1500))

    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(write, database, number) for number in range(40)]
        verdicts = [verdict(database) for _ in range(5)]
        for each in writing:
            each.result()

    assert verdicts == [None] * 5


def test_sealing_without_entries_does_nothing(database: Database) -> None:
    write(database, 1)
    with reading(database) as session:
        before = session.exec(select(AuditHead)).one().model_dump()

    with transaction(database, [audit.seal]) as session:
        session.execute(text("UPDATE products SET name = name"))
    with transaction(database, [audit.seal, audit.seal]) as session:
        pass

    with reading(database) as session:
        assert session.exec(select(AuditHead)).one().model_dump() == before


def test_entries_are_shown_newest_first_and_by_subject(database: Database) -> None:
    write(database, 1, 2, 3)

    with reading(database) as session:
        assert [entry.seq for entry in audit.entries(session, limit=2)] == [3, 2]
        [entry] = audit.entries(session, subject="license-2")
    assert (entry.actor, entry.request_id, entry.reason) == ("staff:2", "request-2", "reason 2 \u6388\u6743")
    assert entry.detail == '{"before":null,"number":2}'


@given(st.lists(st.text(), min_size=2, max_size=6), st.integers(0, 4))
def test_no_two_ways_of_cutting_a_text_into_fields_hash_alike(fields: list[str], place: int) -> None:
    place = min(place, len(fields) - 2)
    joined = [*fields[:place], fields[place] + fields[place + 1], *fields[place + 2 :]]
    moved = [*fields[:place], fields[place] + fields[place + 1][:1], fields[place + 1][1:], *fields[place + 2 :]]

    assert entry_hash(GENESIS, fields) != entry_hash(GENESIS, joined)
    assert moved == fields or entry_hash(GENESIS, fields) != entry_hash(GENESIS, moved)


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5) | st.none()))
def test_a_detail_has_one_text_whatever_the_order_of_its_members(detail: dict[str, object]) -> None:
    assert canonical(detail) == canonical(dict(reversed(detail.items())))
