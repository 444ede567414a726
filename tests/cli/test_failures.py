"""Whatever goes wrong is one clear sentence on standard error and a non-zero exit code."""

from __future__ import annotations

import os
import pty
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from licsrv.audit import Cause
from licsrv.licensing import changes, store
from tests.cli.conftest import FurnishedHouse, Run
from tests.cli.furnishing import HOSTILE
from tests.postgres_server import PostgresServer

LICSRV = [sys.executable, "-m", "licsrv"]


def test_a_first_start_says_what_to_run(environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path) -> None:
    ran = licsrv("licenses", "list")

    assert (ran.exit_code, ran.out) == (1, "")
    assert ran.err == f"licsrv: There is no database at {tmp_path / 'none.db'}: run `licsrv init` first.\n"
    assert not (tmp_path / "none.db").exists()


def test_an_empty_database_says_what_to_run(environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path) -> None:
    (tmp_path / "none.db").touch()

    ran = licsrv("outbox", "list")

    assert (ran.exit_code, ran.err) == (
        1, f"licsrv: The database {tmp_path / 'none.db'} is empty: run `licsrv init` first.\n",
    )  # fmt: skip


def test_another_version_s_database_is_not_touched(house: FurnishedHouse, licsrv: Run) -> None:
    with house.writing() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    ran = licsrv("licenses", "list")

    assert (ran.exit_code, ran.err.startswith("licsrv: The database is at step 9999 and")) == (1, True)


def test_a_damaged_database_is_told_in_one_sentence(
    environment: pytest.MonkeyPatch, licsrv: Run, tmp_path: Path
) -> None:
    (tmp_path / "none.db").write_bytes(b"\xff" * 10_000)

    ran = licsrv("licenses", "list")

    assert (ran.exit_code, ran.err.count("\n")) == (1, 1)
    assert f"The database {tmp_path / 'none.db'} cannot be used: file is not a database" in ran.err


