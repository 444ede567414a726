"""An installation for each benchmark: a folder with keys and an initialised SQLite database, and its settings."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import processes
from benchmarks.load import HOST
from benchmarks.processes import Server

ACCESS_KEY = "benchmark-callback-access-key"
DEVICE_LIMIT = 1
ISSUER = "licsrv"


@dataclass(frozen=True)
class Marketplace:
    """A running substitute for the marketplace."""

    server: Server

    def calls_under_way(self) -> int:
        """Return how many calls wait for their answer now."""
        document = json.loads(processes.get(self.server.port, "/calls")[1])
        return int(document["under_way"])

    def set_pace(self, seconds: float) -> None:
        """Let calls take so long from now on; those under way are answered at once."""
        processes.get(self.server.port, f"/pace/{seconds}")


@dataclass(frozen=True)
class Installation:
    """One folder with everything that a server needs."""

    folder: Path

    @property
    def database(self) -> Path:
        """The SQLite file."""
        return self.folder / "licsrv.db"

    @property
    def keys(self) -> Path:
        """The folder of keys."""
        return self.folder / "keys"

    def settings(self) -> dict[str, str]:
        """Return the environment of its server, without a marketplace."""
        return {
            "LICSRV_DATABASE_URL": f"sqlite:///{self.database}",
            "LICSRV_KEYS_DIR": str(self.keys),
            "LICSRV_CALLBACK_ACCESS_KEYS": ACCESS_KEY,
            "LICSRV_ISSUER": ISSUER,
            "LICSRV_DEVICE_LIMIT": str(DEVICE_LIMIT),
            "LICSRV_LOG_LEVEL": "WARNING",
        }

    @contextmanager
    def serving(self, cores: Sequence[int], *, marketplace: Marketplace | None = None) -> Iterator[Server]:
        """Serve it as ``licsrv serve`` does, with a marketplace to talk to where one is given."""
        settings = self.settings()
        if marketplace is not None:
            settings |= {
                "LICSRV_MARKETPLACE_URLS": f"http://{HOST}:{marketplace.server.port}",
                "LICSRV_ALLOW_INSECURE_MARKETPLACE": "1",
                "LICSRV_MARKETPLACE_AK": "BENCHMARKAK",
                "LICSRV_MARKETPLACE_SK": "benchmark-secret-key",
            }
        with processes.serving(
            ["-m", "licsrv", "serve"],
            cores=cores,
            ready_path="/readyz",
            log=self.folder / "server.log",
            environment=settings,
        ) as server:
            yield server

    @contextmanager
    def slow_marketplace(self, seconds: float, cores: Sequence[int]) -> Iterator[Marketplace]:
        """Serve a marketplace that answers each call after so many seconds."""
        with processes.serving(
            ["-m", "benchmarks.marketplace", "--seconds", str(seconds)],
            cores=cores,
            ready_path="/readyz",
            log=self.folder / "marketplace.log",
        ) as server:
            yield Marketplace(server)

    def query(self, statement: str) -> tuple[Any, ...]:
        """Return the one row that a statement finds in the database as it is on disk."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            row: tuple[Any, ...] = connection.execute(statement).fetchone()
            return row


def unreachable_marketplace() -> Marketplace:
    """Return a marketplace at a port on which nothing listens."""
    return Marketplace(Server(processes.free_port(), process_id=0, ready_seconds=0))


def build(folder: Path) -> Installation:
    """Make the folder, the keys and the database by ``licsrv init``."""
    folder.mkdir(parents=True)
    installation = Installation(folder)
    processes.run(["-m", "licsrv", "init", "--quiet"], environment=installation.settings())
    return installation
