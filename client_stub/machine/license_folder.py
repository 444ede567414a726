"""License files on this computer: the path that a program asked for, and reading and writing there.

A file goes exactly where the program said and nowhere else; a name that the network suggests is never used. Believing
what is in a file is the work of ``verification``.
"""

from __future__ import annotations

import sys
from pathlib import Path, PureWindowsPath

from client_stub.machine import disk
from client_stub.trust.armour import MAXIMUM_BYTES
from client_stub.trust.errors import MalformedError

DEFAULT_NAME = "license.lic"
LONGEST_NAME = 100
_NOT_IN_NAMES = frozenset('<>:"|?*/\\')


class FileNameError(ValueError):
    """The program asked for a file name that no license file can have."""


def target_of(file_name: str, folder: Path | None) -> Path:
    """Return the place that ``file_name`` asks for: a name in ``folder``, or an absolute path of its own.

    An empty name is ``license.lic``. A relative path with folders in it is refused rather than guessed at: it would
    depend on where the program was started, or climb out of the folder.

    Raises:
        FileNameError: A relative path, an unsafe name, or one longer than 100 characters; or a plain name without a
            folder for it.
    """
    path = Path(file_name or DEFAULT_NAME)
    if folder is None and not path.is_absolute():
        raise FileNameError("This user has no folder for license files; give an absolute path.")
    if not file_name and folder is not None:
        return folder / DEFAULT_NAME
    name = path.name if path.is_absolute() else file_name
    if not is_safe_name(name) or ".." in path.parts or not file_name.isprintable():
        raise FileNameError("The file name is a plain name of at most 100 characters, or an absolute path to one.")
    return path if folder is None or path.is_absolute() else folder / name


def is_safe_name(name: str) -> bool:
    """Return True when ``name`` is a file name on every system, and stays in the folder that it is put into."""
    if not name or len(name) > LONGEST_NAME or not name.isprintable() or _NOT_IN_NAMES & set(name):
        return False
    if name != name.strip() or name.strip(".") == "" or name.endswith("."):
        return False
    return not _is_reserved(name)


def _is_reserved(name: str) -> bool:
    """CON, NUL and their like open a device on Windows, whatever ending they have."""
    if sys.version_info >= (3, 13):
        import ntpath

        return ntpath.isreserved(name)
    return PureWindowsPath(name).is_reserved()


def read(path: Path) -> bytes:
    """Read a license file; looks at its size first.

    Raises:
        OSError: It cannot be read.
        MalformedError: It is larger than a license file can be.
    """
    try:
        return disk.read_file(path, MAXIMUM_BYTES)
    except ValueError as error:
        raise MalformedError(f"The file is larger than {MAXIMUM_BYTES} bytes.") from error


def write(path: Path, content: bytes) -> None:
    """Put a license file at ``path``, whole or not at all; a link there is replaced and not followed.

    Raises:
        OSError: It could not be written.
    """
    disk.remove_unfinished(path.parent)
    disk.replace_file(path, content)
