"""The README's samples do what it says, run as they stand against a server of their own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from demo.stage import free_port
from tests.docs.pages import ROOT, sample

_README_URL = "http://127.0.0.1:8000"
_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A server of its own, and a folder in which samples run."""

    url: str
    folder: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port = tmp_path_factory.mktemp("samples"), free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LICSRV_")}
    settings = {
        "LICSRV_DATABASE_URL": f"sqlite:///{folder / 'licsrv.db'}",
        "LICSRV_KEYS_DIR": str(folder / "keys"),
        "LICSRV_PORT": str(port),
        "XDG_DATA_HOME": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
    }
    server = Server(f"http://127.0.0.1:{port}", folder, inherited | settings)
    server.run(sys.executable, "-m", "licsrv", "init")
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "licsrv", "serve"], cwd=folder, env=server.environment, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(server, process)
        yield server
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _wait_until_ready(server: Server, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, (server.folder / "server.log").read_text()
        try:
            if httpx2.get(f"{server.url}/readyz", trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.05)
    pytest.fail("the server did not become ready")


@pytest.fixture(scope="module")
def shell_output(server: Server) -> str:
    """What the shell sample prints; the later samples build on what it leaves."""
    if shutil.which("curl") is None:
        pytest.skip("NO CURL ON THIS MACHINE: THE SAMPLES OF THE README ARE NOT RUN")
    script = sample("shell").replace(".venv/bin/licsrv", f"'{sys.executable}' -m licsrv")
    return server.run("sh", "-eu", "-c", script.replace(_README_URL, server.url))


def test_the_shell_sample_ends_with_a_lease(shell_output: str) -> None:
    answer = json.loads(shell_output[shell_output.index('{"lease"') :])

    assert answer["status"] == "ACTIVE"
    assert answer["lease"].count(".") == 2


def test_the_python_sample_prints_that_the_program_may_work(server: Server, shell_output: str) -> None:
    printed = server.run(sys.executable, "-c", sample("python").replace(_README_URL, server.url))

    assert printed == "ALLOWED The license is valid.\n"


def test_the_terminal_program_is_licensed(server: Server, shell_output: str) -> None:
    words = ["--server", server.url, "--code", "PL0000000001", "--trust-server-keys", "--once"]

    printed = server.run(sys.executable, "-m", "client_stub", *words)

    assert "ALLOWED" in printed


def test_the_next_keys_are_made_as_the_operations_page_says(server: Server) -> None:
    command = "LICSRV_KEYS_DIR=next-keys LICSRV_DATABASE_URL=sqlite:///next-keys/unused.db"
    assert command in (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")

    server.run("sh", "-eu", "-c", f"{command} '{sys.executable}' -m licsrv init")

    assert len(list((server.folder / "next-keys").glob("*.pem"))) == 3
