"""The house style, as far as a machine can see it: short functions, calls by keyword, one name for one thing.

Where the code is not there yet, a number says how far it is. Such a number may only go down: lower it with your change.
"""

from __future__ import annotations

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.source_tree import ROOT, Function, Module, length, modules
from tests.tables import each

LONGEST, NINE_OF_TEN = 50, 12
MOST_POSITIONAL = 3

# Names of methods and functions of ours that foreign objects have as well.
FOREIGN_TOO = {"select", "table", "warning", "execute", "read", "replace", "get"}

# Words of the dialect that the project had grown. The plain ones: unauthenticated, caller, re-issue, reported,
# marketplace, status, package, next to, as well as.
DIALECT = re.compile(
    r"\b(?:nobody|somebody|anybody|everybody|whoever|anew|told|shops?|stands?(?![-\w])|house|besides?|goes along"
    r"|at hand|all the same)\b",
    re.IGNORECASE,
)
WRITTEN = ("licsrv", "client_stub", "docs", "pages")

# A shelf has the same name in every room. Every other module name means one thing.
SHELVES = {
    "__init__", "__main__", "answers", "api", "errors", "fields", "jobs", "origins", "routes", "rules", "runner",
    "service", "store", "tables",
}  # fmt: skip
NAMES_FOR_TWO_THINGS = {"changes", "codes"}  # may only shrink


def without_migrations() -> list[Module]:
    return [module for module in modules() if "versions" not in module.parts]


def lengths() -> list[tuple[int, str]]:
    return sorted(
        (length(function), f"{module.where}:{function.lineno} {function.name}")
        for module in without_migrations()
        for function in module.functions()
    )


def test_functions_are_short() -> None:
    found = lengths()

    assert [function for function in found if function[0] > LONGEST] == []
    assert found[len(found) * 9 // 10][0] <= NINE_OF_TEN, found[len(found) * 9 // 10 :][:40]


@cache
def own_names() -> frozenset[str]:
    kinds = (ast.ClassDef, *Function.__args__)
    return frozenset(node.name for module in modules() for node in module.nodes if isinstance(node, kinds))


def called(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def long_calls(package: str) -> Iterator[str]:
    for module in modules(package):
        for node in module.nodes:
            if isinstance(node, ast.Call) and len(node.args) > MOST_POSITIONAL:
                name = called(node)
                if name in own_names() - FOREIGN_TOO:
                    yield f"{module.where}:{node.lineno} {name}({len(node.args)} positional values)"


def test_calls_name_their_arguments() -> None:
    assert [found for package in ("licsrv", "client_stub") for found in long_calls(package)] == []


def texts() -> dict[str, list[Path]]:
    return {
        "client_stub": sorted((ROOT / "client_stub").rglob("*.[ch]")),
        "docs": [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))],
        "pages": sorted((ROOT / "licsrv").rglob("*.html")) + sorted((ROOT / "licsrv").rglob("*.json")),
    }


def dialect(area: str) -> Iterator[str]:
    for module in modules(area) if (ROOT / area / "__init__.py").exists() else ():
        for line, text in module.prose():
            yield from (f"{module.where}:{line} {match.group()}" for match in DIALECT.finditer(text))
    for path in texts().get(area, []):
        for line, text in enumerate(path.read_text("utf-8").splitlines(), 1):
            yield from (f"{path.relative_to(ROOT)}:{line} {match.group()}" for match in DIALECT.finditer(text))


def test_what_people_read_is_plain_english() -> None:
    for row in each(WRITTEN):
        with row as area:
            assert list(dialect(area)) == []


def test_a_module_name_means_one_thing() -> None:
    # The desk, the console and the command line show the nouns of the rooms below, so they share their names.
    places = defaultdict(list)
    for module in modules():
        if module.parts[1] not in {"emulator", "desk", "console", "cli"}:
            places[module.parts[0], module.path.stem].append(module.where)

    double = {name: where for (_, name), where in places.items() if len(where) > 1 and name not in SHELVES}

    assert set(double) - NAMES_FOR_TWO_THINGS == set(), double


def test_every_module_says_what_it_is_for() -> None:
    silent = [module.where for module in modules() if module.text.strip() and not module.docstring]

    assert silent == []


def test_the_first_lines_of_modules_differ() -> None:
    first = Counter(module.docstring.split("\n")[0] for module in modules() if module.docstring)

    assert [line for line, times in first.items() if times > 1] == []
