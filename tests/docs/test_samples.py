"""The samples of the README and of docs/desktop-integration.md do what they say, run as they stand against a server.

The server and the emulated marketplace are processes of their own; addresses and the folder of the C verifier's build
are the only words of a sample that are exchanged.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest

from client_stub.session import events
from demo.stage import free_port
from tests.docs.pages import DESKTOP, OPERATIONS, README, ROOT, code_spans, sample, samples, text

_README_URL = "http://127.0.0.1:8000"
_MARKETPLACE_URL = "http://127.0.0.1:8001"
_SECONDS = 90.0


@dataclass(frozen=True)
class Server:
    """A server of its own with its marketplace, and a folder in which samples run."""

    url: str
    marketplace_url: str
    folder: Path
    environment: dict[str, str]

    def run(self, *words: str) -> str:
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=_SECONDS
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_sample(self, script: str) -> str:
        """Run a shell sample; a newcomer's virtual environment is this one, and nothing is built in the repository."""
        exchanged = {
            _README_URL: self.url,
            _MARKETPLACE_URL: self.marketplace_url,
            ".venv/bin/licsrv": f"'{sys.executable}' -m licsrv",
            ".venv/bin/python": f"'{sys.executable}'",
            "client_stub/c/build": "build",
            "make -C client_stub/c": f"make -s -C '{ROOT}/client_stub/c' BUILD='{self.folder}/build'",
            "-I client_stub/c": f"-I '{ROOT}/client_stub/c'",
        }
        ours = re.sub("|".join(map(re.escape, exchanged)), lambda word: exchanged[word[0]], script)
        return self.run("sh", "-eu", "-c", ours)

    def run_python(self, program: str) -> str:
        """Run a Python sample."""
        return self.run(sys.executable, "-c", program.replace(_README_URL, self.url))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder, port, marketplace_port = tmp_path_factory.mktemp("samples"), free_port(), free_port()
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LICSRV_")}
    settings = {
        "LICSRV_DATABASE_URL": f"sqlite:///{folder / 'licsrv.db'}",
        "LICSRV_KEYS_DIR": str(folder / "keys"),
        "LICSRV_PORT": str(port),
        "LICSRV_ALLOW_INSECURE_MARKETPLACE": "1",
        "LICSRV_MARKETPLACE_URLS": f"http://127.0.0.1:{marketplace_port}",
        "LICSRV_MARKETPLACE_AK": "DEMOAK",
        "LICSRV_MARKETPLACE_SK": "demo-secret-key",
        "LICSRV_CALLBACK_ACCESS_KEYS": "demo-callback-access-key",
        "XDG_DATA_HOME": str(folder / "data"),
        "PYTHONPATH": str(ROOT),
        "NO_PROXY": "127.0.0.1",
    }
    url, marketplace_url = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{marketplace_port}"
    server = Server(url, marketplace_url, folder, inherited | settings)
    server.run(sys.executable, "-m", "licsrv", "init")
    emulator = ("emulator", "serve", "--port", str(marketplace_port), "--callback-url", f"{url}/marketplace/callback")
    with _started(server, f"{url}/readyz", "serve"), _started(server, f"{marketplace_url}/control", *emulator):
        yield server


@contextmanager
def _started(server: Server, ready_url: str, *words: str) -> Iterator[None]:
    path = server.folder / f"{words[0]}.log"
    with path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "licsrv", *words], cwd=server.folder, env=server.environment, stdout=log, stderr=log
        )
    try:
        _wait_until_ready(ready_url, process, path)
        yield
    finally:
        process.terminate()
        process.wait(_SECONDS)


def _wait_until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx2.get(url, trust_env=False).status_code == 200:
                return
        except httpx2.HTTPError:
            time.sleep(0.05)
    pytest.fail(f"{url} did not become ready")


@pytest.fixture(scope="module")
def shell_output(server: Server) -> str:
    """What the shell sample prints; the later samples build on what it leaves."""
    if shutil.which("curl") is None:
        pytest.skip("NO CURL ON THIS MACHINE: THE SAMPLES OF THE README ARE NOT RUN")
    return server.run_sample(sample("shell"))


def test_the_shell_sample_ends_with_a_lease(shell_output: str) -> None:
    answer = json.loads(shell_output[shell_output.index('{"lease"') :])

    assert answer["status"] == "ACTIVE"
    assert answer["lease"].count(".") == 2


def test_the_python_sample_prints_that_the_program_may_work(server: Server, shell_output: str) -> None:
    printed = server.run_python(sample("python"))

    assert printed == "ALLOWED The license is valid.\n"


