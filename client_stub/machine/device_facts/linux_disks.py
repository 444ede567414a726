"""Where a device hangs, by its path in sysfs, and what ``lsblk`` knows of disks. Pure."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from client_stub.machine.device_facts.inventory import Bus

LSBLK = ("lsblk", "--json", "--nodeps", "--output", "NAME,SERIAL,TRAN,TYPE")

# The first that fits counts: a USB adapter hangs below a PCI controller, a virtio disk below a PCI slot.
_BUSES = (
    (re.compile(r"/virtual/"), Bus.VIRTUAL),
    (re.compile(r"/bluetooth/"), Bus.BLUETOOTH),
    (re.compile(r"/usb\d+/|/fw\d+/"), Bus.USB),
    (re.compile(r"/session\d+/|/rport-|/nvme-fabrics/"), Bus.NETWORK),
)
_TRANSPORTS = {
    "usb": Bus.USB,
    "iscsi": Bus.NETWORK,
    "fc": Bus.NETWORK,
    "fcoe": Bus.NETWORK,
    "tcp": Bus.NETWORK,
    "rdma": Bus.NETWORK,
    "sbp": Bus.USB,
}


@dataclass(frozen=True)
class BlockDevice:
    """What ``lsblk`` says of one disk."""

    serial: str
    transport: str


def bus_of(path: str) -> Bus:
    """Say by the resolved path below ``/sys/devices`` how something is attached."""
    return next((bus for pattern, bus in _BUSES if pattern.search(path)), Bus.BUILT_IN)


def bus_of_transport(transport: str) -> Bus:
    """Say by ``lsblk``'s TRAN how a disk is attached; built in when it says nothing (eMMC, virtual machines)."""
    return _TRANSPORTS.get(transport, Bus.BUILT_IN)


def from_lsblk(text: str) -> dict[str, BlockDevice]:
    """Read the answer of ``LSBLK`` by name of the disk; empty when it is none."""
    try:
        listed = json.loads(text)["blockdevices"]
        return {str(entry["name"]): _block_device(entry) for entry in listed if entry.get("type") == "disk"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _block_device(entry: dict[str, object]) -> BlockDevice:
    return BlockDevice(str(entry.get("serial") or "").strip(), str(entry.get("tran") or "").strip())
