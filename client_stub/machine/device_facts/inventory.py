"""What a machine has, as its operating system reports it; good and useless facts alike.

Pure values. Which of them identify the machine is decided in ``selection``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Bus(StrEnum):
    """How something is attached, as far as it matters for whether it stays."""

    BUILT_IN = "built in"
    """On the board, in a slot, or given to a virtual machine by its host."""
    VIRTUAL = "virtual"
    """Made of software: bridges, tunnels, VPNs, containers, loop devices, RAM disks."""
    USB = "USB"
    BLUETOOTH = "Bluetooth"
    DOCK = "a dock or another removable housing"
    CARD = "a memory card reader"
    NETWORK = "the network"


@dataclass(frozen=True)
class Adapter:
    """A network adapter; ``address`` is the permanent one, in any spelling, or empty."""

    name: str
    address: str
    bus: Bus
    is_ethernet: bool = True


@dataclass(frozen=True)
class Disk:
    """A disk; ``serial`` is empty when it does not report one."""

    name: str
    serial: str
    bus: Bus
    is_removable: bool = False


@dataclass(frozen=True)
class Inventory:
    """Everything that was found; ``remarks`` say what could not be asked, in sentences."""

    adapters: tuple[Adapter, ...] = ()
    disks: tuple[Disk, ...] = ()
    board: str = ""
    cpu: str = ""
    remarks: tuple[str, ...] = ()
