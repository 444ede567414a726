"""``licsrv backup``."""

from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from licsrv.cli import backup
from licsrv.errors import StorageError
from tests.cli.conftest import FurnishedHouse, Run


def test_a_backup_is_the_whole_database_in_one_file(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"

    ran = licsrv("backup", "create", target, "--json")

    assert ran.document == {
        "path": str(target), "bytes": target.stat().st_size, "is_intact": True, "keys_dir": str(tmp_path / "keys"),
    }  # fmt: skip
    with closing(sqlite3.connect(target)) as connection:
        codes = {code for (code,) in connection.execute("SELECT code FROM licenses")}
    assert sqlite_house.codes.used in codes
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_backup_can_be_worked_with(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    licsrv("backup", "create", tmp_path / "copy.db")

    environment.setenv("LICSRV_DATABASE_URL", f"sqlite:///{tmp_path / 'copy.db'}")

    assert licsrv("licenses", "show", sqlite_house.codes.used).exit_code == 0
    assert licsrv("audit", "verify").exit_code == 0


def test_a_backup_holds_what_stands_in_the_log_beside_the_file(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    path = sqlite_house.url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, isolation_level=None)) as busy:  # a service that runs
        busy.execute("PRAGMA journal_mode=WAL")
        busy.execute("UPDATE licenses SET customer = 'from the log'")
        assert Path(path + "-wal").stat().st_size > 0

        ran = licsrv("backup", "create", tmp_path / "copy.db")

    assert ran.exit_code == 0
    with closing(sqlite3.connect(tmp_path / "copy.db")) as connection:
        assert {row for (row,) in connection.execute("SELECT customer FROM licenses")} == {"from the log"}


def test_a_backup_says_that_the_keys_belong_to_it(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    out = licsrv("backup", "create", tmp_path / "copy.db").out

    assert f"Back up {tmp_path / 'keys'}/ too" in " ".join(out.split())


def test_a_backup_never_overwrites(sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    target = tmp_path / "copy.db"
    target.write_text("precious")

    ran = licsrv("backup", "create", target)

    assert (ran.exit_code, "never overwrites" in ran.err) == (1, True)
    assert target.read_text() == "precious"


def test_a_folder_that_is_not_there_is_told_in_one_sentence(
    sqlite_house: FurnishedHouse, licsrv: Run, tmp_path: Path
) -> None:
    ran = licsrv("backup", "create", tmp_path / "none" / "copy.db")

    assert (ran.exit_code, ran.err) == (
        1, f"licsrv: No such file or directory: {tmp_path / 'none' / 'copy.db'}\n",
    )  # fmt: skip


def test_a_damaged_database_leaves_no_backup_behind(tmp_path: Path) -> None:
    source = tmp_path / "source.db"
    source.write_bytes(b"SQLite format 3\x00" + b"\xff" * 8000)

    with pytest.raises(StorageError):
        backup.copy(source, tmp_path / "copy.db")

    assert [path.name for path in tmp_path.iterdir()] == ["source.db"]


def test_postgresql_is_left_to_its_own_tool(postgres_house: FurnishedHouse, licsrv: Run, tmp_path: Path) -> None:
    ran = licsrv("backup", "create", tmp_path / "copy")

    assert (ran.exit_code, ran.out) == (1, "")
    assert "pg_dump --format=custom" in ran.err
    assert "keys/" in ran.err
    assert not (tmp_path / "copy").exists()
