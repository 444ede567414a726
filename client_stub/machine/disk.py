"""Put files on disk whole or not at all, read no more than expected, and take turns with other programs.

Knows nothing about what is in the files.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

_UNFINISHED = ".license."
_TRIES, _PAUSE = 40, 0.05  # two seconds; a lock is held for milliseconds, unless its owner was stopped


def replace_file(path: Path, content: bytes) -> None:
    """Replace the file atomically, readable by this user only; its folder is made when it is missing.

    Raises:
        OSError: It could not be written; what was there before is still there.
    """
    try:
        _replace_file(path, content)
    except FileNotFoundError:  # another program removed the new file before it was locked
        _replace_file(path, content)


def create_file(path: Path, content: bytes) -> None:
    """Put a file on disk as ``replace_file`` does, unless there is one: of two programs, one wins.

    Raises:
        FileExistsError: There is one already; it is whole.
        OSError: It could not be written.
    """
    _put(path, content, _link)


def _link(temporary: Path, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without links, where the lock alone keeps two programs apart
        if path.exists():
            raise FileExistsError(f"{path.name} exists") from None
        temporary.replace(path)
    else:
        temporary.unlink()


def _replace_file(path: Path, content: bytes) -> None:
    _put(path, content, lambda temporary, target: temporary.replace(target))


def _put(path: Path, content: bytes, move: Callable[[Path, Path], object]) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    # mkstemp creates the file with mode 0600, before anything is in it. Its name is not made from ours, which may be
    # as long as a name can be.
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_UNFINISHED)
    try:
        with os.fdopen(handle, "wb") as file:
            _try_lock(file.fileno())  # so that another program does not take it for a left-over
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        move(Path(temporary), path)
        _keep_names(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _keep_names(folder: Path) -> None:
    """Have the folder on disk as well: a power cut keeps a file without its name otherwise."""
    with contextlib.suppress(OSError):  # Windows opens no folders, and some file systems sync none
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_unfinished(folder: Path) -> None:
    """Remove what a program that was killed while it wrote has left in the folder. Never raises."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(_UNFINISHED):
                _remove_unless_alive(path)


def _remove_unless_alive(path: Path) -> None:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if _try_lock(file.fileno()):
            path.unlink()


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


@contextlib.contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Keep other programs from changing the file at ``path`` meanwhile, by a lock file next to it.

    A lock that cannot be had in two seconds, or that the file system does not know, is done without: a stopped
    program must not stop others.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
            stack.callback(os.close, lock)
            _wait_for_lock(lock)
        yield


def claim(path: Path) -> int | None:
    """Take the file at ``path`` for this program alone, by a lock file next to it, until ``give_up`` or the end.

    Return None when another program has it, or when the file system knows no locks.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_name(path.name + ".claim"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return None
    if _try_lock(lock):
        return lock
    os.close(lock)
    return None


def give_up(claimed: int) -> None:
    """Let other programs take a file that was claimed."""
    os.close(claimed)


def _wait_for_lock(descriptor: int) -> None:
    for _ in range(_TRIES):
        if _try_lock(descriptor):
            return
        time.sleep(_PAUSE)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
