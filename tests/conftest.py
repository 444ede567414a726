"""The common ground of all tests: both real databases, keys made at run time, the emulator in the same process."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import hypothesis
import pytest
import starlette.routing
import structlog

from licsrv import app as application
from licsrv import migrations
from licsrv.emulator.app import create_app as create_emulator
from licsrv.emulator.emulator import Emulator
from licsrv.emulator.settings import EmulatorSettings
from licsrv.licensing.key_folder import KeyFolder
from licsrv.platform.clock import Clock
from licsrv.platform.config import Settings, load
from licsrv.platform.db import open_database
from licsrv.runtime import Runtime
from tests.postgres_server import PostgresServer, start
from tests.quick_folder import quick_folder
from tests.soak import IS_WHOLE

os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(quick_folder(for_programs=True)))
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a job in the background; a test's programs would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)
hypothesis.settings.register_profile("without a clock", deadline=None)  # a busy machine is no fault of the code
hypothesis.settings.load_profile("without a clock")
# Every application that a test builds has the same two hundred addresses.
starlette.routing.compile_path = functools.cache(starlette.routing.compile_path)
# The default format colours every traceback, which takes longer than many a test.
structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.KeyValueRenderer(["event"])])

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ACCESS_KEY = "test-callback-access-key"
AK, SK = "TESTAK", "test-secret-key"
DEVICE = "04:7C:16:5E:E3:5D|001B_444A_488B_5CEC.|BOARD-1|BFEBFBFF00090672"
OTHER_DEVICE = "AA:BB:CC:00:11:22|WD-1234|BOARD-2|BFEBFBFF00090672"

_numbers = itertools.count()
# These look at what a page, a role or a message means. Rows, races and locks of what they call are tested below it, on
# both databases, so PostgreSQL's half of these is in the soak, and a fifth of it in the short one.
_ON_POSTGRESQL_IN_THE_SOAK = (
    "tests/cli/", "tests/console/", "tests/people/", "tests/releases/", "tests/desk/releases/", "tests/desk/reports/",
    "tests/marketplace/callbacks/test_license_v1.py", "tests/desk/test_matrix.py", "tests/desk/licenses/",
    "tests/marketplace/callbacks/test_online_license.py", "tests/marketplace/reconciliation/test_runs.py",
    "tests/marketplace/callbacks/test_callbacks.py", "tests/marketplace/licenses/test_ends.py",
    "tests/marketplace/reconciliation/test_repair.py", "tests/desk/reconciliation/", "tests/desk/today/",
    "tests/desk/bulk/test_limits.py", "tests/licensing/issuing/", "tests/stories/",
    "tests/licensing/test_activation.py", "tests/marketplace/test_deliveries.py",
    "tests/marketplace/licenses/test_introduction.py",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before pytest selects by marker
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if _is_for_the_soak(item):
            item.add_marker(pytest.mark.soak)
    second_halves = [item for item in items if _is_for_the_soak(item)]
    left_out = set() if IS_WHOLE else {*second_halves} - {*second_halves[::5]}
    config.hook.pytest_deselected(items=[*left_out])
    items[:] = [item for item in items if item not in left_out]


def _is_for_the_soak(item: pytest.Item) -> bool:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    return "postgresql" in parameters.values() and item.nodeid.startswith(_ON_POSTGRESQL_IN_THE_SOAK)


class StandingClock(Clock):
    """A clock that moves only when a test says so."""

    def __init__(self, now: datetime = NOW) -> None:
        super().__init__()
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move_to(self, moment: datetime) -> None:
        self._now = moment

    def advance(self, **span: float) -> None:
        self._now += timedelta(**span)


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = start()
    if server is None:
        pytest.skip("NO POSTGRESQL ON THIS MACHINE AND NO WHEEL WITH IT: HALF OF THE SUITE IS LEFT OUT")
    server.execute("CREATE DATABASE pattern")
    database = open_database(server.url("pattern"))
    migrations.upgrade(database)
    database.dispose()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sqlite_pattern(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pattern") / "pattern.db"
    database = open_database(f"sqlite:///{path}")
    migrations.upgrade(database)
    database.dispose()
    return path


@pytest.fixture
def database_folder() -> Iterator[Path]:
    """A folder for files of SQLite, in memory even where programs may not be run there."""
    with tempfile.TemporaryDirectory(prefix="licsrv-", dir=quick_folder()) as name:
        yield Path(name)


@pytest.fixture
def sqlite_url(sqlite_pattern: Path, database_folder: Path) -> str:
    shutil.copyfile(sqlite_pattern, database_folder / "licsrv.db")
    return f"sqlite:///{database_folder / 'licsrv.db'}"


@contextmanager
def new_sqlite_url(pattern: Path) -> Iterator[str]:
    """A fresh database at the newest step, for tests that need several; it is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="licsrv-", dir=quick_folder()) as folder:
        shutil.copyfile(pattern, f"{folder}/licsrv.db")
        yield f"sqlite:///{folder}/licsrv.db"


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    with new_postgres_url(postgres) as url:
        yield url


@contextmanager
def new_postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A fresh database at the newest step; it is gone afterwards."""
    name = f"test_{next(_numbers)}"
    # Since version 15 the pattern would go through the log, block by block: three times as long.
    strategy = "STRATEGY FILE_COPY" if postgres.version >= 150_000 else ""
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE pattern {strategy}")
    try:
        yield postgres.url(name)
    finally:
        postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A database without a table, on both engines in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/empty.db"
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    name = f"empty_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name}")
    yield server.url(name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A fresh database at the newest step, on both engines in turn."""
    url: str = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return url


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    KeyFolder(folder).ensure(now=NOW - timedelta(days=1))
    return folder


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


def make_settings(url: str, keys_dir: Path, **overrides: str) -> Settings:
    """Return settings for a test; names as in the environment, without the prefix."""
    values = {
        "DATABASE_URL": url,
        "KEYS_DIR": str(keys_dir),
        "CALLBACK_ACCESS_KEYS": ACCESS_KEY,
        "MARKETPLACE_URLS": "https://first.test,https://second.test",
        "MARKETPLACE_AK": AK,
        "MARKETPLACE_SK": SK,
        **overrides,
    }
    return load({f"LICSRV_{name}": value for name, value in values.items()})


@pytest.fixture
def settings(database_url: str, keys_dir: Path) -> Settings:
    return make_settings(database_url, keys_dir)


@pytest.fixture
async def emulator(clock: StandingClock) -> AsyncIterator[Emulator]:
    app = create_emulator(
        EmulatorSettings(
            callback_url="http://127.0.0.1:9/marketplace/callback", access_key=ACCESS_KEY, ak=AK, sk=SK, speed=100_000
        ),
        now=clock.now,
    )
    emulator: Emulator = app.state.emulator
    emulator.app = app  # type: ignore[attr-defined]
    yield emulator
    await emulator.aclose()


@pytest.fixture
async def runtime(settings: Settings, clock: StandingClock, emulator: Emulator) -> AsyncIterator[Runtime]:
    """A whole process without its listener; the emulator is its marketplace. The outbox moves when a test drains it."""
    transport = httpx2.ASGITransport(app=emulator.app)  # type: ignore[attr-defined]
    runtime = application.build_runtime(settings, clock=clock, transport=transport)
    yield runtime
    await runtime.close()


@pytest.fixture
async def client(runtime: Runtime) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=application.create_app(runtime))
    async with httpx2.AsyncClient(transport=transport, base_url="http://licsrv.test") as client:
        yield client
