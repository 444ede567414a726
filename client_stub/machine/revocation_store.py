"""Keep the revocation list between two starts: the signed texts as they came, one per line.

What is signed needs no seal: a line that was edited does not verify, and is dropped with all that follow it. Deltas
are kept behind the full list that they change. Never raises on account of the disk.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from client_stub.machine import disk

_LOG = logging.getLogger(__name__)
_MAXIMUM_BYTES = 32 * 1024 * 1024


class RevocationStore:
    """The file at ``path``, read and replaced as a whole; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def load(self) -> tuple[str, ...]:
        """Return the kept texts, oldest first; none when there are none to be had."""
        if self.path is None:
            return ()
        try:
            return tuple(disk.read_file(self.path, _MAXIMUM_BYTES).decode("ascii").splitlines())
        except FileNotFoundError:
            return ()
        except (OSError, ValueError) as error:
            _LOG.warning("the stored revocation list is not used: %s", type(error).__name__)
            return ()

    @contextlib.contextmanager
    def taking_turns(self) -> Iterator[None]:
        """Keep other programs from changing what is kept meanwhile."""
        if self.path is None:
            yield
        else:
            with disk.taking_turns(self.path):
                yield

    def save(self, texts: Sequence[str]) -> bool:
        """Replace what is kept. Return False when it could not be written."""
        if self.path is None:
            return False
        try:
            disk.replace_file(self.path, "".join(f"{text}\n" for text in texts).encode("ascii"))
        except OSError as error:
            _LOG.warning("the revocation list could not be stored: %s", error.strerror)
            return False
        return True
