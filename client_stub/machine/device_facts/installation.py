"""The install identity: a random part for a machine that has no facts of its own, such as a container.

It is kept in a file next to the stored licenses and travels as a disk. Who copies the file copies the machine, so the
server binds a place to it only where the vendor allows that for the product. Nothing here fails its caller.
"""

from __future__ import annotations

import contextlib
import logging
import re
import secrets
from pathlib import Path

from client_stub.machine import disk
from client_stub.trust import devices
from client_stub.trust.device_match import Part
from client_stub.trust.errors import InvalidDeviceInfoError

_LOG = logging.getLogger(__name__)
_FORM = re.compile(r"INSTALL-[0-9A-F]{32}")
_BYTES = 16


def with_identity(text: str, path: Path) -> str:
    """Return the device text with the identity of this installation, where it names nothing but a CPU."""
    if not _is_weak(text):
        return text
    identity = _read(path) or _make(path)
    mac, disks, board, cpu = text.split("|")
    return "|".join((mac, ",".join(filter(None, (disks, identity))), board, cpu))


def _is_weak(text: str) -> bool:
    try:
        return set(devices.parse(text).values) <= {Part.CPU}
    except InvalidDeviceInfoError:
        return False


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            found = file.read(256).decode("ascii", "replace").strip()
    except OSError:
        return ""
    return found if _FORM.fullmatch(found) else ""


def _make(path: Path) -> str:
    """Keep a new identity, unless another program has just kept one; what is damaged is replaced."""
    made = f"INSTALL-{secrets.token_hex(_BYTES).upper()}\n".encode()
    try:
        if path.exists():
            disk.replace_file(path, made)
        else:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError), path.open("xb") as file:
                file.write(made)
    except OSError as error:
        _LOG.warning("the identity of this installation could not be kept: %s", error.strerror)
        return ""
    return _read(path)