def test_a_locked_database_is_told_in_one_sentence(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    path = sqlite_house.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:
        busy.execute("PRAGMA journal_mode=WAL")
        busy.execute("BEGIN IMMEDIATE")
        ran = licsrv("licenses", "add", "BY-HAND")

    assert (ran.exit_code, ran.err) == (1, "licsrv: The database is busy; nothing was changed.\n")


def test_a_server_that_is_not_there_is_told_without_its_password(environment: pytest.MonkeyPatch, licsrv: Run) -> None:
    environment.setenv("LICSRV_DATABASE_URL", "postgresql://licsrv:geheim@127.0.0.1:1/licsrv")

    ran = licsrv("licenses", "list")

    assert (ran.exit_code, "geheim" in ran.err) == (1, False)
    assert "postgresql://licsrv:***@127.0.0.1:1/licsrv cannot be used: connection" in ran.err
    assert "refused" in ran.err


def test_the_database_s_own_reason_is_given(
    environment: pytest.MonkeyPatch, licsrv: Run, postgres: PostgresServer
) -> None:
    reasons = {
        postgres.url("not_there"): 'database "not_there" does not exist',
        postgres.url("postgres").replace("postgres@", "ghost@"): 'role "ghost" does not exist',
        postgres.url("postgres") + "&options=-csearch_path%3Dnowhere": "no schema has been selected to create in",
    }
    said = {}
    for address in reasons:
        environment.setenv("LICSRV_DATABASE_URL", address)
        said[address] = licsrv("init", "--quiet").err

    assert {said[address] for address, words in reasons.items() if words not in said[address]} == set()


def test_wrong_settings_are_named_all_at_once(environment: pytest.MonkeyPatch, licsrv: Run) -> None:
    environment.setenv("LICSRV_DATABASE_URL", "mysql://x")
    environment.setenv("LICSRV_PORT", "many")

    ran = licsrv("licenses", "list")

    assert ran.exit_code == 1
    assert ran.err.startswith("licsrv: Settings are wrong:\n")
    assert "LICSRV_DATABASE_URL" in ran.err
    assert "LICSRV_PORT" in ran.err


@pytest.mark.parametrize("words", ["licences list", "licenses lst", "licenses show", "keys list --jsno"])
def test_words_that_are_no_command_are_usage_errors(environment: pytest.MonkeyPatch, licsrv: Run, words: str) -> None:
    ran = licsrv(*words.split())

    assert (ran.exit_code, ran.out) == (2, "")
    assert "Error:" in ran.err


def test_hostile_words_do_not_reach_the_terminal(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    ran = licsrv("licenses", "show", "\x1b[31m[red]x\u202e\x07")

    assert "'\\x1b[31m[red]x\\u202e\\x07'" in ran.err
    assert "\x1b" not in ran.err


@pytest.mark.parametrize("words", ["licenses show", "devices list", "callbacks list --code", "releases list"])
def test_bytes_that_are_no_text_are_told_in_one_sentence(house: FurnishedHouse, licsrv: Run, words: str) -> None:
    ran = licsrv(*words.split(), "\udcff\udcfe")

    assert (ran.exit_code, ran.out) == (1, "")
    assert ran.err == "licsrv: A word of the command holds bytes that are not UTF-8; nothing was changed.\n"


def test_hostile_values_neither_colour_nor_break_the_output(sqlite_house: FurnishedHouse, licsrv: Run) -> None:
    with sqlite_house.writing() as session:
        session.execute(
            text("UPDATE devices SET name = :name, client_version = :version"),
            {"name": "[bold]\x1b[2J\r\n\u2028:smile:", "version": "[/red][link=x]"},
        )

    out = licsrv("devices", "list", sqlite_house.codes.used).out

    assert "[bold]\\x1b[2J" in out
    assert "[/red][link=x]" in out
    assert not {"\x1b", "\r", "\u2028"} & set(out)
    assert licsrv("devices", "list", sqlite_house.codes.used, "--json").out.isascii()


@pytest.mark.soak
def test_a_reader_that_goes_away_is_no_error(sqlite_house: FurnishedHouse) -> None:
    with subprocess.Popen(
        [*LICSRV, "licenses", "list", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # before the command has begun to print
        err = process.stderr.read()

    assert err == ""


def test_an_interrupted_command_is_quiet(monkeypatch: pytest.MonkeyPatch, environment: pytest.MonkeyPatch) -> None:
    program = (
        "import os, signal, sys\nfrom licsrv.cli import app, main\n"
        "@app.command('wait')\ndef wait() -> None:\n    os.kill(os.getpid(), signal.SIGINT)\n"
        "main(['wait'])"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def at_a_terminal(
    words: list[str], typed: str, *, before_the_answer: Callable[[], None] | None = None
) -> tuple[int, str]:
    """Run a command as a person does, typing an answer; return its exit code and what stood on the screen."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen([*LICSRV, *words], stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    screen = b""
    if before_the_answer is not None:
        while b"[y/N]" not in screen:
            screen += os.read(controller, 4096)
        before_the_answer()
    os.write(controller, typed.encode())
    while True:
        try:
            read = os.read(controller, 4096)
        except OSError:  # the terminal ends with its last process
            break
        if not read:
            break
        screen += read
    os.close(controller)
    return process.wait(30), screen.decode()


@pytest.mark.parametrize(
    ("typed", "exit_code", "is_revoked"), [("n\n", 1, False), ("\x04", 1, False), ("y\n", 0, True)]
)
def test_at_a_terminal_a_person_is_asked(
    sqlite_house: FurnishedHouse, typed: str, exit_code: int, is_revoked: bool
) -> None:
    code = sqlite_house.codes.used

    found, screen = at_a_terminal(["licenses", "revoke", code, "--reason", "Charge-back"], typed)

    assert found == exit_code
    assert f"Revoke {code}: 2 devices will stop at the next check-in" in " ".join(screen.split())
    assert (sqlite_house.license(code).revoked_at is not None) == is_revoked
    assert "Traceback" not in screen


@pytest.mark.parametrize("words", [("maintenance", "--until", "2030-01-31"), ("revoke",)], ids=" ".join)
def test_what_changed_while_a_person_thought_about_it_is_not_overrun(
    sqlite_house: FurnishedHouse, words: tuple[str, ...]
) -> None:
    code, theirs = sqlite_house.codes.used, datetime(2030, 1, 1, tzinfo=UTC)

    def colleague() -> None:
        with sqlite_house.writing() as session:
            license = store.license_for_update(session, code)
            assert license is not None
            cause = Cause("staff:bob", reason="Bought another year")
            changes.change_maintenance(session, license, theirs, cause=cause, now=datetime.now(UTC))

    command, *options = words
    found, screen = at_a_terminal(
        ["licenses", command, code, *options, "--reason", "Bought"], "y\n", before_the_answer=colleague
    )

    assert (found, "has changed meanwhile" in screen) == (1, True)
    license = sqlite_house.license(code)
    assert (license.maintenance_until, license.revoked_at) == (theirs, None)


@pytest.mark.soak
def test_nobody_is_asked_who_said_yes(sqlite_house: FurnishedHouse) -> None:
    found, screen = at_a_terminal(
        ["licenses", "revoke", sqlite_house.codes.used, "--reason", "Charge-back", "--yes"], ""
    )

    assert (found, "?" in screen) == (0, False)


@pytest.mark.soak
def test_a_terminal_is_coloured_and_a_pipe_is_not(
    sqlite_house: FurnishedHouse, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("TERM", "xterm-256color")

    _, screen = at_a_terminal(["licenses", "list"], "")
    piped = subprocess.run([*LICSRV, "licenses", "list"], capture_output=True, text=True)

    assert "\x1b[32mACTIVE" in screen
    assert "\x1b" not in piped.stdout
    assert HOSTILE not in piped.stdout
