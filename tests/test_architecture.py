"""The house: imports go one way, pure modules stay pure, the outsiders stay outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
RANKS = (
    {"errors"},
    {"platform"},
    {"audit", "outbox", "words"},
    {"licensing"},
    {"heartbeats", "releases", "people"},
    {"marketplace"},
    {"desk"},
    {"console", "migrations"},
    {"app"},
    {"cli"},
    {"__main__"},
)
OUTSIDERS = {"licsrv.emulator", "client_stub"}
PURE = (
    "people/actors",
    "people/lockout_rules",
    "platform/paging",
    "people/roles",
    "desk/reconciliation/repairing",
    "people/totp",
    "console/forms",
    "console/pictures",
    "console/sentences",
    "console/targets",
    "audit/entries",
    "outbox/rules",
    "licensing/issuing/files",
    "licensing/fingerprints",
    "licensing/lifecycle",
    "licensing/revocation/lists",
    "licensing/issuing/strings",
    "heartbeats/rules",
    "marketplace/open_api/aksk",
    "marketplace/callbacks/signature",
    "marketplace/commands",
    "marketplace/compact_time",
    "marketplace/open_api/code_answers",
    "marketplace/open_api/codes",
    "marketplace/callbacks/product_lines/__init__",
    "marketplace/callbacks/product_lines/authorization_code",
    "marketplace/callbacks/product_lines/fields",
    "marketplace/callbacks/product_lines/shared_messages",
    "marketplace/reconciliation/rules",
    "platform/strict_json",
    "releases/manifests",
    "releases/publication",
    "releases/rules",
    "releases/versions",
)
# A pure module knows no session, no HTTP, no randomness, no environment, no file and no clock. `Session` as a type
# in a signature of a value is allowed.
NOT_PURE = {"sqlalchemy", "starlette", "httpx2", "random", "secrets", "os", "time", "socket", "asyncio", "pathlib"}


def modules(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "emulator" not in path.parts or folder != "licsrv")


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rank(name: str) -> int | None:
    return next((number for number, rooms in enumerate(RANKS) if name in rooms), None)


def room_of(path: Path) -> str:
    return path.relative_to(ROOT / "licsrv").parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", modules("licsrv"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_only_rooms_below_it(path: Path) -> None:
    room = room_of(path)
    if room == "__init__":
        return
    assert rank(room) is not None, f"{room} has no place in the house: add it to RANKS"

    for name in imports(path):
        if not name.startswith("licsrv."):
            continue
        other = name.split(".")[1]
        if rank(other) is None or other == room:
            continue
        assert rank(other) < rank(room), f"{room} imports {other}"


@pytest.mark.parametrize("folder", ["licsrv", "client_stub", "licsrv/emulator"])
def test_the_outsiders_import_nothing_of_the_house_and_are_imported_by_none_of_it(folder: str) -> None:
    own = folder.replace("/", ".")
    for path in sorted((ROOT / folder).rglob("*.py")):
        if folder == "licsrv" and "emulator" in path.relative_to(ROOT).parts[1:-1]:
            continue
        for name in imports(path):
            foreign = name.startswith(tuple(OUTSIDERS)) if own == "licsrv" else name.startswith("licsrv")
            inside = name == own or name.startswith(own + ".")
            assert inside or not foreign, f"{path.relative_to(ROOT)} imports {name}"
            if own != "licsrv" and not inside:
                assert not name.startswith(tuple(OUTSIDERS)), f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("name", PURE)
def test_a_pure_module_reaches_for_nothing(name: str) -> None:
    path = ROOT / "licsrv" / f"{name}.py"

    for imported in imports(path):
        assert imported.split(".")[0] not in NOT_PURE, f"{name} imports {imported}"
        assert not imported.endswith((".store", ".service", ".routes", ".db", ".clock")), f"{name} imports {imported}"


def test_only_the_seams_commit() -> None:
    committing = {
        str(path.relative_to(ROOT / "licsrv")) for path in modules("licsrv") if ".commit()" in path.read_text()
    }

    assert committing == {"platform/db.py", "platform/writer.py", "migrations/__init__.py"}


def test_the_client_depends_on_cryptography_and_the_http_client_alone() -> None:
    import sys

    allowed = {"cryptography", "httpx2", "client_stub"}
    for path in modules("client_stub"):
        for name in imports(path):
            top = name.split(".")[0]
            assert top in allowed or top in sys.stdlib_module_names, f"{path.name} imports {name}"


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for folder in ("licsrv", "client_stub")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.read_text().strip() and not ast.get_docstring(ast.parse(path.read_text()))
    ]

    assert silent == []
