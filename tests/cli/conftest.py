"""Commands run in this process against a furnished house, on both databases."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlmodel import Session, select

from licsrv.cli import main
from licsrv.licensing.tables import License
from licsrv.platform.db import open_database, reading, transaction
from tests.cli.furnishing import Furnished, furnish
from tests.conftest import ACCESS_KEY, AK, SK
from tests.postgres_server import PostgresServer

_numbers = itertools.count()
UID = 1234
ANN = f"terminal:{UID} (ann)"


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it printed."""

    exit_code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.out)
        return document


Run = Callable[..., Ran]


@dataclass(frozen=True)
class FurnishedHouse:
    """A furnished database, and the codes in it."""

    url: str
    codes: Furnished

    def license(self, code: str) -> License:
        database = open_database(self.url)
        with reading(database) as session:
            license = session.scalars(select(License).where(License.code == code)).one()
            session.expunge_all()
        database.dispose()
        return license

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Change something behind the commands' back."""
        database = open_database(self.url)
        with transaction(database) as session:
            yield session
        database.dispose()


@pytest.fixture
def licsrv(capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command as the console script does."""

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, keys_dir: Path) -> pytest.MonkeyPatch:
    """Settings of a complete installation; the database is named by whoever needs one."""
    keys = tmp_path / "keys"
    shutil.copytree(keys_dir, keys)
    values = {
        "LICSRV_DATABASE_URL": f"sqlite:///{tmp_path / 'none.db'}",
        "LICSRV_KEYS_DIR": str(keys),
        "LICSRV_CALLBACK_ACCESS_KEYS": ACCESS_KEY,
        "LICSRV_MARKETPLACE_AK": AK,
        "LICSRV_MARKETPLACE_SK": SK,
        "LICSRV_MARKETPLACE_URLS": "https://first.test",
        "COLUMNS": "100",
        "LOGNAME": "ann",
        "SUDO_UID": str(UID),
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture(scope="session")
def furnished_sqlite(
    sqlite_pattern: Path, keys_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Furnished]:
    path = tmp_path_factory.mktemp("furnished") / "furnished.db"
    shutil.copyfile(sqlite_pattern, path)
    return path, asyncio.run(furnish(f"sqlite:///{path}", keys_dir))


@pytest.fixture(scope="session")
def furnished_postgres(postgres: PostgresServer, keys_dir: Path) -> tuple[PostgresServer, Furnished]:
    with closing(psycopg.connect(postgres.dsn(), autocommit=True)) as connection:
        connection.execute("CREATE DATABASE furnished TEMPLATE pattern")
    return postgres, asyncio.run(furnish(postgres.url("furnished"), keys_dir))


@pytest.fixture
def sqlite_house(
    furnished_sqlite: tuple[Path, Furnished], tmp_path: Path, environment: pytest.MonkeyPatch
) -> FurnishedHouse:
    pattern, codes = furnished_sqlite
    shutil.copyfile(pattern, tmp_path / "house.db")
    url = f"sqlite:///{tmp_path / 'house.db'}"
    environment.setenv("LICSRV_DATABASE_URL", url)
    return FurnishedHouse(url, codes)


@pytest.fixture
def postgres_house(
    furnished_postgres: tuple[PostgresServer, Furnished], environment: pytest.MonkeyPatch
) -> Iterator[FurnishedHouse]:
    server, codes = furnished_postgres
    name = f"house_{next(_numbers)}"
    with closing(psycopg.connect(server.dsn(), autocommit=True)) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE furnished")
    environment.setenv("LICSRV_DATABASE_URL", server.url(name))
    yield FurnishedHouse(server.url(name), codes)
    with closing(psycopg.connect(server.dsn(), autocommit=True)) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def house(request: pytest.FixtureRequest) -> FurnishedHouse:
    """A furnished house, on both engines in turn."""
    found: FurnishedHouse = request.getfixturevalue("sqlite_house" if request.param == "sqlite" else "postgres_house")
    return found
