"""A borrowed seat on disk, so that the program works with it after a start without network.

One file next to the store: the seat, the license string that it was taken with, its session and its nonce. Nothing in
it is believed before its signatures are verified, so it has no seal. Of two programs with one store only one can have
the seat: it holds a claim on the file while it runs.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from client_stub.machine import disk

_LOG = logging.getLogger(__name__)
_MAXIMUM_BYTES = 64 * 1024


@dataclass(frozen=True)
class KeptSeat:
    """What is kept of a borrowed seat; texts as they came over the network, not verified."""

    seat: str
    license_string: str
    session: str
    nonce: str


class SeatStore:
    """The file at ``path``; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._claimed: int | None = None

    def load(self) -> KeptSeat | None:
        """Read what was kept, unless another program has it in use. Never raises."""
        if self._path is None or not self._path.exists() or not self._claim():
            return None
        try:
            members = json.loads(disk.read_file(self._path, _MAXIMUM_BYTES))
            kept = KeptSeat(**members)
        except (OSError, ValueError, TypeError, RecursionError):
            kept = None
        if kept is None or not all(isinstance(getattr(kept, field.name), str) for field in fields(kept)):
            _LOG.warning("the borrowed seat is not used: its file is damaged")
            self._release()
            return None
        return kept

    def save(self, kept: KeptSeat) -> bool:
        """Keep a borrowed seat, for this program alone. Return False when that is not possible."""
        if self._path is None or not self._claim():
            return False
        try:
            disk.replace_file(self._path, json.dumps(asdict(kept)).encode())
        except OSError as error:
            _LOG.warning("the borrowed seat could not be kept: %s", error.strerror)
            return False
        return True

    def forget(self) -> None:
        """Keep nothing any more of what this program has kept or loaded; the second time nothing happens."""
        if self._path is not None and self._claimed is not None:
            try:
                self._path.unlink(missing_ok=True)
            except OSError as error:
                _LOG.warning("the borrowed seat could not be removed: %s", error.strerror)
        self._release()

    def close(self) -> None:
        """Leave what is kept to the next start of the program."""
        self._release()

    def _claim(self) -> bool:
        if self._claimed is None and self._path is not None:
            self._claimed = disk.claim(self._path)
        return self._claimed is not None

    def _release(self) -> None:
        if self._claimed is not None:
            disk.give_up(self._claimed)
            self._claimed = None
