"""What macOS answers: ``networksetup``, ``ioreg``, ``system_profiler`` and ``sysctl``.

Pure: texts in, facts out. The serial number of the Mac is used as that of its board; Apple reports no other. Macs with
Apple silicon have no processor id, so that part stays empty there.
"""

from __future__ import annotations

import json
import plistlib
from collections.abc import Iterator

from client_stub.machine.device_facts.inventory import Adapter, Bus, Disk, Inventory
from client_stub.machine.device_facts.processor import processor_id

QUERIES = {
    "ports": ("/usr/sbin/networksetup", "-listallhardwareports"),
    "interfaces": ("/usr/sbin/ioreg", "-a", "-r", "-c", "IONetworkInterface"),
    "platform": ("/usr/sbin/ioreg", "-a", "-r", "-d", "1", "-c", "IOPlatformExpertDevice"),
    "disks": ("/usr/sbin/system_profiler", "-json", "SPNVMeDataType", "SPSerialATADataType"),
    "cpu": ("/usr/sbin/sysctl", "-n", "machdep.cpu.signature", "machdep.cpu.feature_bits"),
}

_BUILT_IN_PORTS = {"Wi-Fi", "AirPort"}  # there are no others than the Mac's own; newer systems list them elsewhere
_BUSES_BY_WORD = (("USB", Bus.USB), ("BLUETOOTH", Bus.BLUETOOTH), ("BRIDGE", Bus.VIRTUAL), ("VLAN", Bus.VIRTUAL))


def from_answers(answers: dict[str, str]) -> Inventory:
    """Read the answers to ``QUERIES``, by the same names; a missing answer is an empty one."""
    built_in = _built_in_names(answers.get("interfaces", ""))
    return Inventory(
        adapters=tuple(_adapters(answers.get("ports", ""), built_in)),
        disks=tuple(_disks(answers.get("disks", ""))),
        board=_platform_serial(answers.get("platform", "")),
        cpu=_processor(answers.get("cpu", "")),
    )


def _adapters(text: str, built_in: frozenset[str]) -> Iterator[Adapter]:
    """Three lines per port: ``Hardware Port``, ``Device``, ``Ethernet Address`` (the permanent one)."""
    port = device = ""
    for line in text.splitlines():
        name, _, value = (part.strip() for part in line.partition(":"))
        if name == "Hardware Port":
            port = value
        elif name == "Device":
            device = value
        elif name == "Ethernet Address":
            yield Adapter(f"{port} ({device})", "" if value == "N/A" else value, _port_bus(port, device, built_in))


def _port_bus(port: str, device: str, built_in: frozenset[str]) -> Bus:
    by_word = (bus for word, bus in _BUSES_BY_WORD if word in port.upper())
    # Adapters in Thunderbolt docks are on PCI too; only the board's own ones are marked as built in.
    return next(by_word, Bus.BUILT_IN if port in _BUILT_IN_PORTS or device in built_in else Bus.DOCK)


def _built_in_names(text: str) -> frozenset[str]:
    listed = _property_list(text)
    return frozenset(str(entry.get("BSD Name")) for entry in listed if entry.get("IOBuiltin") is True)


def _platform_serial(text: str) -> str:
    listed = _property_list(text)
    serial = listed[0].get("IOPlatformSerialNumber") if listed else None
    return serial if isinstance(serial, str) else ""


def _property_list(text: str) -> list[dict[str, object]]:
    try:
        value = plistlib.loads(text.encode())
    except Exception:  # plistlib answers a damaged text with whatever its parsers raise
        return []
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _disks(text: str) -> Iterator[Disk]:
    try:
        document = json.loads(text)
    except ValueError:
        return
    groups = document.values() if isinstance(document, dict) else ()
    for controller in (entry for group in groups if isinstance(group, list) for entry in group):
        yield from _disks_of(controller)


def _disks_of(controller: object) -> Iterator[Disk]:
    items = controller.get("_items") if isinstance(controller, dict) else None
    for item in items if isinstance(items, list) else ():
        if isinstance(item, dict) and "device_serial" in item:
            yield _disk(item)


def _disk(item: dict[str, object]) -> Disk:
    is_removable = "yes" in (item.get("detachable_drive"), item.get("removable_media"))
    return Disk(str(item.get("_name", "")), str(item["device_serial"]), Bus.BUILT_IN, is_removable=is_removable)


def _processor(text: str) -> str:
    try:
        signature, features = (int(number) for number in text.split())
    except ValueError:  # Apple silicon knows neither
        return ""
    return processor_id(signature, features)
