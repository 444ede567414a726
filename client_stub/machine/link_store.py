"""Keep the newest link of the check-ins next to the license, for all programs that use the same store.

A link tells the server that this machine goes on from its last lease. It is no secret of this machine and needs no
seal: the server does not believe one of another device. Links sort by age as texts. Never raises.
"""

from __future__ import annotations

import logging
from pathlib import Path

from client_stub.machine import disk

_LOG = logging.getLogger(__name__)
LONGEST = 256


class LinkStore:
    """The file next to the store at ``store_path``; without a path nothing is kept, and nothing presented."""

    def __init__(self, store_path: Path | None) -> None:
        self._store_path = store_path
        self._path = store_path.with_suffix(".link") if store_path is not None else None

    def newest(self) -> str:
        """Return the link to present, as other programs may have left it; empty where none is kept."""
        if self._store_path is None:
            return ""
        with disk.taking_turns(self._store_path):
            return self._read()

    def keep(self, link: str) -> None:
        """Keep a link, unless a later one is kept already."""
        if self._store_path is None or self._path is None or not _is_link(link):
            return
        with disk.taking_turns(self._store_path):
            if link <= self._read():
                return
            try:
                disk.replace_file(self._path, link.encode("ascii"))
            except OSError as error:
                _LOG.warning("the link of the check-in could not be stored: %s", error.strerror)

    def _read(self) -> str:
        try:
            text = disk.read_file(self._path, LONGEST).decode("ascii") if self._path is not None else ""
        except (OSError, ValueError):
            return ""
        return text if _is_link(text) else ""


def _is_link(text: str) -> bool:
    return 0 < len(text) <= LONGEST and text.isascii() and text.isprintable()
