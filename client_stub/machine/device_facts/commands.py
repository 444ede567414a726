"""Runs a program of the operating system, for a limited time, and never fails its caller."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import PureWindowsPath

SECONDS = 10.0
"""PowerShell alone needs up to five for its first start after the computer's."""
_UNIX_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"


def run(arguments: Sequence[str], *, seconds: float = SECONDS) -> str:
    """Return what the program writes; nothing when it is not there, fails to start, or takes too long."""
    try:
        ended = subprocess.run(  # noqa: S603 - fixed programs of the system, by their full path, without a shell
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),  # no black window in front of the user
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return _decode(ended.stdout)


def unix_program(name: str) -> str:
    """Return the system's own program of this name, wherever PATH points; empty when there is none."""
    return shutil.which(name, path=_UNIX_FOLDERS) or ""


def windows_program(*below_system32: str) -> str:
    """Return the full path of a program of Windows: by its bare name one in the current folder would be started."""
    return str(PureWindowsPath(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32", *below_system32))


def _decode(raw: bytes) -> str:
    encoding = "utf-16" if raw.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    return raw.decode(encoding, errors="replace")
