"""The source as data for the tests of its architecture and style: every module is read and parsed once."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("licsrv", "client_stub")
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file of ours."""

    path: Path

    @property
    def where(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def parts(self) -> tuple[str, ...]:
        """The dotted name, taken apart; a package ends with `__init__`."""
        return self.path.relative_to(ROOT).with_suffix("").parts

    @property
    def name(self) -> str:
        return ".".join(self.parts).removesuffix(".__init__")

    @cached_property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @cached_property
    def docstring(self) -> str:
        return ast.get_docstring(self.tree) or ""

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """Line and full name of everything imported, inside functions and for the type checker too."""
        return list(self._imports())

    def _imports(self) -> Iterator[tuple[int, str]]:
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.where}:{node.lineno}: imports are absolute"
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)

    def functions(self) -> Iterator[Function]:
        return (node for node in self.nodes if isinstance(node, Function))

    def prose(self) -> Iterator[tuple[int, str]]:
        """Line and text of comments, docstrings and other strings: whatever people read."""
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        yield from ((token.start[0], token.string) for token in tokens if token.type == tokenize.COMMENT)
        for node in self.nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.lineno, node.value


@cache
def modules(*packages: str) -> tuple[Module, ...]:
    """Return the modules of the packages, by default of all; generated folders and C sources are none."""
    names = packages or PACKAGES
    return tuple(Module(path) for name in names for path in sorted((ROOT / name).rglob("*.py")))


@cache
def known_names() -> frozenset[str]:
    return frozenset(module.name for module in modules())


def module_of(imported: str) -> str | None:
    """Return our module that an imported name is or belongs to, or None for a name of others."""
    while imported and imported not in known_names():
        imported = imported.rpartition(".")[0]
    return imported or None


@cache
def own_imports(module: Module) -> list[tuple[int, str]]:
    """Return line and module of what a module imports of ours, itself excepted."""
    found = [(line, module_of(imported)) for line, imported in module.imports]
    return [(line, name) for line, name in found if name is not None and name != module.name]


def length(function: Function) -> int:
    """Return the lines of a function's body without its docstring."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0
