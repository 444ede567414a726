"""Builds the C library with this machine's compiler, outside the source tree, and asks its command line tool."""

from __future__ import annotations

import base64
import importlib.util
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parents[3] / "client_stub" / "c"
VECTORS: dict[str, Any] = json.loads(
    (Path(__file__).parent.parent.parent / "vectors" / "license_texts.json").read_text("utf-8")
)
# Leaks of a process that ends at once do not matter; `mutate`, which stays, is run with the leak detector on.
_ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}


def case_bytes(case: dict[str, Any]) -> bytes:
    """Return the text of a vector."""
    unit, times = case.get("repeat", ["", 0])
    body = base64.b64decode(case["base64"]) if "base64" in case else str(case["text"]).encode()
    return (str(unit) * int(times)).encode() + body


@dataclass(frozen=True)
class Tool:
    """The built command line tool and a folder for what it reads."""

    program: Path
    folder: Path
    libraries: Path | None = None
    """Where libcrypto is taken from instead of the system's place."""

    def ask(self, *arguments: str, text: bytes = b"") -> dict[str, Any]:
        """Run the tool with ``text`` as standard input and return what it prints."""
        environment = _ENVIRONMENT | ({"LD_LIBRARY_PATH": str(self.libraries)} if self.libraries else {})
        ended = subprocess.run([self.program, *arguments], input=text, capture_output=True, env=environment)
        assert not ended.stderr, ended.stderr.decode(errors="replace")
        answer: dict[str, Any] = json.loads(ended.stdout)
        assert ended.returncode == (0 if answer["verdict"] == "OK" else 1)
        return answer

    def verify(self, command: str, case: dict[str, Any], *more: str) -> dict[str, Any]:
        """Have one vector verified; what it does not say is as in the head of the vectors."""
        arguments = ["--keys", self.file("jwks.json", json.dumps(VECTORS["jwks"]))]
        arguments += ["--now", str(case.get("now", VECTORS["now"]))]
        if command != "revocations":
            arguments += ["--device", case.get("device", VECTORS["device"])]
        for name in ("issuer", "product"):
            arguments += [f"--{name}", case[name]] if name in case else []
        return self.ask(command, "-", *arguments, *more, text=case_bytes(case))

    def verify_lease(self, case: dict[str, Any], *more: str) -> dict[str, Any]:
        license = self.file("license.txt", case.get("license", VECTORS["license"]))
        nonce = case.get("nonce", VECTORS["nonce"])
        return self.verify("lease", case, "--license", license, "--nonce", nonce, *more)

    def verify_list(self, case: dict[str, Any]) -> dict[str, Any]:
        update = ["--update", self.file("update.jws", case["update"])] if "update" in case else []
        return self.verify("revocations", case, *update)

    def file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content, "utf-8", newline="")
        return str(path)


def make(tmp_path_factory: pytest.TempPathFactory, *targets: str) -> Path:
    """Build and return the folder of what was built; skips where nothing can be built.

    Test processes that run side by side share one folder, and wait for each other.
    """
    _demand_compiler()
    import fcntl  # there is no make on systems without it

    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "c-verifier"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _run(["make", "-C", str(SOURCES), *targets, f"BUILD={folder}"])
    return folder


def tool(tmp_path_factory: pytest.TempPathFactory) -> Tool:
    return Tool(make(tmp_path_factory, "tool") / "licsrv-verify", tmp_path_factory.mktemp("tool"))


def newer_libcrypto(folder: Path) -> Path:
    """Return a folder with the libcrypto that comes with the PostgreSQL driver; skips where it has none to lend.

    It is of 3.5 or newer and knows ML-DSA-65, which that of many systems does not. Programs that were built with the
    headers of any 3.x run with it.
    """
    package = importlib.util.find_spec("psycopg_binary")
    libraries = Path(package.origin).parent.with_name("psycopg_binary.libs") if package and package.origin else folder
    found = sorted(libraries.glob("libcrypto*.so.3"))
    if not found:
        pytest.skip("ML-DSA-65 WAS NOT TESTED IN C: the PostgreSQL driver brings no libcrypto here.")
    (folder / "libcrypto.so.3").symlink_to(found[0])
    return folder


def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build with sanitizers and return the folder; skips where the compiler has none."""
    _demand_compiler()
    probe = ["cc", "-fsanitize=address,undefined", "-x", "c", "-", "-o", os.devnull]
    if subprocess.run(probe, input=b"int main(void){return 0;}", capture_output=True).returncode:
        pytest.skip("THE C VERIFIER WAS NOT RUN UNDER SANITIZERS: this machine's cc does not have them.")
    return make(tmp_path_factory, "sanitize") / "sanitized"


def _demand_compiler() -> None:
    for program in ("cc", "make"):
        if shutil.which(program) is None:
            pytest.skip(f"THE C VERIFIER WAS NOT TESTED: this machine has no {program}.")
    probe = b"#include <openssl/evp.h>\n"
    if subprocess.run(["cc", "-E", "-x", "c", "-"], input=probe, capture_output=True).returncode:
        pytest.skip("THE C VERIFIER WAS NOT TESTED: this machine has no OpenSSL headers (libssl-dev).")


def _run(command: list[str]) -> None:
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
