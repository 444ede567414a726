"""What Windows answers: PowerShell's CIM objects as JSON, and WMIC's lists where there is no PowerShell.

Pure: texts in, an inventory out. Asking is ``survey``'s work. Only MSFT_NetAdapter knows permanent addresses; WMIC's
adapters have the one in use, and a made-up one gives itself away by its bit. A card on PCI in a Thunderbolt dock looks
like one of the board's own here.
"""

from __future__ import annotations

import html
import json
from collections.abc import Mapping

from client_stub.machine.device_facts.inventory import Adapter, Bus, Disk, Inventory

QUERY = r"""
$ErrorActionPreference = 'SilentlyContinue'
[Console]::OutputEncoding = New-Object System.Text.UTF8Encoding $false
$adapters = Get-CimInstance -Namespace root/StandardCimv2 -ClassName MSFT_NetAdapter |
  Select-Object InterfaceDescription, PermanentAddress, HardwareInterface, Virtual, PnPDeviceID, NdisPhysicalMedium
$disks = Get-CimInstance -ClassName Win32_DiskDrive |
  Select-Object Index, Model, SerialNumber, InterfaceType, MediaType, PNPDeviceID
$buses = Get-CimInstance -Namespace root/Microsoft/Windows/Storage -ClassName MSFT_PhysicalDisk |
  Select-Object DeviceId, BusType
$board = Get-CimInstance -ClassName Win32_BaseBoard | Select-Object -First 1 SerialNumber
$cpu = Get-CimInstance -ClassName Win32_Processor | Select-Object -First 1 ProcessorId
$answer = @{ adapters = @($adapters); disks = @($disks); buses = @($buses); board = $board; cpu = $cpu }
ConvertTo-Json -Compress -Depth 3 -InputObject $answer
"""
"""One PowerShell for all questions, because starting it is what takes the time."""

WMIC_QUERIES = {
    "adapters": ("path", "Win32_NetworkAdapter", "get", "Name,MACAddress,PhysicalAdapter,PNPDeviceID", "/value"),
    "disks": ("path", "Win32_DiskDrive", "get", "Model,SerialNumber,InterfaceType,MediaType,PNPDeviceID", "/value"),
    "board": ("path", "Win32_BaseBoard", "get", "SerialNumber", "/value"),
    "cpu": ("path", "Win32_Processor", "get", "ProcessorId", "/value"),
}

Object = Mapping[str, object]

_BLUETOOTH_MEDIUM = 10  # NdisPhysicalMediumBluetooth
_BUSES = {
    "PCI": Bus.BUILT_IN,
    "ACPI": Bus.BUILT_IN,
    "SCSI": Bus.BUILT_IN,  # disks on SATA, NVMe and RAID controllers are listed under it
    "IDE": Bus.BUILT_IN,
    "NVME": Bus.BUILT_IN,
    "VMBUS": Bus.BUILT_IN,
    "XENVIF": Bus.BUILT_IN,
    "XENVBD": Bus.BUILT_IN,
    "SD": Bus.CARD,
    "SDMMC": Bus.CARD,
    "USB": Bus.USB,
    "USBSTOR": Bus.USB,
    "1394": Bus.USB,
    "SBP2": Bus.USB,
    "BTH": Bus.BLUETOOTH,
}
"""By what a PNP device id begins with; everything else (ROOT, SWD, KDNIC, …) is made of software."""
_BUS_TYPES = {
    4: Bus.USB,  # IEEE 1394, which comes and goes alike
    6: Bus.NETWORK,  # Fibre Channel
    7: Bus.USB,
    9: Bus.NETWORK,  # iSCSI
    12: Bus.CARD,
    14: Bus.VIRTUAL,
    15: Bus.VIRTUAL,  # a file that is mounted as a disk
    16: Bus.VIRTUAL,  # Storage Spaces: the disks below it are listed too
}
"""MSFT_PhysicalDisk.BusType, where it says more than the PNP device id."""
_MOUNTED_FILE = "VEN_MSFT&PROD_VIRTUAL"


