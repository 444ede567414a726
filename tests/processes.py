"""Real processes for the tests: the server and the marketplace emulator, on loopback ports, ended by their ids."""

from __future__ import annotations

import http.client
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from licsrv.licensing.key_folder import KeyFolder
from licsrv.migrations import first_seals
from licsrv.platform.db import open_database
from tests.conftest import ACCESS_KEY, AK, SK

READY_SECONDS = 30
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR")  # no proxy, and no setting of the machine's own


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def environment(folder: Path, **values: str) -> Mapping[str, str]:
    """Return the environment of an installation in a folder; names without the prefix."""
    passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    values = {
        "DATABASE_URL": f"sqlite:///{folder}/licsrv.db",
        "KEYS_DIR": f"{folder}/keys",
        "CALLBACK_ACCESS_KEYS": ACCESS_KEY,
        "LOG_LEVEL": "WARNING",
    } | values
    return passed_on | {f"LICSRV_{name}": value for name, value in values.items()}


def connected_to(emulator: str) -> Mapping[str, str]:
    """Return the settings of a server whose marketplace is the emulator at this address."""
    return {
        "MARKETPLACE_URLS": emulator,
        "ALLOW_INSECURE_MARKETPLACE": "1",
        "MARKETPLACE_AK": AK,
        "MARKETPLACE_SK": SK,
        "MARKETPLACE_TIMEOUT_SECONDS": "1",
        "UNKNOWN_CODES_PER_MINUTE": "10000",
    }


def licsrv(folder: Path, *arguments: str, seconds: float = 60, **values: str) -> str:
    """Run one command to its end, within some seconds, and return what it printed."""
    command = [sys.executable, "-m", "licsrv", *arguments]
    done = subprocess.run(
        command, env=environment(folder, **values), cwd=folder, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(folder: Path, *, database: Path, keys: Path) -> None:
    """Make what `licsrv init` makes, from a database and keys made before: that takes three seconds, this does not."""
    shutil.copyfile(database, folder / "licsrv.db")
    shutil.copytree(keys, folder / "keys")
    opened, key_folder = open_database(f"sqlite:///{folder / 'licsrv.db'}"), KeyFolder(folder / "keys")
    opened.seal_with(key_folder.seals)
    first_seals.seal_once(opened, key_folder, warn=print)
    opened.dispose()


class Server:
    """One process that serves at ``address``."""

    def __init__(self, process: subprocess.Popen[bytes], address: str, log: Path) -> None:
        self.process = process
        self.address = address
        self.log = log

    def wait_until(self, path: str) -> None:
        """Wait until a path answers with 200.

        Raises:
            AssertionError: The process ended, or took too long.
        """
        deadline = time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            if self._answers(path):
                return
            time.sleep(0.03)
        raise AssertionError(self.log.read_text())

    def _answers(self, path: str) -> bool:
        connection = http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=2)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def kill(self) -> None:
        """End it as the out-of-memory killer would."""
        self.process.kill()
        self.process.wait(10)


@contextmanager
def running(folder: Path, module: str, arguments: list[str], ready: str, env: Mapping[str, str]) -> Iterator[Server]:
    port = free_port()
    log = folder / f"{module}-{port}.log"
    command = [sys.executable, "-m", module, *arguments, "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=env, cwd=folder, stdout=output, stderr=output)
    server = Server(process, f"http://127.0.0.1:{port}", log)
    try:
        server.wait_until(ready)
        yield server
    finally:
        server.kill()


@contextmanager
def serving(folder: Path, **values: str) -> Iterator[Server]:
    """Run `licsrv serve` on an initialised folder."""
    with running(folder, "licsrv", ["serve"], "/readyz", environment(folder, **values)) as server:
        yield server


@contextmanager
def emulating(folder: Path) -> Iterator[Server]:
    """Run the marketplace emulator; its callbacks go nowhere."""
    options = ["serve", "--quiet", "--access-key", ACCESS_KEY, "--ak", AK, "--sk", SK, "--speed", "1000"]
    with running(folder, "licsrv.emulator", options, "/control/clock", environment(folder)) as server:
        yield server