def test_the_terminal_program_is_licensed(server: Server, shell_output: str) -> None:
    words = ["--server", server.url, "--code", "PL0000000001", "--trust-server-keys", "--once"]

    printed = server.run(sys.executable, "-m", "client_stub", *words)

    assert "ALLOWED" in printed


def test_the_next_keys_are_made_as_the_operations_page_says(server: Server) -> None:
    command = "LICSRV_KEYS_DIR=next-keys LICSRV_DATABASE_URL=sqlite:///next-keys/unused.db"
    assert command in text(OPERATIONS)

    server.run("sh", "-eu", "-c", f"{command} '{sys.executable}' -m licsrv init")

    assert len(list((server.folder / "next-keys").glob("*.pem"))) == 3


@pytest.fixture(scope="module")
def license_file(server: Server, shell_output: str) -> str:
    """What verifying a file prints; the samples after it build on the keys and the file that it leaves."""
    server.run_sample(sample("pin", DESKTOP))
    return server.run_sample(sample("file", DESKTOP))


@pytest.fixture(scope="module")
def compiler() -> None:
    if not all(shutil.which(program) for program in ("make", "cc", "c++")):
        pytest.skip("NO C COMPILER ON THIS MACHINE: THE SAMPLES IN C ARE NOT RUN")


def test_no_sample_is_left_out_here() -> None:
    assert set(samples(README)) == {"shell", "python"}
    assert set(samples(OPERATIONS)) == {"release"}
    assert set(samples(DESKTOP)) == {"pin", "file", "program", "offline", "iscdesk", "array", "c", "build", "cpp"}


def test_the_file_sample_is_verified_without_network(license_file: str) -> None:
    assert "verified on this computer, without network" in license_file


def test_the_file_program_believes_its_file(server: Server, license_file: str) -> None:
    assert server.run_python(sample("program", DESKTOP)) == "PL0000000001 False ALLOWED\n"


def test_the_offline_sample_finds_nothing_revoked(server: Server, license_file: str) -> None:
    assert "verified on this computer, without network" in server.run_sample(sample("offline", DESKTOP))


def test_the_iscdesk_sample_ends_with_a_license(server: Server, license_file: str) -> None:
    assert "ALLOWED (LICENSED)" in server.run_sample(sample("iscdesk", DESKTOP))


@pytest.mark.usefixtures("compiler")
def test_the_c_sample_believes_the_file(server: Server, license_file: str) -> None:
    server.run_python(sample("array", DESKTOP))
    (server.folder / "check.c").write_text(sample("c", DESKTOP), encoding="utf-8")

    assert server.run_sample(sample("build", DESKTOP)) == "PL0000000001, 2 bought\n"


@pytest.mark.usefixtures("compiler")
def test_the_cpp_sample_believes_the_file(server: Server, license_file: str) -> None:
    assert "verified on this computer, without network" in server.run_sample(sample("cpp", DESKTOP))


def test_a_version_is_published_rolled_out_and_withdrawn_as_the_operations_page_says(server: Server) -> None:
    (server.folder / "cad-3.3.0.exe").write_bytes(b"program")

    printed = server.run_sample(
        re.sub("^licsrv", ".venv/bin/licsrv", sample("release", OPERATIONS), flags=re.MULTILINE)
    )

    shares = re.findall(r"offered to (\d+) %", printed)
    assert shares == ["5", "50", "100"]
    assert printed.endswith("OFFI-CAD 3.3.0 stable windows-x86_64: withdrawn.\n")


def test_the_second_signature_is_switched_on_as_the_desktop_page_says(server: Server, license_file: str) -> None:
    licsrv = [sys.executable, "-m", "licsrv"]
    for command in ("keys new license --algorithm ML-DSA-65", "products set PRODUCT_ID --second-signature"):
        assert f"`licsrv {command}`" in text(DESKTOP)
        server.run(*licsrv, *command.split())

    keys = json.loads(server.run(*licsrv, "keys", "list", "--json"))["keys"]

    assert {key["algorithm"]: key["state"] for key in keys} == {"EdDSA": "signing", "ML-DSA-65": "signing"}


def test_every_event_text_of_the_desktop_page_is_one_that_is_raised() -> None:
    raised = {
        events.license_arrived("eyJ…"),
        events.license_file_arrived("D:\\license.lic"),
        events.license_failed(),
        events.upgrade_notice(available=False),
        events.update(is_forced=True),
        events.open_file_result(""),
        events.save_result(is_saved=False),
    }

    assert {span for span in code_spans(DESKTOP) if span.startswith('{"operate"')} == raised
