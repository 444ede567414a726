"""Links between the pages resolve, files that they name exist, and nothing names a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ARCHITECTURE, PAGES, PRODUCT_LINES_PAGE, ROOT, text

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PRIVATE = re.compile(
    rf"{re.escape(str(ROOT))}\b|/(?:root|home|Users|tmp)/\w|index[-_]url|\bpypi\b|https?://\S+/simple\b", re.IGNORECASE
)
_OURS = ("demo", "docs", "deploy", "keys/README.md", "README.md")


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(text(page)))
    return {title.strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_repository_resolves(page: Path) -> None:
    for link in _LINK.findall(text(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in _anchors(target), link


@pytest.mark.parametrize("page", [ARCHITECTURE, PRODUCT_LINES_PAGE], ids=lambda page: page.name)
def test_every_module_that_a_page_about_the_code_names_exists(page: Path) -> None:
    named = set(re.findall(r"`([a-z_]+/[a-z_/]+\.py)`", text(page)))

    missing = {name for name in named if not (ROOT / "licsrv" / name).exists() and not (ROOT / name).exists()}

    assert named
    assert missing == set()


def test_every_room_that_the_architecture_names_exists() -> None:
    rooms = text(ARCHITECTURE).split("| Room | Holds |")[1].split("\n\n")[0]
    named = [name for row in rooms.splitlines() for name in re.findall(r"`([a-z_./]+)`", row.split(" | ")[0])]

    existing = {path.name for path in (ROOT / "licsrv").iterdir()}

    assert {name.rstrip("/").removesuffix(".py") for name in named} <= {name.removesuffix(".py") for name in existing}


def _files() -> Iterator[Path]:
    for name in _OURS:
        path = ROOT / name
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        found = [each for each in found if each.is_file() and each.suffix != ".png"]
        yield from (each for each in found if "__pycache__" not in each.parts)


@pytest.mark.parametrize("path", list(_files()), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_names_a_machine_or_a_package_index(path: Path) -> None:
    assert _PRIVATE.findall(text(path)) == []
