"""The C library under AddressSanitizer and UndefinedBehaviorSanitizer: no text makes it misbehave or believe."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.client_stub.c import c_verifier
from tests.client_stub.c.c_verifier import VECTORS, Tool
from tests.soak import amount

pytestmark = pytest.mark.soak  # the checkers make every step several times slower

SEEDS = {
    "string": "a license",
    "file": "a comment of one sign",
    "lease": "a lease that says ACTIVE",
    "revocations": "ours alone",
}
SECTIONS = {"string": "strings", "file": "files", "lease": "leases", "revocations": "revocations"}
ROUNDS = str(amount(short=1000, whole=100_000))


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return c_verifier.sanitized(tmp_path_factory)


@pytest.fixture
def tool(built: Path, tmp_path: Path) -> Tool:
    return Tool(built / "licsrv-verify", tmp_path)


def seed_arguments(tool: Tool) -> list[str]:
    arguments = []
    for kind, name in SEEDS.items():
        text = next(case["text"] for case in VECTORS[SECTIONS[kind]] if case["name"] == name)
        arguments += [kind, tool.file(kind, text)]
    claims = base64.urlsafe_b64decode(VECTORS["license"].split(".")[1] + "==").decode()
    return [*arguments, "claims", tool.file("claims", claims), "device", tool.file("device", VECTORS["device"] + "é ")]


def test_no_changed_text_is_believed_and_none_reaches_beyond_its_memory(built: Path, tool: Tool) -> None:
    jwks, license = tool.file("jwks.json", json.dumps(VECTORS["jwks"])), tool.file("license.txt", VECTORS["license"])
    circumstances = [jwks, str(VECTORS["now"]), VECTORS["device"], VECTORS["nonce"], license, ROUNDS]

    ended = subprocess.run([built / "mutate", *circumstances, *seed_arguments(tool)], capture_output=True, text=True)

    assert ended.returncode == 0, ended.stderr[:2000]
    assert int(ended.stdout) > 25_000


def verify(tool: Tool, kind: str, case: dict[str, Any]) -> dict[str, Any]:
    if kind == "lease":
        return tool.verify_lease(case)
    return tool.verify_list(case) if kind == "revocations" else tool.verify(kind, case)


@pytest.mark.parametrize("kind", SECTIONS)
def test_every_vector_is_read_within_its_memory(tool: Tool, kind: str) -> None:
    for case in VECTORS[SECTIONS[kind]]:
        assert verify(tool, kind, case)["verdict"] == case["verdict"], case["name"]
