"""``licsrv audit``."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text

from licsrv import app as application
from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.desk.audit import store
from licsrv.licensing.key_folder import KeyFolder
from licsrv.platform import config
from licsrv.platform.clock import Clock
from licsrv.platform.db import open_database, transaction
from tests.cli.conftest import FurnishedHouse, Run


def test_entries_are_listed_newest_first(house: FurnishedHouse, licsrv: Run) -> None:
    entries = licsrv("audit", "list", "--json").document["entries"]

    assert [entry["seq"] for entry in entries] == list(range(len(entries), 0, -1))
    assert entries[0].keys() == {
        "seq", "at", "actor", "action", "subject", "reason", "detail", "request_id", "client_request_id", "hash",
    }  # fmt: skip


def test_those_of_a_license_are_found_by_its_code(house: FurnishedHouse, licsrv: Run) -> None:
    of_code = licsrv("audit", "list", "--of", house.codes.frozen, "--json").document["entries"]
    of_id = licsrv("audit", "list", "--of", house.license(house.codes.frozen).id, "--json").document["entries"]

    assert of_code == of_id
    assert [entry["action"] for entry in of_code] == ["LICENSE_FROZEN", "DEVICE_ACTIVATED", "LICENSE_ACTIVATED"]


def test_those_of_an_action_can_be_asked_for(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    frozen = licsrv("audit", "list", "--action", "license_frozen", "--json").document["entries"]

    assert [entry["action"] for entry in frozen] == ["LICENSE_FROZEN"]
    assert licsrv("audit", "list", "--action", "COFFEE").exit_code == 2
    assert licsrv("audit", "list", "--of", "nobody").err == "The audit has no such entry.\n"


def test_the_list_for_people_says_what_changed(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    out = licsrv("audit", "list").out

    assert "LICENSE_CHANGED" in out
    assert " -> " in out


def test_an_intact_audit_says_so(house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("audit", "verify", "--json")

    assert ran.exit_code == 0
    entries, end = ran.document["entries"], ran.document["end"]
    assert ran.document == {"is_intact": True, "entries": entries, "end": end, "problem": None}
    assert entries > 5
    assert end.startswith(f"{entries}:")
    assert end in licsrv("audit", "verify", "--noted", end).out


def test_an_end_that_was_noted_finds_what_the_database_cannot_tell(house: FurnishedHouse, licsrv: Run) -> None:
    end = licsrv("audit", "verify", "--json").document["end"]
    with house.writing() as session:
        session.execute(text("DELETE FROM audit_entries WHERE seq > 4"))
        session.execute(text("UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit_entries WHERE seq = 4)"))

    ran = licsrv("audit", "verify", "--noted", end)

    assert (ran.exit_code, "was noted: entries were cut off" in ran.out) == (1, True)
    assert licsrv("audit", "verify", "--noted", "4").exit_code == 2


def test_the_export_holds_every_entry_in_the_order_of_the_chain(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    file, rest = tmp_path / "audit.jsonl", tmp_path / "rest.jsonl"

    ran = licsrv("audit", "export", file, "--json")
    assert licsrv("audit", "export", rest, "--after", 3).exit_code == 0

    lines = file.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert ran.document == {"file": str(file), "entries": len(lines)}
    end = licsrv("audit", "verify", "--json").document["end"]
    assert end == f"{len(lines)}:{json.loads(lines[-1])['hash']}"
    assert rest.read_text(encoding="utf-8").splitlines() == lines[3:]
    assert sorted(path.name for path in tmp_path.glob("*.draft")) == []


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE audit_entries SET actor = 'staff:eve' WHERE seq = 3", "Entry 3 is not what was written."),
        ("DELETE FROM audit_entries WHERE seq = 2", "Entry 2 is missing"),
        ("DELETE FROM audit_entries WHERE seq > 4", "entries were cut off"),
    ],
)
def test_a_changed_audit_fails(house: FurnishedHouse, licsrv: Run, statement: str, words: str) -> None:
    with house.writing() as session:
        session.execute(text(statement))

    ran = licsrv("audit", "verify")

    assert (ran.exit_code, words in ran.out) == (1, True)
    assert licsrv("audit", "verify", "--json").document["is_intact"] is False


def test_a_rewritten_chain_is_found_until_a_person_believes_it(house: FurnishedHouse, licsrv: Run) -> None:
    assert licsrv("init", "--json").exit_code == 0
    with house.writing() as session:
        session.execute(text("UPDATE audit_entries SET seal = NULL WHERE seq >= 3"))
        session.execute(text("UPDATE audit_head SET seal = NULL"))

    found = licsrv("audit", "verify")
    checked = licsrv("doctor", "--offline")
    unasked = licsrv("keys", "reseal", "--reason", "Compared with a backup.")
    resealed = licsrv("keys", "reseal", "--reason", "Compared with a backup.", "--yes")
    after = licsrv("audit", "verify")

    assert (found.exit_code, "Entry 3 has no valid seal" in found.out) == (1, True)
    assert "Entry 3 has no valid seal" in " ".join(checked.out.split())
    assert (unasked.exit_code, resealed.exit_code, after.exit_code) == (1, 0, 0), after.out
    entry = licsrv("audit", "list", "--action", "RESEALED", "--json").document["entries"][0]
    assert entry["reason"] == "Compared with a backup."


def test_a_new_seal_key_seals_and_the_one_before_verifies(house: FurnishedHouse, licsrv: Run) -> None:
    made = licsrv("keys", "new", "seal", "--json").document["key"]
    again = licsrv("keys", "new", "seal", "--json").document["key"]
    used = licsrv("keys", "new", "seal", "--use", "--json").document["key"]
    assert made == again == used
    assert licsrv("keys", "new", "seal", "--use").err.startswith("licsrv: No seal key waits.")
    licsrv("licenses", "add", "PL-AFTER")

    with house.writing() as session:
        seals = [row[0] for row in session.execute(text("SELECT seal FROM audit_entries ORDER BY seq"))]
    assert len({seal.partition(".")[0] for seal in seals}) == 2
    assert seals[-1].startswith(made["id"])
    assert licsrv("audit", "verify").exit_code == 0


def test_a_process_with_the_keys_of_before_writes_on_while_they_rotate(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("init", "--quiet")
    licsrv("keys", "new", "seal")
    settings = config.load()
    older = KeyFolder(settings.keys_dir).seals()  # of a server that has not read the folder again, or a replica
    database = open_database(settings.database_url)
    database.seal_with(lambda: older)
    licsrv("keys", "new", "seal", "--use")

    with transaction(database) as session:
        audit.record(session, Action.NOTE_ADDED, subject="x", cause=Cause("test"), now=datetime.now(UTC))
    database.dispose()
    licsrv("licenses", "add", "PL-AFTER")

    assert licsrv("audit", "verify").exit_code == 0


def test_a_restored_database_from_before_the_seals_is_served_and_named(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("init", "--quiet")
    with house.writing() as session:
        session.execute(text("UPDATE audit_entries SET seal = NULL"))
        session.execute(text("UPDATE audit_head SET seal = NULL"))

    started = licsrv("init")

    assert started.exit_code == 0
    assert "run `licsrv keys reseal`" in started.err
    assert "licsrv keys reseal" in asyncio.run(readiness())


async def readiness() -> str:
    runtime = application.build_runtime(config.load(), clock=Clock())
    transport = httpx2.ASGITransport(app=application.create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as http:
        answer = await http.get("/readyz")
    await runtime.close()
    assert answer.status_code == 200
    return answer.text


def test_a_database_older_than_seals_is_sealed_at_the_upgrade_and_never_by_itself_again(
    house: FurnishedHouse, licsrv: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "keys" / "seal.key").unlink()
    with house.writing() as session:
        session.execute(text("UPDATE audit_entries SET seal = NULL"))
        session.execute(text("UPDATE audit_head SET seal = NULL"))
    assert licsrv("init", "--quiet").exit_code == 0
    assert licsrv("audit", "verify").exit_code == 0

    with house.writing() as session:
        session.execute(text("UPDATE audit_entries SET seal = NULL WHERE seq = 2"))
    licsrv("init", "--quiet")

    assert "Entry 2 has no valid seal" in licsrv("audit", "verify").out


def test_another_seal_key_than_the_databases_is_refused_and_seals_nothing(
    house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    licsrv("init", "--quiet")
    (tmp_path / "keys" / "seal.key").unlink()

    ran = licsrv("init", "--quiet")

    assert (ran.exit_code, "sealed under another key" in ran.err) == (1, True)
    assert licsrv("audit", "verify").exit_code == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM audit_entries WHERE seq = 2",
        "DELETE FROM audit_entries WHERE seq > 4",
        "DELETE FROM audit_entries",
        "UPDATE audit_entries SET seq = NULL WHERE seq = 3",
        "UPDATE audit_head SET hash = 'x'",
        "DELETE FROM audit_head",
    ],
)
def test_a_gap_in_a_long_chain_is_found_without_reading_it(house: FurnishedHouse, statement: str) -> None:
    with house.writing() as session:
        assert store.gap(session) is None

        session.execute(text(statement))
        session.expire_all()

        assert store.gap(session) is not None
