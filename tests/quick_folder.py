"""Where tests keep their files: in memory, where the machine has room for it there.

SQLite waits for the disk at every commit, as it should. In memory that wait is 500 times shorter.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_IN_MEMORY = Path("/dev/shm")
_ROOM = 2 * 1024**3


def quick_folder(*, for_programs: bool = False) -> Path:
    """Return a folder in memory, or the usual one for temporary files.

    Args:
        for_programs: Programs will be built and run in it, which many containers forbid in memory.
    """
    if not os.access(_IN_MEMORY, os.W_OK | os.X_OK) or shutil.disk_usage(_IN_MEMORY).free < _ROOM:
        return Path(tempfile.gettempdir())
    if for_programs and os.statvfs(_IN_MEMORY).f_flag & os.ST_NOEXEC:
        return Path(tempfile.gettempdir())
    return _IN_MEMORY
