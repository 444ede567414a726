"""The client stands alone: a second implementation that leaned on the first would agree with its mistakes."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import client_stub

FOLDER = Path(client_stub.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
LISTED = re.findall(r"``(\w+)``", (client_stub.__doc__ or "").split("Modules, each importing")[1])
PURE = LISTED[: LISTED.index("clock")]


def imports_of(module: str) -> Iterator[str]:
    """Every module that ``module`` imports when it runs; imports for the type checker do not count."""
    tree = ast.parse((FOLDER / f"{module}.py").read_text("utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module == "client_stub":
            yield from (f"client_stub.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("module", MODULES)
def test_a_module_needs_the_standard_library_cryptography_and_httpx2_only(module: str) -> None:
    allowed = {*sys.stdlib_module_names, "cryptography", "httpx2", "client_stub"}

    assert {name.split(".")[0] for name in imports_of(module)} <= allowed


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_is_listed_before_it(module: str) -> None:
    own = {name.split(".")[1] for name in imports_of(module) if name.startswith("client_stub.")}

    assert own <= set(LISTED[: LISTED.index(module)])


@pytest.mark.parametrize("module", PURE)
def test_a_pure_module_has_no_way_to_the_world(module: str) -> None:
    forbidden = {"os", "time", "random", "secrets", "socket", "threading", "tempfile", "pathlib", "httpx2", "logging"}

    assert not forbidden & {name.split(".")[0] for name in imports_of(module)}