def from_powershell(text: str) -> Inventory:
    """Read the answer to ``QUERY``; an inventory without anything when it is no answer."""
    try:
        answer = json.loads(text.lstrip("\ufeff"))
    except ValueError:
        return Inventory(remarks=("PowerShell gave no usable answer.",))
    if not isinstance(answer, dict):
        return Inventory(remarks=("PowerShell gave no usable answer.",))
    types = {_text(entry, "DeviceId"): entry.get("BusType") for entry in _objects(answer.get("buses"))}
    return Inventory(
        adapters=tuple(_cim_adapter(entry) for entry in _objects(answer.get("adapters"))),
        disks=tuple(_disk(entry, types.get(str(entry.get("Index")))) for entry in _objects(answer.get("disks"))),
        board=_first(answer.get("board"), "SerialNumber"),
        cpu=_first(answer.get("cpu"), "ProcessorId"),
    )


def from_wmic(answers: Mapping[str, str]) -> Inventory:
    """Read the answers to ``WMIC_QUERIES``, by the same names; a missing answer is an empty one."""
    lists = {name: _wmic_objects(answers.get(name, "")) for name in WMIC_QUERIES}
    return Inventory(
        adapters=tuple(_wmic_adapter(entry) for entry in lists["adapters"]),
        disks=tuple(_disk(entry) for entry in lists["disks"]),
        board=_first(lists["board"], "SerialNumber"),
        cpu=_first(lists["cpu"], "ProcessorId"),
    )


def _objects(value: object) -> list[Object]:
    """PowerShell 5 writes a list of one as the one, and an empty list as a list of null."""
    listed = value if isinstance(value, list) else [value]
    return [entry for entry in listed if isinstance(entry, dict)]


def _wmic_objects(text: str) -> list[Object]:
    """Objects are lines ``Name=value`` between empty lines; WMIC ends lines with two CRs and writes & as in HTML."""
    objects: list[dict[str, object]] = [{}]
    for line in text.replace("\r", "").split("\n"):
        name, separator, value = line.partition("=")
        if separator:
            # Members come in alphabetical order, so one that is there already begins the next object.
            if name in objects[-1]:
                objects.append({})
            objects[-1][name] = html.unescape(value.strip())
    return [entry for entry in objects if entry]


def _text(entry: Object, name: str) -> str:
    value = entry.get(name)
    return value.strip() if isinstance(value, str) else ""


def _first(value: object, name: str) -> str:
    entries = _objects(value)
    return _text(entries[0], name) if entries else ""


def _bus(entry: Object, name: str) -> Bus:
    return _BUSES.get(_text(entry, name).upper().partition("\\")[0], Bus.VIRTUAL)


def _cim_adapter(entry: Object) -> Adapter:
    is_real = entry.get("HardwareInterface") is True and entry.get("Virtual") is not True
    bus = _bus(entry, "PnPDeviceID")
    if entry.get("NdisPhysicalMedium") == _BLUETOOTH_MEDIUM:
        bus = Bus.BLUETOOTH
    elif bus is Bus.BUILT_IN and not is_real:
        bus = Bus.VIRTUAL
    return Adapter(_text(entry, "InterfaceDescription"), _text(entry, "PermanentAddress"), _built_in_card(bus))


def _wmic_adapter(entry: Object) -> Adapter:
    bus = _bus(entry, "PNPDeviceID")
    if bus is Bus.BUILT_IN and _text(entry, "PhysicalAdapter").upper() != "TRUE":
        bus = Bus.VIRTUAL
    return Adapter(_text(entry, "Name"), _text(entry, "MACAddress"), _built_in_card(bus))


def _built_in_card(bus: Bus) -> Bus:
    """An adapter on SD is soldered on, as in tablets; adapters for card readers are not sold."""
    return Bus.BUILT_IN if bus is Bus.CARD else bus


def _disk(entry: Object, bus_type: object = None) -> Disk:
    media = _text(entry, "MediaType").lower()
    is_removable = "removable" in media or "external" in media
    return Disk(
        _text(entry, "Model"), _text(entry, "SerialNumber"), _disk_bus(entry, bus_type), is_removable=is_removable
    )


def _disk_bus(entry: Object, bus_type: object) -> Bus:
    if isinstance(bus_type, int) and bus_type in _BUS_TYPES:
        return _BUS_TYPES[bus_type]
    if _text(entry, "InterfaceType").upper() in ("USB", "1394"):
        return Bus.USB  # housings with a driver of their own are listed under SCSI
    if _MOUNTED_FILE in _text(entry, "PNPDeviceID").upper():
        return Bus.VIRTUAL
    return _bus(entry, "PNPDeviceID")
