"""``licsrv doctor`` without the network."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from licsrv import audit
from licsrv.audit import Action, Cause, heads
from licsrv.audit.heads import Noted
from licsrv.licensing.tables import DeviceText
from licsrv.marketplace.open_api.guarded import key_pair_id
from licsrv.marketplace.tables import Gate
from licsrv.platform.clock import Clock
from licsrv.platform.db import open_database, reading, transaction
from tests.cli.conftest import FurnishedHouse, Ran, Run
from tests.conftest import AK
from tests.pgbouncer import PgBouncer, program
from tests.postgres_server import PostgresServer


def level(ran: Ran, words: str) -> str:
    """Return the level of the one check that says these words."""
    (found,) = [check["level"] for check in ran.document["checks"] if words in check["detail"] + check["advice"]]
    return str(found)


def examine(licsrv: Run) -> Ran:
    return licsrv("doctor", "--offline", "--json")


def test_a_good_house_has_no_problem(house: FurnishedHouse, licsrv: Run) -> None:
    (parked,) = licsrv("outbox", "list", "--state", "PARKED", "--json").document["deliveries"]
    licsrv("outbox", "drop", parked["id"], "--reason", "the code is gone")

    ran = examine(licsrv)

    # The tests' server forgets what was not flushed, their keys are plain, and their files are copies.
    known = ("PostgreSQL runs with", "The private keys are not encrypted", "Others on this machine may read")
    found = [check for check in ran.document["checks"] if check["level"] != "ok"]
    assert not [check for check in found if not check["detail"].startswith(known)]
    assert ran.exit_code == any(check["level"] == "problem" for check in found)
    areas = {check["area"] for check in ran.document["checks"]}
    assert areas == {"settings", "keys", "database", "audit", "outbox", "people"}
    assert all(check.keys() == {"area", "level", "detail", "advice"} for check in ran.document["checks"])


def test_a_page_for_people_counts_what_it_found(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("doctor", "--offline")

    assert ran.exit_code == 0
    assert "1 parked: the marketplace refused them for good." in " ".join(ran.out.split())
    assert ran.out.splitlines()[-1].startswith("0 problem(s), ")


def test_looking_changes_nothing(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    def files() -> dict[str, str]:
        return {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in tmp_path.rglob("*") if path.is_file()
        }

    before = files()

    examine(licsrv)

    assert files() == before


def test_looking_makes_nothing(environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path) -> None:
    environment.setenv("LICSRV_DATABASE_URL", f"sqlite:///{tmp_path}/var/none.db")
    environment.setenv("LICSRV_KEYS_DIR", str(tmp_path / "nothing"))

    ran = examine(licsrv)

    assert ran.exit_code == 1
    assert level(ran, "There is no database at") == "problem"
    assert level(ran, "device.key is missing") == "problem"
    assert not (tmp_path / "var").exists()
    assert not (tmp_path / "nothing").exists()


def test_wrong_settings_are_told_one_by_one_and_alone(environment: pytest.MonkeyPatch, licsrv: Run) -> None:
    environment.setenv("LICSRV_PORT", "many")
    environment.setenv("LICSRV_WORKERS", "0")
    environment.setenv("LICSRV_DEVICE_LIMITS", "3")

    ran = examine(licsrv)

    assert ran.exit_code == 1
    assert level(ran, "LICSRV_PORT") == "problem"
    assert level(ran, "LICSRV_WORKERS") == "problem"
    assert level(ran, "LICSRV_DEVICE_LIMITS (did you mean LICSRV_DEVICE_LIMIT?)") == "warning"
    assert {check["area"] for check in ran.document["checks"]} == {"settings"}


@pytest.mark.parametrize(
    ("changes", "words", "expected"),
    [
        ({"CALLBACK_ACCESS_KEYS": ""}, "No callback access key is set", "warning"),
        ({"MARKETPLACE_AK": "", "MARKETPLACE_SK": ""}, "No open API key pair is set", "warning"),
        ({"ALLOW_TEST_CLOCK": "1"}, "The test clock is on", "warning"),
        ({"ALLOW_TEST_CLOCK": "1", "HOST": "0.0.0.0"}, "The test clock is on", "problem"),
        ({"ALLOW_INSECURE_MARKETPLACE": "1"}, "without TLS", "warning"),
        ({"HOST": "0.0.0.0"}, "trusts no proxy", "warning"),
        ({"HOST": "0.0.0.0", "TRUSTED_PROXIES": "*"}, "believed from every caller", "problem"),
        ({"HOST": "0.0.0.0", "TRUSTED_PROXIES": "10.0.0.7"}, "Complete, and nothing", "ok"),
        ({"KEYS_PASSPHRASE": "secret"}, "encrypted at a low cost", "warning"),
    ],
)
def test_dangerous_settings_are_named(
    sqlite_house: FurnishedHouse,
    environment: pytest.MonkeyPatch,
    licsrv: Run,
    changes: dict[str, str],
    words: str,
    expected: str,
) -> None:
    for name, value in changes.items():
        environment.setenv(f"LICSRV_{name}", value)

    ran = examine(licsrv)

    assert level(ran, words) == expected
    assert ran.exit_code == (1 if expected == "problem" else 0)


def test_a_key_that_others_can_read_is_a_problem(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    (tmp_path / "keys" / "device.key").chmod(0o640)

    ran = examine(licsrv)

    assert (ran.exit_code, level(ran, "may read or change device.key")) == (1, "problem")


@pytest.mark.parametrize(("days", "expected"), [(364, "ok"), (366, "warning")])
def test_a_key_is_to_be_replaced_after_a_year(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, days: int, expected: str
) -> None:
    for path in (tmp_path / "keys").glob("*.json"):
        made = (datetime.now(UTC) - timedelta(days=days)).isoformat()
        path.write_text(json.dumps(json.loads(path.read_text()) | {"created_at": made}))

    ran = examine(licsrv)

    assert level(ran, "each lease") == expected


def test_a_damaged_key_is_a_problem(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    next((tmp_path / "keys").glob("*.pem")).write_text("no key")

    assert level(examine(licsrv), "holds no private key") == "problem"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE licenses SET places_taken = places_taken + 1", "Places are counted wrong for"),
        ("UPDATE audit_entries SET reason = 'forged' WHERE seq = 2", "Entry 2 is not what was written."),
        ("UPDATE alembic_version SET version_num = '0000'", "The database is at step 0000"),
        ("DELETE FROM alembic_version", "The database is empty"),
    ],
)
def test_a_database_that_is_wrong_in_itself_is_a_problem(
    house: FurnishedHouse, licsrv: Run, statement: str, words: str
) -> None:
    with house.writing() as session:
        session.execute(text(statement))

    ran = examine(licsrv)

    assert (ran.exit_code, level(ran, words)) == (1, "problem")


def test_a_place_that_many_machines_use_is_a_warning(house: FurnishedHouse, licsrv: Run) -> None:
    with house.writing() as session:
        for number in range(3):
            said = DeviceText(day=datetime.now(UTC).date(), device_id="d", text_hash=str(number), license_id="l")
            session.add(said)

    assert level(examine(licsrv), "1 device(s) described themselves in many ways") == "warning"


def test_a_damaged_file_is_a_problem(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    path = Path(sqlite_house.url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 20] = b"\xff" * (4096 * 17)
    path.write_bytes(content)

    ran = examine(licsrv)

    assert ran.exit_code == 1
    assert "problem" in {check["level"] for check in ran.document["checks"] if check["area"] == "database"}


def test_a_server_that_may_lose_what_it_acknowledged_is_a_problem(postgres_house: FurnishedHouse, licsrv: Run) -> None:
    ran = examine(licsrv)  # the server of the tests forces nothing to disk

    assert level(ran, "fsync=off") == "problem"
    assert ran.exit_code == 1


def test_an_outbox_that_stands_still_is_a_warning(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    with sqlite_house.writing() as session:
        long_ago = (datetime.now(UTC) - timedelta(hours=7)).isoformat(" ")
        session.execute(text("UPDATE outbox SET created_at = :long_ago"), {"long_ago": long_ago})

    assert level(examine(licsrv), "2 waiting, the oldest for 7 hours.") == "warning"


def test_paused_calls_are_a_problem(house: FurnishedHouse, licsrv: Run) -> None:
    with house.writing() as session:
        until = datetime.now(UTC) + timedelta(minutes=6)
        session.merge(Gate(key_pair=key_pair_id(AK), failures=5, paused_until=until, reason="locked"))

    ran = examine(licsrv)

    assert (ran.exit_code, level(ran, "The key pair was refused 5 time(s)")) == (1, "problem")
    assert AK not in ran.out


def test_the_way_to_postgresql_is_named(postgres_house: FurnishedHouse, licsrv: Run) -> None:
    assert level(examine(licsrv), "Connections lead to the server itself") == "ok"


@pytest.mark.skipif(program() is None, reason="NO PGBOUNCER ON THIS MACHINE: POOLERS ARE NOT TESTED")
def test_a_pooler_is_named_with_its_mode(
    postgres_house: FurnishedHouse, licsrv: Run, postgres: PostgresServer, environment: pytest.MonkeyPatch
) -> None:
    name = postgres_house.url.partition("@/")[2].partition("?")[0]
    with closing(PgBouncer(postgres, mode="transaction")) as pooler:
        environment.setenv("LICSRV_DATABASE_URL", pooler.url(name))
        assert level(examine(licsrv), "A pooler in transaction mode") == "ok"


def test_a_standby_is_a_problem(postgres_house: FurnishedHouse, licsrv: Run) -> None:
    name = postgres_house.url.partition("@/")[2].partition("?")[0]
    with closing(psycopg.connect(postgres_house.url, autocommit=True)) as connection:
        connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")

    assert level(examine(licsrv), "The database is read-only") == "problem"


def test_a_database_that_is_not_utf8_is_a_problem(
    postgres: PostgresServer, licsrv: Run, environment: pytest.MonkeyPatch
) -> None:
    with closing(psycopg.connect(postgres.dsn(), autocommit=True)) as connection:
        connection.execute("DROP DATABASE IF EXISTS ascii_only")
        connection.execute(
            "CREATE DATABASE ascii_only TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'"
        )
    environment.setenv("LICSRV_DATABASE_URL", postgres.url("ascii_only"))

    assert level(examine(licsrv), "encoding is SQL_ASCII") == "problem"
    ran = licsrv("init", "--quiet")
    assert (ran.exit_code, "licsrv needs UTF8" in ran.err, "Traceback" in ran.err) == (1, True, False)


@pytest.mark.parametrize(("mode", "is_named"), [(0o600, False), (0o640, True), (0o604, True), (0o644, True)])
def test_a_database_file_that_others_can_read_is_a_warning(
    sqlite_house: FurnishedHouse, licsrv: Run, mode: int, *, is_named: bool
) -> None:
    path = Path(sqlite_house.url.removeprefix("sqlite:///"))
    for found in path.parent.glob(f"{path.name}*"):
        found.chmod(mode)

    details = [check["detail"] for check in examine(licsrv).document["checks"] if check["area"] == "database"]

    assert any(detail.startswith("Others on this machine may read") for detail in details) == is_named


@pytest.mark.parametrize(("host", "expected"), [("127.0.0.1", "warning"), ("0.0.0.0", "problem"), ("::", "problem")])
def test_addresses_that_any_caller_may_claim_are_named(
    sqlite_house: FurnishedHouse, licsrv: Run, environment: pytest.MonkeyPatch, host: str, expected: str
) -> None:
    environment.setenv("LICSRV_TRUSTED_PROXIES", "*")
    environment.setenv("LICSRV_HOST", host)

    assert level(examine(licsrv), "X-Forwarded-For is believed from every caller") == expected


def test_plain_keys_are_a_warning(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    assert level(examine(licsrv), "The private keys are not encrypted") == "warning"


def test_rows_that_this_server_did_not_write_are_named(house: FurnishedHouse, licsrv: Run) -> None:
    licsrv("accounts", "add", "ann", "--role", "operator")
    licsrv("accounts", "add", "bob", "--role", "viewer")
    with house.writing() as session:
        session.execute(text("UPDATE staff_accounts SET role = 'operator' WHERE name = 'bob'"))
        session.execute(text("UPDATE issued_licenses SET seal = NULL"))

    ran = licsrv("doctor", "--offline", "--json")

    problems = {check["area"]: check["detail"] for check in ran.document["checks"] if check["level"] == "problem"}
    assert ran.exit_code == 1
    assert "account bob." in problems["people"]
    assert "5 license(s) on record were not issued by this server" in problems["licenses"]
    assert licsrv("keys", "reseal", "--reason", "Compared with a backup.", "--yes").exit_code == 0
    checks = examine(licsrv).document["checks"]  # the tests' PostgreSQL has problems of its own
    assert {"people", "licenses"}.isdisjoint(check["area"] for check in checks if check["level"] == "problem")


def test_the_ends_in_the_second_place_are_compared(
    house: FurnishedHouse, licsrv: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "heads"
    environment.setenv("LICSRV_AUDIT_HEADS", f"file:{path}")

    def said() -> list[tuple[str, str]]:
        checks = licsrv("doctor", "--offline", "--json").document["checks"]
        return [(check["level"], check["detail"]) for check in checks if str(path) in check["detail"]]

    nothing = said()
    end = licsrv("audit", "verify", "--json").document["end"]
    path.write_text(f"{Clock().now().isoformat()} {end}\n")
    good = said()
    path.write_text(f"{Clock().now().isoformat()} 999:{'0' * 64}\n")
    gone = said()
    path.write_text(f"2026-01-01T00:00:00+00:00 {end}\n")
    late = said()

    assert [levels[0][0] for levels in (nothing, good, gone, late)] == ["warning", "ok", "problem", "warning"]
    assert "Entry 999" in gone[0][1]


def test_an_end_noted_while_the_database_is_read_is_not_missing(
    house: FurnishedHouse, licsrv: Run, environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path, read = tmp_path / "heads", heads.read
    environment.setenv("LICSRV_AUDIT_HEADS", f"file:{path}")

    def read_after_another_entry(place: Path) -> Sequence[Noted]:
        database = open_database(house.url)
        with transaction(database, [audit.seal]) as session:
            audit.record(session, Action.NOTE_ADDED, subject="x", cause=Cause("x"), now=Clock().now())
        with reading(database) as session:
            end = audit.mark(session)
        database.dispose()
        assert end is not None
        heads.write(f"file:{path}", Noted(Clock().now(), end))
        return read(place)

    environment.setattr(heads, "read", read_after_another_entry)

    checks = licsrv("doctor", "--offline", "--json").document["checks"]

    assert [check["level"] for check in checks if str(path) in check["detail"]] == ["ok"]
