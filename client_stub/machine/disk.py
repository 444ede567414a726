"""Put files on disk whole or not at all, and read no more than expected. Knows nothing about what is in them."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Replace the file atomically, readable by this user only; its folder is made when it is missing.

    Raises:
        OSError: It could not be written; what was there before is still there.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates the file with mode 0600, before anything is in it. Its name is not made from ours, which may be
    # as long as a name can be.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".license.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def read_file(path: Path, maximum_bytes: int) -> bytes:
    """Read a file of at most ``maximum_bytes``, and never more than one byte beyond.

    Raises:
        OSError: It cannot be read.
        ValueError: It is larger.
    """
    with path.open("rb") as file:
        raw = file.read(maximum_bytes + 1)
    if len(raw) > maximum_bytes:
        raise ValueError(f"the file is larger than {maximum_bytes} bytes")
    return raw
