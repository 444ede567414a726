"""Which facts identify a machine, and why the others do not.

Pure. Rules: only what is built in; permanent addresses only; nothing that software made up; no placeholder that the
manufacturer left in. Values are sorted, so that the text does not depend on the order in which a system counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from client_stub.machine.device_facts.inventory import Adapter, Bus, Disk, Inventory
from client_stub.trust import devices
from client_stub.trust.device_match import Part

MAXIMUM_VALUES = 8
MAXIMUM_CHARACTERS = 64
# Eight MACs, eight disks and two more values stay below 1024 characters, which one of the marketplace's fields holds.

_DIGITS = re.compile(r"[0-9A-F]{12}")
_UNUSABLE = re.compile(r"[^ -~]|[|,]")
_LOCALLY_ADMINISTERED, _GROUP = 0x02, 0x01
_MADE_UP = "its address was made up by software (locally administered)"

_WHY_NOT = {
    Bus.VIRTUAL: "it is virtual: made by a VPN, a container, a bridge or the like",
    Bus.USB: "it is attached by USB and comes and goes",
    Bus.BLUETOOTH: "it is a Bluetooth adapter",
    Bus.DOCK: "it sits in a dock or another removable housing",
    Bus.CARD: "it is a memory card",
    Bus.NETWORK: "it is reached over the network",
}


@dataclass(frozen=True)
class LeftOut:
    """Something that was found and does not count; ``why`` completes the sentence "… was left out: …"."""

    part: Part
    name: str
    why: str


@dataclass(frozen=True)
class DeviceFacts:
    """What identifies this machine."""

    macs: tuple[str, ...] = ()
    disks: tuple[str, ...] = ()
    board: str = ""
    cpu: str = ""
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The device text ``MAC|disk|board|CPU``, upper case, ASCII, below 1024 characters."""
        return "|".join((",".join(self.macs), ",".join(self.disks), self.board, self.cpu)).upper()

    @property
    def is_enough(self) -> bool:
        """Whether two of MAC, disk and board are known; the CPU tells models apart, not machines."""
        return sum(map(bool, (self.macs, self.disks, self.board))) > 1


def select(found: Inventory) -> DeviceFacts:
    """Keep of an inventory what identifies the machine."""
    left_out: list[LeftOut] = []
    macs = _macs(found.adapters, left_out)
    disks = [_serial(disk, left_out) for disk in found.disks]
    return DeviceFacts(
        macs=_distinct(macs),
        disks=_distinct(disks),
        board=_single(Part.BOARD, found.board, left_out),
        cpu=_single(Part.CPU, found.cpu, left_out),
        left_out=tuple(left_out),
        remarks=found.remarks,
    )


def _macs(adapters: Iterable[Adapter], left_out: list[LeftOut]) -> list[str]:
    """Keep built-in addresses; those that software made up only where there is no other, as in a virtual machine."""
    macs = [(adapter.name, mac) for adapter in adapters if (mac := _mac(adapter, left_out))]
    made_up = [(name, mac) for name, mac in macs if int(mac[:2], 16) & _LOCALLY_ADMINISTERED]
    if len(made_up) < len(macs):
        # Randomised addresses have this bit too, so a spoofed one is noticed even where the permanent one is hidden.
        left_out += [LeftOut(Part.MAC, name, _MADE_UP) for name, _ in made_up]
        macs = [found for found in macs if found not in made_up]
    return [mac for _, mac in macs]


def _mac(adapter: Adapter, left_out: list[LeftOut]) -> str:
    digits = re.sub(r"[:.\- ]", "", adapter.address).upper()
    why = _WHY_NOT.get(adapter.bus) or _why_not_address(digits, is_ethernet=adapter.is_ethernet)
    if why:
        left_out.append(LeftOut(Part.MAC, adapter.name, why))
        return ""
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _why_not_address(digits: str, *, is_ethernet: bool) -> str:
    if not is_ethernet:
        return "it is no Ethernet or wireless adapter"
    if not _DIGITS.fullmatch(digits):
        return "its permanent address is not known"
    if int(digits[:2], 16) & _GROUP:
        return "its address is none that a card can have"
    return "its address is one that many machines have" if _says_nothing(Part.MAC, digits) else ""


def _serial(disk: Disk, left_out: list[LeftOut]) -> str:
    value = _clean(disk.serial)
    why = _WHY_NOT.get(disk.bus) or ("it is removable" if disk.is_removable else _why_not_value(Part.DISK, value))
    if why:
        left_out.append(LeftOut(Part.DISK, disk.name, why))
        return ""
    return value


def _single(part: Part, raw: str, left_out: list[LeftOut]) -> str:
    value = _clean(raw)
    if value and _says_nothing(part, value):
        left_out.append(LeftOut(part, value, _why_not_value(part, value)))
        return ""
    return value


def _why_not_value(part: Part, value: str) -> str:
    if not value:
        return "it does not report its serial number"
    return "the manufacturer left a placeholder in it" if _says_nothing(part, value) else ""


def _says_nothing(part: Part, value: str) -> bool:
    """Ask the rules of the device text; they know the placeholders."""
    return devices.parse("|".join(value if each is part else "" for each in Part)).identifies_nothing


def _clean(raw: str) -> str:
    """Blanks at the ends go, what would break the text becomes ``_``, and what is too long is cut."""
    return _UNUSABLE.sub("_", raw.strip(" \t\r\n\0"))[:MAXIMUM_CHARACTERS].strip().upper()


def _distinct(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({value for value in values if value})[:MAXIMUM_VALUES])
