"""The pages that the tests here hold to the code: where they are, and what they name."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
PAGES = [README, *sorted((ROOT / "docs").rglob("*.md")), ROOT / "keys" / "README.md"]

_CODE_SPAN = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_SAMPLE = re.compile(r"<!-- sample: (\w+) -->\n```\w+\n(.*?)\n```", re.DOTALL)


def text(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_spans(page: Path) -> list[str]:
    """Return everything in backticks, outside of fenced blocks."""
    return _CODE_SPAN.findall(_FENCE.sub("", text(page)))


def sample(name: str) -> str:
    """Return the README's sample of this name."""
    found: dict[str, str] = dict(_SAMPLE.findall(text(README)))
    return found[name]


def between(page: Path, begin: str, end: str) -> str:
    return text(page).split(f"<!-- {begin} -->\n")[1].split(f"<!-- {end} -->")[0]
