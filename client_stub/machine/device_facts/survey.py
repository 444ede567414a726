"""Ask this machine what identifies it. Never raises, whatever the machine answers; see ``gather``."""

from __future__ import annotations

import base64
import logging
import platform
from collections.abc import Callable
from pathlib import Path

from client_stub.machine.device_facts import commands, installation, linux_disks, macos, sysfs, windows
from client_stub.machine.device_facts.inventory import Inventory
from client_stub.machine.device_facts.selection import DeviceFacts, select

_LOG = logging.getLogger(__name__)


def gather(*, install_identity: Path | None = None) -> str:
    """Return the device text of this machine: ``MAC|disk|board|CPU``, upper case, below 1024 ASCII characters.

    Takes up to a few seconds on Windows and macOS, where other programs have to be asked; call it once and off the
    thread that draws. Parts that cannot be had are empty, at worst all of them: ``|||``.

    Args:
        install_identity: The file that keeps a random part, where the machine has no facts of its own
            (``installation``); None for none.
    """
    text = survey().text
    return installation.with_identity(text, install_identity) if install_identity is not None else text


def survey() -> DeviceFacts:
    """Return the same facts with what was left out of them, and why."""
    takers: dict[str, Callable[[], Inventory]] = {"Linux": _linux, "Windows": _windows, "Darwin": _macos}
    system = platform.system()
    taker = takers.get(system)
    if taker is None:
        return DeviceFacts(remarks=(f"{system or 'This system'} is not known; nothing was asked.",))
    try:
        return select(taker())
    except Exception:  # a license dialog with an empty part is better than a program that does not start
        _LOG.exception("The device facts could not be gathered")
        return DeviceFacts(remarks=("The facts could not be gathered; the log says why.",))


def _linux() -> Inventory:
    program, *arguments = linux_disks.LSBLK
    answer = commands.run((commands.unix_program(program), *arguments))
    return sysfs.take_inventory(Path("/"), linux_disks.from_lsblk(answer), sysfs.permanent_address)


def _windows() -> Inventory:
    powershell = commands.windows_program("WindowsPowerShell", "v1.0", "powershell.exe")
    query = base64.b64encode(windows.QUERY.encode("utf-16-le")).decode()
    answer = commands.run((powershell, "-NoProfile", "-NonInteractive", "-EncodedCommand", query))
    found = windows.from_powershell(answer)
    return found if found.disks or found.adapters or found.cpu else _windows_by_wmic()


def _windows_by_wmic() -> Inventory:
    wmic = commands.windows_program("wbem", "wmic.exe")
    return windows.from_wmic({name: commands.run((wmic, *query)) for name, query in windows.WMIC_QUERIES.items()})


def _macos() -> Inventory:
    return macos.from_answers({name: commands.run(query) for name, query in macos.QUERIES.items()})
