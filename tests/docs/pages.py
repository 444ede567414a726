"""The pages that the tests here hold to the code: where they are, and what they name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
README = ROOT / "README.md"
INDEX = DOCS / "README.md"
FIRST_STEPS = DOCS / "first-steps.md"
SUPPORT = DOCS / "support.md"
DEMO = DOCS / "demo.md"
SETTINGS = DOCS / "settings.md"
COMMANDS = DOCS / "commands.md"
ERRORS = DOCS / "errors.md"
HTTP_API = DOCS / "http-api.md"
DESKTOP = DOCS / "desktop-integration.md"
ARCHITECTURE = DOCS / "architecture.md"
PRODUCT_LINES_PAGE = DOCS / "product-lines.md"
CALLBACKS = DOCS / "callbacks.md"
OPERATIONS = DOCS / "operations"
KEYS = OPERATIONS / "keys.md"
RELEASES = OPERATIONS / "releases.md"
MONITORING = OPERATIONS / "monitoring.md"
PAGES = [README, *sorted(DOCS.rglob("*.md")), ROOT / "keys" / "README.md", ROOT / "benchmarks" / "README.md"]

_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SAMPLE = re.compile(r"<!-- sample: ([\w-]+) -->\n```\w+\n(.*?)\n```", re.DOTALL)


def name_of(page: Path) -> str:
    """Return a page's path from the root, for the list of what a test found."""
    return page.relative_to(ROOT).as_posix()


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_spans(page: Path) -> list[str]:
    """Return everything in backticks, outside of fenced blocks."""
    return _CODE_SPAN.findall(_FENCE.sub("", text(page)))


def sample(name: str, page: Path) -> str:
    """Return a page's sample of this name."""
    return samples(page)[name]


def samples(page: Path) -> dict[str, str]:
    """Return the samples of a page by their names."""
    return dict(_SAMPLE.findall(text(page)))


def between(page: Path, begin: str, end: str) -> str:
    return text(page).split(f"<!-- {begin} -->\n")[1].split(f"<!-- {end} -->")[0]
