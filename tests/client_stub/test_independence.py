"""The client is independent: a second implementation that leaned on the first would repeat its mistakes."""

from __future__ import annotations

import importlib
from pathlib import Path

import client_stub
from tests.test_architecture import imports

FOLDER = Path(client_stub.__file__).parent
RANKS = ("trust", "machine", "session", "sdk", "programs", "__main__")
WORLD = {"os", "time", "random", "secrets", "socket", "threading", "tempfile", "pathlib", "httpx2", "logging", "sys"}
PUBLIC = {
    "client_stub": client_stub.__all__,
    "client_stub.sdk": ["EventRecall", "Iscdesk", "ResultStatus", "SdkInvoker"],
    "client_stub.session": ["NONCE_BYTES", "CheckIn", "LicenseSession"],
    "client_stub.device_facts": ["DeviceFacts", "LeftOut", "gather", "survey"],
    "client_stub.__main__": ["main"],
}


def module_of(path: Path) -> str:
    parts = path.relative_to(FOLDER.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in sorted(FOLDER.rglob("*.py")) if "c" not in path.parts}


def own_imports(module: str) -> set[str]:
    """The client's modules that ``module`` imports, at its head or inside a function."""
    found = set()
    for name in imports(MODULES[module]):
        parent = name.rpartition(".")[0]
        found |= {candidate for candidate in (name, parent) if candidate in MODULES and candidate != "client_stub"}
    return found - {module}


def rank(module: str) -> int:
    return RANKS.index(module.split(".")[1])


def test_a_folder_imports_only_folders_before_it() -> None:
    ranked = [module for module in MODULES if module.split(".")[1:2] and module.split(".")[1] in RANKS]
    up = [f"{one} imports {other}" for one in ranked for other in own_imports(one) if rank(other) > rank(one)]

    assert set(MODULES) - set(ranked) == {"client_stub", "client_stub.device_facts"}
    assert up == []


def test_no_two_modules_import_each_other_even_by_a_detour() -> None:
    # A package's `__init__` only offers names of its modules, so its own imports close no circle.
    graph = {module: own_imports(module) for module in MODULES if MODULES[module].stem != "__init__"}
    graph = {module: {other for other in others if other in graph} for module, others in graph.items()}
    while free := {module for module, others in graph.items() if not others}:
        graph = {module: others - free for module, others in graph.items() if module not in free}

    assert graph == {}


def test_trust_has_no_way_to_the_world() -> None:
    reaching = [
        f"{module} imports {name}"
        for module, path in MODULES.items()
        if module.startswith("client_stub.trust")
        for name in imports(path)
        if name.split(".")[0] in WORLD
    ]

    assert reaching == []


def test_public_names_stay_where_programs_import_them_from() -> None:
    missing = [
        f"{module}.{name}"
        for module, names in PUBLIC.items()
        for name in names
        if not hasattr(importlib.import_module(module), name)
    ]

    assert missing == []
