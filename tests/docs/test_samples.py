"""The samples of the pages do what they say: each is run as it is written, against a server.

The server and the emulated marketplace are processes of their own; addresses and the folder of the C verifier's build
are the only words of a sample that are replaced.
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
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest

from client_stub.session import events
from demo.stage import free_port
from tests.docs.pages import (
    DESKTOP,
    FIRST_STEPS,
    KEYS,
    PAGES,
    README,
    RELEASES,
    ROOT,
    SUPPORT,
    code_spans,
    name_of,
    sample,
    samples,
    text,
)

_SERVER_URL = "http://127.0.0.1:8000"
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
            _SERVER_URL: self.url,
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
        return self.run(sys.executable, "-c", program.replace(_SERVER_URL, self.url))


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
def curl() -> None:
    if shutil.which("curl") is None:
        pytest.skip("NO CURL ON THIS MACHINE: THE SAMPLES IN SHELL ARE NOT RUN")


@pytest.fixture(scope="module")
def first_license(server: Server, curl: None) -> str:
    """What the first sample of the first steps prints; the later samples build on the license that it adds."""
    return server.run_sample(sample("license", FIRST_STEPS))


def test_the_readme_shows_how_a_device_gets_its_license(server: Server, curl: None) -> None:
    # A code of its own: the first steps add the same one again.
    printed = server.run_sample(sample("first-license", README).replace("PL0000000001", "PL0000000009"))

    answer = json.loads(printed[printed.index('{"license_string"') :])
    assert answer["license_string"].count(".") == 2


def test_a_check_in_returns_a_lease(server: Server, first_license: str) -> None:
    answer = json.loads(server.run_sample(sample("check-in", FIRST_STEPS)))

    assert answer["status"] == "ACTIVE"
    assert answer["lease"].count(".") == 2


def test_the_python_sample_prints_that_the_program_may_work(server: Server, first_license: str) -> None:
    server.run_sample(sample("keys", FIRST_STEPS))

    printed = server.run_python(sample("python", FIRST_STEPS))

    assert printed == "ALLOWED The license is valid.\n"
    assert f"`{printed.strip()}`" in text(FIRST_STEPS)


@pytest.mark.soak
def test_the_terminal_program_is_licensed(server: Server, first_license: str) -> None:
    words = ["--server", server.url, "--code", "PL0000000001", "--trust-server-keys", "--once"]

    printed = server.run(sys.executable, "-m", "client_stub", *words)

    assert "ALLOWED" in printed


@pytest.mark.soak
def test_a_product_is_described_before_its_license_is_shown(server: Server) -> None:
    printed = server.run_sample(sample("product", FIRST_STEPS))

    assert "CAD" in printed
    assert "PL0000000002" in printed


@pytest.mark.soak
def test_a_license_is_revoked_and_reinstated_and_the_audit_has_both(server: Server, first_license: str) -> None:
    printed = server.run_sample(sample("revoke", FIRST_STEPS))

    assert "LICENSE_REVOKED" in printed
    assert "LICENSE_REINSTATED" in printed


@pytest.mark.soak
def test_an_own_sale_is_extended_and_changed(server: Server) -> None:
    printed = server.run_sample(sample("own-sale", SUPPORT))

    assert "Let OWN-2026-1 end on 2031-01-31 16:00 UTC" in printed
    assert "places from what was bought to 3" in printed


def test_a_code_bought_at_the_emulator_is_activated(server: Server, curl: None) -> None:
    answer = json.loads(server.run_sample(sample("buy", FIRST_STEPS)))

    assert answer["license_string"].count(".") == 2


@pytest.mark.soak
def test_the_next_keys_are_made_as_the_page_about_keys_says(server: Server) -> None:
    command = "LICSRV_KEYS_DIR=next-keys LICSRV_DATABASE_URL=sqlite:///next-keys/unused.db"
    assert command in text(KEYS)

    server.run("sh", "-eu", "-c", f"{command} '{sys.executable}' -m licsrv init")

    assert len(list((server.folder / "next-keys").glob("*.pem"))) == 3


@pytest.fixture(scope="module")
def license_file(server: Server, first_license: str) -> str:
    """What verifying a file prints; the samples after it build on the keys and the file that it leaves."""
    server.run_sample(sample("pin", DESKTOP))
    return server.run_sample(sample("file", DESKTOP))


@pytest.fixture(scope="module")
def compiler() -> None:
    if not all(shutil.which(program) for program in ("make", "cc", "c++")):
        pytest.skip("NO C COMPILER ON THIS MACHINE: THE SAMPLES IN C ARE NOT RUN")


def test_no_sample_is_left_out_here() -> None:
    found = {name_of(page): set(samples(page)) for page in PAGES if samples(page)}

    assert found == {
        "README.md": {"first-license"},
        "docs/first-steps.md": {"license", "check-in", "keys", "python", "product", "revoke", "buy"},
        "docs/operations/releases.md": {"release"},
        "docs/support.md": {"own-sale"},
        "docs/desktop-integration.md": {"pin", "file", "program", "offline", "iscdesk", "seats"}
        | {"array", "c", "build", "cpp"},
    }


def test_the_file_sample_is_verified_without_network(license_file: str) -> None:
    assert "verified on this computer, without network" in license_file


def test_the_file_program_believes_its_file(server: Server, license_file: str) -> None:
    assert server.run_python(sample("program", DESKTOP)) == "PL0000000001 False ALLOWED\n"


def test_the_offline_sample_finds_nothing_revoked(server: Server, license_file: str) -> None:
    assert "verified on this computer, without network" in server.run_sample(sample("offline", DESKTOP))


@pytest.mark.soak
def test_the_seats_sample_takes_borrows_and_returns_one(server: Server, license_file: str) -> None:
    licsrv = [sys.executable, "-m", "licsrv"]
    policy = ["--set", "places.floating=yes", "--set", "floating.borrow_days=5", "--reason", "Sold to teams."]
    server.run(*licsrv, "products", "set", "TEAM", "--name", "Team", "--feature", "export=3")
    server.run(*licsrv, "products", "policy", "TEAM", *policy)
    server.run(*licsrv, "licenses", "add", "OWN-2026-TEAM", "--product-id", "TEAM", "--amount", "3")

    assert server.run_python(sample("seats", DESKTOP)) == "success ALLOWED\nsuccess True 3\nsuccess NO_SEAT\n"


@pytest.mark.soak
def test_the_iscdesk_sample_ends_with_a_license(server: Server, license_file: str) -> None:
    assert "ALLOWED (LICENSED)" in server.run_sample(sample("iscdesk", DESKTOP))


@pytest.mark.soak
@pytest.mark.usefixtures("compiler")
def test_the_c_sample_believes_the_file(server: Server, license_file: str) -> None:
    server.run_python(sample("array", DESKTOP))
    (server.folder / "check.c").write_text(sample("c", DESKTOP), encoding="utf-8")

    assert server.run_sample(sample("build", DESKTOP)) == "PL0000000001, 2 bought\n"


@pytest.mark.soak
@pytest.mark.usefixtures("compiler")
def test_the_cpp_sample_believes_the_file(server: Server, license_file: str) -> None:
    assert "verified on this computer, without network" in server.run_sample(sample("cpp", DESKTOP))


@pytest.mark.soak
def test_a_version_is_published_rolled_out_and_withdrawn_as_the_page_about_releases_says(server: Server) -> None:
    (server.folder / "cad-3.3.0.exe").write_bytes(b"program")

    printed = server.run_sample(re.sub("^licsrv", ".venv/bin/licsrv", sample("release", RELEASES), flags=re.MULTILINE))

    shares = re.findall(r"offered to (\d+) %", printed)
    assert shares == ["5", "50", "100"]
    assert printed.endswith("OFFI-CAD 3.3.0 stable windows-x86_64: withdrawn.\n")


@pytest.mark.soak
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
        events.license_changed(("features", "end")),
        events.seat_result("checkout", until=datetime(2026, 5, 4, 8, 15, tzinfo=UTC)),
    }

    assert {span for span in code_spans(DESKTOP) if span.startswith('{"operate"')} == raised
