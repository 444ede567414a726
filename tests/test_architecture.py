"""The architecture: imports go one way, pure modules stay pure, SQL stays in the stores, outsiders stay outside.

Every report names file and line. A table below that has to grow for a new folder is a decision about its place.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping, Sequence

from tests.source_tree import Module, module_of, modules, own_imports
from tests.tables import each

# "May import everything above it." What shares a line does not import its neighbours. Inside a room, folders must have
# a place; single files may.
ORDERS: Mapping[str, Sequence[str]] = {
    "licsrv": (
        "errors",
        "platform",
        "audit outbox words",
        "licensing",
        "heartbeats releases people",
        "seats",
        "marketplace",
        "desk",
        "console migrations",
        "runtime",
        "upkeep",
        "app",
        "cli",
        "__main__",
    ),
    "licsrv.licensing": (
        "naming fingerprints signing origins spellings",
        "bindings entitlements keyring lifecycle traces",
        "key_folder",
        "tables",
        "places moves own_sales",
        "policies",
        "store policy_defaults",
        "issuing learning refused_devices policy_changes",
        "revocation",
        "changes devices",
        "surplus",
        "routes",
    ),
    "licsrv.marketplace": (
        "commands compact_time origins tables",
        "store",
        "open_api",
        "licenses",
        "reconciliation callbacks deliveries",
    ),
    "licsrv.desk": (
        "fields idempotency names parameters view",
        "tools",
        "desk",
        "operations",
        "audit callbacks keys products people releases reports",
        "deliveries reconciliation",
        "licenses",
        "today bulk",
        "api",
    ),
    "licsrv.words": ("sentences", "actions licenses alerts explanations pages policy_values", "names texts"),
    "licsrv.console": (
        "forms targets languages pictures",
        "api",
        "visits",
        "navigation",
        "rendering",
        "reconciliation_pages",
        "license_pages",
        "action_pages entrance list_pages own_pages product_pages report_pages search_pages today_pages",
        "account_pages bulk_pages token_pages",
        "pages",
        "console",
    ),
    "client_stub": ("trust", "machine", "session device_facts c", "sdk", "programs", "__main__"),
}
OUTSIDERS = ("licsrv.emulator", "client_stub")

# Arrows back up that are known and on their way out. The list may only shrink.
KNOWN_ARROWS_UP: set[str] = set()

# A module whose docstring says "Pure" knows no session, no HTTP, no randomness, no environment, no file and no clock.
# These have to say so, wherever they live; others may.
PURE = {
    "people/actors", "people/lockout_rules", "people/roles", "people/totp",
    "platform/paging", "platform/strict_json", "platform/moments",
    "audit/entries", "outbox/rules",
    "platform/days", "licensing/signing", "licensing/places", "marketplace/origins",
    "licensing/fingerprints", "licensing/lifecycle", "licensing/spellings", "licensing/moves",
    "licensing/entitlements", "licensing/naming", "licensing/own_sales", "licensing/traces", "licensing/policies",
    "licensing/issuing/files", "licensing/issuing/strings",
    "licensing/revocation/lists",
    "heartbeats/rules", "seats/rules",
    "releases/manifests", "releases/publication", "releases/rules", "releases/versions",
    "marketplace/commands", "marketplace/compact_time", "marketplace/open_api/aksk", "marketplace/open_api/codes",
    "marketplace/open_api/code_answers", "marketplace/open_api/order_answers",
    "marketplace/callbacks/signature", "marketplace/callbacks/auth_token",
    "marketplace/callbacks/product_lines/__init__", "marketplace/callbacks/product_lines/authorization_code",
    "marketplace/callbacks/product_lines/fields", "marketplace/callbacks/product_lines/shared_messages",
    "marketplace/callbacks/product_lines/license_v1", "marketplace/callbacks/product_lines/online_license",
    "marketplace/callbacks/product_lines/order_notification", "marketplace/reconciliation/rules",
    "desk/reconciliation/repairing", "desk/bulk/rules", "desk/bulk/uploaded_list", "desk/licenses/reading",
    "desk/reports/questions",
    "console/forms", "console/pictures", "console/targets", "console/navigation", "console/languages",
    "words/explanations",
    "words/sentences", "words/names", "words/texts", "words/pages", "words/actions", "words/licenses", "words/alerts",
    "words/policy_values",
}  # fmt: skip
NOT_PURE = {
    "sqlalchemy", "starlette", "httpx2", "random", "secrets", "os", "time", "socket", "asyncio", "threading", "pathlib",
    "tempfile", "logging", "subprocess",
}  # fmt: skip
IMPURE = (".store", ".service", ".routes", "platform.db", "platform.clock", "platform.writer", "platform.config")

# Where a statement may be written and run, apart from files called store.py and tables.py and the migrations.
SQL_HOMES = {
    "licsrv/platform/db.py",
    "licsrv/platform/postgresql.py",
    "licsrv/platform/writability.py",
    "licsrv/cli/backup.py",
    "licsrv/cli/doctor/database_check.py",
}
STATEMENTS = {"select", "insert", "update", "delete", "text"}
RUNS = {"exec", "execute", "scalar", "scalars"}


def ranks_of(folder: str) -> dict[str, int]:
    return {unit: rank for rank, units in enumerate(ORDERS[folder]) for unit in units.split()}


def unit_of(name: str, folder: str) -> str | None:
    """Return which child of a folder a module belongs to, or None for modules elsewhere."""
    return name.removeprefix(folder + ".").split(".")[0] if name.startswith(folder + ".") else None


def inside(name: str, packages: Sequence[str]) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def arrows(folder: str) -> Iterator[tuple[str, str, str]]:
    """Yield place, unit and imported unit of every import between two ranked children of a folder."""
    ranks = ranks_of(folder)
    for module in modules():
        unit = unit_of(module.name, folder)
        for line, imported in own_imports(module):
            other = unit_of(imported, folder)
            if unit in ranks and other in ranks and unit != other:
                yield f"{module.where}:{line}", f"{folder}.{unit}", f"{folder}.{other}"


def arrows_up(folder: str) -> list[str]:
    ranks = {f"{folder}.{unit}": rank for unit, rank in ranks_of(folder).items()}
    return [
        f"{place}: {unit} -> {other}"
        for place, unit, other in arrows(folder)
        if ranks[other] >= ranks[unit] and f"{unit} -> {other}" not in KNOWN_ARROWS_UP
    ]


def test_imports_go_one_way_between_rooms_and_between_the_folders_of_a_room() -> None:
    for row in each(ORDERS):
        with row as folder:
            assert arrows_up(folder) == []


def test_every_room_and_every_folder_of_an_ordered_room_has_a_place() -> None:
    without = set()
    for folder in ORDERS:
        for module in modules():
            unit, rest = unit_of(module.name, folder), module.name.removeprefix(folder + ".").split(".")[1:]
            if unit and (rest or folder == "licsrv") and unit not in ranks_of(folder):
                without.add(f"{folder}.{unit}")

    assert without - set(OUTSIDERS) == set(), "add it to ORDERS"


def test_no_two_modules_import_each_other_even_by_a_detour() -> None:
    # An `__init__` only offers names of its modules, so its own imports close no circle.
    plain = [module for module in modules() if module.path.stem != "__init__"]
    names = {module.name for module in plain}
    graph = {module.name: {other for _, other in own_imports(module)} & names for module in plain}

    while free := {name for name, others in graph.items() if not others}:
        graph = {name: others - free for name, others in graph.items() if name not in free}

    assert graph == {}


def crossings() -> Iterator[str]:
    for module in modules():
        home = next((name for name in OUTSIDERS if inside(module.name, [name])), "licsrv")
        for line, imported in own_imports(module):
            there = next((name for name in OUTSIDERS if inside(imported, [name])), "licsrv")
            if there != home:
                yield f"{module.where}:{line} imports {imported}"


def test_the_service_the_emulator_and_the_client_import_nothing_of_each_other() -> None:
    assert list(crossings()) == []


def test_the_client_depends_on_cryptography_and_the_http_client_alone() -> None:
    allowed = {*sys.stdlib_module_names, "cryptography", "httpx2", "client_stub"}

    foreign = [
        f"{module.where}:{line} imports {name}"
        for module in modules("client_stub")
        for line, name in module.imports
        if name.split(".")[0] not in allowed
    ]

    assert foreign == []


def says_pure(module: Module) -> bool:
    return "pure" in module.docstring.lower().replace(":", " ").replace(".", " ").replace(";", " ").split()


def impurities(module: Module) -> Iterator[str]:
    for line, name in module.imports:
        own = module_of(name) or ""
        if name.split(".")[0] in NOT_PURE or own.endswith(IMPURE):
            yield f"{module.where}:{line} imports {name}"


def test_a_module_that_says_pure_reaches_for_nothing() -> None:
    reaching = [problem for module in modules() if says_pure(module) for problem in impurities(module)]

    assert reaching == []


def test_the_modules_that_have_to_be_pure_say_so() -> None:
    pure = {"/".join(module.parts[1:]) for module in modules("licsrv") if says_pure(module)}

    assert PURE - pure == set(), "moved: change the path in PURE; no longer pure: that is a step back"


def sql_of(module: Module) -> Iterator[str]:
    for line, name in module.imports:
        package, _, last = name.partition(".")
        if package in {"sqlalchemy", "sqlmodel"} and last.split(".")[-1] in STATEMENTS:
            yield f"{module.where}:{line} imports {name}"
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in RUNS:
            yield f"{module.where}:{node.lineno} calls {ast.unparse(node.func)}"


def may_write_sql(module: Module) -> bool:
    return module.where in SQL_HOMES or module.path.name in {"store.py", "tables.py"} or "migrations" in module.parts


def test_sql_is_written_in_stores_only() -> None:
    elsewhere = [found for module in modules("licsrv") if not may_write_sql(module) for found in sql_of(module)]

    assert elsewhere == []


def test_only_the_seams_commit() -> None:
    committing = {module.where for module in modules("licsrv") if ".commit()" in module.text}

    assert committing == {
        "licsrv/platform/db.py",
        "licsrv/platform/writer.py",
        "licsrv/migrations/__init__.py",
    }
