"""What Linux reports in ``/sys`` and ``/proc``, readable for every user.

The board's serial number is for root only; where it cannot be read the part stays empty, and a remark says so. The
machine-id is not used: it comes with the installation, is copied with every disk image and changes with the next one.
"""

from __future__ import annotations

import array
import re
import socket
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

from client_stub.machine.device_facts import processor
from client_stub.machine.device_facts.inventory import Adapter, Bus, Disk, Inventory
from client_stub.machine.device_facts.linux_disks import BlockDevice, bus_of, bus_of_transport

AskAddress = Callable[[str], str]

_ETHERNET = "1"  # ARPHRD_ETHER; wireless ones are too
_PERMANENT = "0"  # NET_ADDR_PERM: the address in use is the card's own
_SIOCETHTOOL, _ETHTOOL_GPERMADDR = 0x8946, 0x20
_ADDRESS_BYTES = 6
_SD_CARD = "SD"
_NOT_DISKS = re.compile(r"(sr|fd|loop|ram|zram|nbd|rbd|drbd|dm-|md|mtdblock)\d")
_UNIT_SERIAL_HEAD = 4  # bytes before the serial in the SCSI page 0x80


def take_inventory(root: Path, block_devices: dict[str, BlockDevice], permanent_address: AskAddress) -> Inventory:
    """Read everything below ``root`` (``/``); what cannot be read is left empty."""
    board, remarks = _board(root)
    return Inventory(
        adapters=tuple(_adapter(root, path, permanent_address) for path in _entries(root / "sys/class/net")),
        disks=tuple(_disks(root, block_devices)),
        board=board,
        cpu=processor.from_cpuinfo(_read(root / "proc/cpuinfo")),
        remarks=remarks,
    )


def permanent_address(name: str) -> str:
    """Ask the kernel for the address that is burned into an adapter; empty when it does not report one.

    Needed where the address in use is another one: randomised by the network manager, or lent by a bond.
    """
    try:
        import fcntl  # not on Windows, where this module is imported by tests only

        answer = array.array("B", struct.pack("II", _ETHTOOL_GPERMADDR, _ADDRESS_BYTES) + bytes(_ADDRESS_BYTES))
        request = struct.pack("16sP", name.encode()[:15], answer.buffer_info()[0]) + bytes(16)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
            fcntl.ioctl(channel, _SIOCETHTOOL, request)
    except (OSError, ImportError):
        return ""
    return answer.tobytes()[-_ADDRESS_BYTES:].hex(":")


def _adapter(root: Path, path: Path, ask: AskAddress) -> Adapter:
    is_own = _read(path / "addr_assign_type") == _PERMANENT
    address = _read(path / "address") if is_own else ask(path.name)
    return Adapter(path.name, address, _adapter_bus(root, path), is_ethernet=_read(path / "type") == _ETHERNET)


def _adapter_bus(root: Path, path: Path) -> Bus:
    if (path / "device/physfn").exists():
        return Bus.VIRTUAL  # a slice of a card, for virtual machines
    return _bus(root, path)


def _bus(root: Path, path: Path) -> Bus:
    """Look where a device hangs, and whether something above it can be unplugged (a Thunderbolt dock is on PCI)."""
    try:
        resolved, top = path.resolve(), (root / "sys").resolve()
        bus = bus_of(f"/{resolved.relative_to(top)}/")
    except (OSError, ValueError, RuntimeError):
        return Bus.VIRTUAL
    above = (folder for folder in resolved.parents if folder.is_relative_to(top))
    is_docked = bus is Bus.BUILT_IN and any(_read(folder / "removable") == "removable" for folder in above)
    return Bus.DOCK if is_docked else bus


def _disks(root: Path, block_devices: dict[str, BlockDevice]) -> Iterator[Disk]:
    for path in _entries(root / "sys/block"):
        if not _NOT_DISKS.match(path.name):
            known = block_devices.get(path.name, BlockDevice("", ""))
            serial = _disk_serial(path) or known.serial
            yield Disk(path.name, serial, _disk_bus(root, path, known), is_removable=_read(path / "removable") == "1")


def _disk_bus(root: Path, path: Path, known: BlockDevice) -> Bus:
    bus = _bus(root, path)
    if bus is not Bus.BUILT_IN:
        return bus
    return Bus.CARD if _read(path / "device/type") == _SD_CARD else bus_of_transport(known.transport)


def _disk_serial(path: Path) -> str:
    """NVMe and eMMC report it below ``device``, virtio next to it, SCSI and SATA in the page of unit serial numbers."""
    reported = _read(path / "device/serial") or _read(path / "serial")
    return reported or _bytes(path / "device/vpd_pg80")[_UNIT_SERIAL_HEAD:].decode("ascii", "replace").strip(" \0")


def _board(root: Path) -> tuple[str, tuple[str, ...]]:
    reported = _read(root / "sys/class/dmi/id/board_serial") or _read(root / "proc/device-tree/serial-number")
    is_hidden = not reported and (root / "sys/class/dmi/id/board_serial").exists()
    return reported, ("The board's serial number can be read by root only.",) if is_hidden else ()


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:  # some attributes are there and answer with an error
        return b""


def _read(path: Path) -> str:
    return _bytes(path).decode("utf-8", "replace").strip(" \t\r\n\0")
