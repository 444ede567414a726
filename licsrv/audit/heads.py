"""The end of the audit in a second place: an older end that is put back into the database is missed there.

A place is a file that is only appended to, the system's log, or a webhook. Only a file is read back.
"""

from __future__ import annotations

import os
import syslog
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from licsrv.audit.entries import Mark

FILE = "file:"
_READ_BYTES = 64 * 1024


@dataclass(frozen=True)
class Noted:
    """An end of the audit as it was at a moment; as a line ``<moment> <number>:<hash>``."""

    at: datetime
    mark: Mark

    def __str__(self) -> str:
        return f"{self.at.isoformat()} {self.mark}"


def file_of(place: str) -> Path | None:
    """Return the file of a place; None where it is another kind."""
    return Path(place.removeprefix(FILE)) if place.startswith(FILE) else None


def write(place: str, noted: Noted) -> None:
    """Note an end in a file or in the system's log.

    Raises:
        OSError: The file cannot be written.
    """
    path = file_of(place)
    if path is None:
        syslog.syslog(syslog.LOG_NOTICE | syslog.LOG_AUTHPRIV, f"licsrv audit {noted}")
        return
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(f"{noted}\n".encode("ascii"))
        file.flush()
        os.fsync(file.fileno())


def document(noted: Noted) -> dict[str, object]:
    """Return an end as a webhook gets it."""
    return {"event": "audit_head", "at": noted.at.isoformat(), "seq": noted.mark.seq, "hash": noted.mark.hash}


def read(path: Path) -> Sequence[Noted]:
    """Return what was noted in a file lately, oldest first; a line that cannot be read is left out.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        file.seek(max(path.stat().st_size - _READ_BYTES, 0))
        return list(_lines(file.read().decode("ascii", "replace")))


def _lines(text: str) -> Iterator[Noted]:
    for line in text.splitlines():
        moment, _, mark = line.partition(" ")
        try:
            yield Noted(datetime.fromisoformat(moment), Mark.parse(mark))
        except ValueError:
            continue
