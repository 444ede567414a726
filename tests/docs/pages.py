"""The pages that the tests here hold to the code: where they are, and what they name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
DESKTOP = ROOT / "docs" / "desktop-integration.md"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
PRODUCT_LINES_PAGE = ROOT / "docs" / "product-lines.md"
CALLBACKS = ROOT / "docs" / "callbacks.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "keys" / "README.md"]

_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SAMPLE = re.compile(r"<!-- sample: (\w+) -->\n```\w+\n(.*?)\n```", re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_spans(page: Path) -> list[str]:
    """Return everything in backticks, outside of fenced blocks."""
    return _CODE_SPAN.findall(_FENCE.sub("", text(page)))


def sample(name: str, page: Path = README) -> str:
    """Return a page's sample of this name."""
    return samples(page)[name]


def samples(page: Path) -> dict[str, str]:
    """Return the samples of a page by their names."""
    return dict(_SAMPLE.findall(text(page)))


def between(page: Path, begin: str, end: str) -> str:
    return text(page).split(f"<!-- {begin} -->\n")[1].split(f"<!-- {end} -->")[0]
