"""Links between the pages resolve, files that they name exist, and nothing names a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.docs.pages import ARCHITECTURE, DOCS, INDEX, PAGES, README, ROOT, name_of, text

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_PRIVATE = re.compile(
    rf"{re.escape(str(ROOT))}\b|/(?:root|home|Users|tmp)/\w|index[-_]url|\bpypi\b|https?://\S+/simple\b", re.IGNORECASE
)
# Such as `licensing/lifecycle.py` and `client_stub/trust/`.
_CODE_PATH = re.compile(r"`((?:[a-z_]+/)+(?:[a-z_]+\.py)?)`")
_MADE_AT_RUN_TIME = {"var/"}
_OURS = ("demo", "docs", "deploy", "keys/README.md", "README.md")


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    titles = (re.sub(r"[^\w\- ]", "", title.lower()) for title in _HEADING.findall(text(page)))
    return {title.strip().replace(" ", "-") for title in titles}


def _links(page: Path) -> Iterator[str]:
    """Return the links of a page that stay inside the repository."""
    return (link for link in _LINK.findall(text(page)) if "://" not in link)


def _target(page: Path, link: str) -> Path:
    path = link.partition("#")[0]
    return (page.parent / path).resolve() if path else page


def _resolves(page: Path, link: str) -> bool:
    target, anchor = _target(page, link), link.partition("#")[2]
    return target.exists() and (not anchor or anchor in _anchors(target))


def test_every_link_inside_the_repository_resolves() -> None:
    broken = [(name_of(page), link) for page in PAGES for link in _links(page) if not _resolves(page, link)]

    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, waiting = set(), [README]
    while waiting:
        page = waiting.pop()
        if page in reached or page not in PAGES:
            continue
        reached.add(page)
        targets = [_target(page, link) for link in _links(page)]
        waiting += [found for target in targets for found in _pages_at(target)]

    assert set(PAGES) - reached == set()


def _pages_at(target: Path) -> list[Path]:
    """Return the page, or the pages of a folder that is linked as a whole."""
    return sorted(target.glob("*.md")) if target.is_dir() else [target]


def test_the_index_names_every_page_of_its_folder() -> None:
    named = {_target(INDEX, link) for link in _links(INDEX)}

    assert {page for page in DOCS.glob("*.md") if page != INDEX} <= named


def test_no_two_decisions_have_one_number() -> None:
    numbers = [page.name[:4] for page in sorted((DOCS / "adr").glob("*.md"))]

    assert [number for number in set(numbers) if numbers.count(number) > 1] == []


def test_the_readme_stays_short() -> None:
    assert len(text(README).splitlines()) <= 200


def test_every_path_in_the_code_that_a_page_names_exists() -> None:
    """A path starts at the root or at ``licsrv/``; a folder's ends in a slash."""
    missing = [
        (name_of(page), path)
        for page in PAGES
        for path in _CODE_PATH.findall(text(page))
        if path not in _MADE_AT_RUN_TIME and not any((root / path).exists() for root in (ROOT / "licsrv", ROOT))
    ]

    assert missing == []
    assert _CODE_PATH.findall(text(ARCHITECTURE))


def test_the_architecture_names_every_room_and_no_other() -> None:
    rooms = text(ARCHITECTURE).split("| Room | Contains |")[1].split("\n\n")[0]
    named = {name for row in rooms.splitlines() for name in re.findall(r"`([a-z_./]+)`", row.split(" | ")[0])}

    existing = {path.name for path in (ROOT / "licsrv").glob("[a-z]*") if path.suffix in {"", ".py"}}

    assert {name.rstrip("/") for name in named} == existing


def _files() -> Iterator[Path]:
    for name in _OURS:
        path = ROOT / name
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        found = [each for each in found if each.is_file() and each.suffix != ".png"]
        yield from (each for each in found if "__pycache__" not in each.parts)


def test_no_file_names_a_machine_or_a_package_index() -> None:
    named = {name_of(path): found for path in _files() if (found := _PRIVATE.findall(text(path)))}

    assert named == {}
