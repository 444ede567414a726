"""The name that the operating system gave to this machine at its installation; empty where it gives none.

Used only to notice that a file was copied from another machine, and only as a keyed hash. It is no device fact: an
image that is started many times has one name for all.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))
_FORM = re.compile(r"[0-9a-f-]{32,36}")


if sys.platform == "win32":
    import winreg

    def _reported() -> str:
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SOFTWARE\Microsoft\Cryptography") as key:
                return str(winreg.QueryValueEx(key, "MachineGuid")[0])
        except OSError:
            return ""

else:

    def _reported() -> str:
        return next(filter(None, map(_first_line, _FILES)), "")


def machine_name() -> str:
    """Return the name in lower case. Never raises."""
    name = _reported().strip().lower()
    return name if _FORM.fullmatch(name) and name.strip("0-") else ""


def _first_line(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(63).decode("ascii", "replace").partition("\n")[0].strip()
    except OSError:
        return ""
