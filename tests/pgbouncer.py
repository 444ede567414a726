"""A PgBouncer in front of the tests' PostgreSQL, where the machine has the program."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

from tests.postgres_server import PostgresServer, unprivileged

_CONFIGURATION = """
[databases]
* = host={server} user=postgres
[pgbouncer]
listen_addr =
listen_port = 6432
unix_socket_dir = {base}
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
logfile = {base}/log
"""


def program() -> str | None:
    """Return the program, if the machine has it."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class PgBouncer:
    """One pooler with a folder of its own; close it at the end."""

    def __init__(self, server: PostgresServer, *, mode: str, size: int = 2) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="licpgb-", dir="/tmp"))
        user = unprivileged()
        configuration = self.base / "pgbouncer.ini"
        configuration.write_text(_CONFIGURATION.format(server=server.base, base=self.base, mode=mode, size=size))
        configuration.chmod(0o644)
        if user:
            os.chown(self.base, user["user"], user["group"])
        self._process = subprocess.Popen(
            [str(program()), "-q", configuration], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, cwd=self.base, **user,
        )  # fmt: skip
        self._wait()

    def _wait(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            try:
                psycopg.connect(self.dsn("postgres")).close()
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    break
                time.sleep(0.02)
            else:
                return
        log = self.base / "log"
        raise RuntimeError(f"pgbouncer did not start: {log.read_text() if log.exists() else ''}")

    def url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self.base}&port=6432"

    def dsn(self, database: str) -> str:
        return f"host={self.base} port=6432 user=postgres dbname={database}"

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)
        shutil.rmtree(self.base, ignore_errors=True)
