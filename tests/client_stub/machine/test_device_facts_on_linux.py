"""Reading /sys and /proc, on a tree built for the purpose; and this very machine, whatever it is."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from client_stub.machine import device_facts
from client_stub.machine.device_facts import __main__ as program
from client_stub.machine.device_facts import commands, sysfs
from client_stub.machine.device_facts.inventory import Adapter, Bus, Disk
from client_stub.machine.device_facts.linux_disks import BlockDevice, from_lsblk
from client_stub.machine.device_facts.selection import DeviceFacts, LeftOut, select
from client_stub.trust import devices
from client_stub.trust.device_match import Part

SAMPLES = Path(__file__).parent / "device_fact_samples"
PCI = "devices/pci0000:00"
LSBLK = from_lsblk((SAMPLES / "lsblk.json").read_text("utf-8"))

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sysfs is links, which Windows lets nobody make")


class Machine:
    """A tree that looks like a Linux machine."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("sys/class/net", "sys/class/dmi/id", "sys/block", "proc"):
            (root / folder).mkdir(parents=True)
        shutil.copy(SAMPLES / "cpuinfo_intel.txt", root / "proc/cpuinfo")

    def write(self, path: str, content: str | bytes) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)

    def adapter(self, name: str, home: str, address: str, *, assigned: str = "0", type: str = "1") -> None:
        folder = f"sys/{home}/net/{name}"
        for attribute, value in {"address": address, "addr_assign_type": assigned, "type": type}.items():
            self.write(f"{folder}/{attribute}", f"{value}\n")
        (self.root / "sys/class/net" / name).symlink_to(self.root / folder)

    def disk(self, name: str, home: str, *, removable: str = "0", **attributes: str | bytes) -> None:
        folder = f"sys/{home}/block/{name}"
        self.write(f"{folder}/removable", f"{removable}\n")
        for attribute, value in attributes.items():
            self.write(f"{folder}/{attribute.replace('__', '/')}", value)
        (self.root / "sys/block" / name).symlink_to(self.root / folder)

    def text(self, *, lsblk: dict[str, BlockDevice] | None = None, permanent: str = "") -> str:
        return self.facts(lsblk=lsblk, permanent=permanent).text

    def facts(self, *, lsblk: dict[str, BlockDevice] | None = None, permanent: str = "") -> DeviceFacts:
        return select(sysfs.take_inventory(self.root, lsblk or {}, lambda _: permanent))


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A workstation with a network card, a wireless card and an NVMe disk."""
    built = Machine(tmp_path)
    built.adapter("eno1", f"{PCI}/0000:00:1f.6", "04:7c:16:5e:e3:5d")
    built.adapter("wlp2s0", f"{PCI}/0000:02:00.0", "a0:c5:89:1b:2c:3d")
    built.adapter("lo", "devices/virtual", "00:00:00:00:00:00", type="772")
    built.disk("nvme0n1", f"{PCI}/0000:01:00.0/nvme/nvme0", device__serial="S649NX0R123456A     \n")
    built.write("sys/class/dmi/id/board_serial", "/7G4XYZ3/\n")
    return built


OWN = "04:7C:16:5E:E3:5D,A0:C5:89:1B:2C:3D|S649NX0R123456A|/7G4XYZ3/|BFEBFBFF00090672"


def test_a_workstation_is_read(machine: Machine) -> None:
    assert machine.text() == OWN


def test_docks_tunnels_containers_and_sticks_change_nothing(machine: Machine) -> None:
    usb, dock = f"{PCI}/0000:00:14.0/usb2/2-1/2-1:1.0", f"{PCI}/0000:00:1d.0/0000:05:00.0"
    machine.write(f"sys/{PCI}/0000:00:1d.0/0000:05:00.0/removable", "removable\n")
    for number, name in enumerate(("docker0", "br0", "tun0", "tap0", "veth1a2b", "virbr0", "wg0", "bond0", "vlan5")):
        machine.adapter(name, "devices/virtual", f"00:16:3e:00:00:{number:02x}")
    machine.adapter("enx00e04c680123", usb, "00:e0:4c:68:01:23")
    machine.adapter("enp5s0", f"{dock}/0000:06:00.0", "64:4b:f0:12:34:56")
    machine.adapter("bnep0", f"{PCI}/0000:00:14.0/usb1/bluetooth/hci0", "a0:c5:89:1b:2c:41")
    machine.disk("sdb", f"{usb}/host6", device__serial="4C530001230506117353")
    machine.disk("sdc", "devices/platform/host2/session1/target2:0:0/2:0:0:1")
    machine.disk("nvme1n1", f"{dock}/nvme/nvme1", device__serial="EXTERNAL")
    machine.disk("mmcblk0", f"{PCI}/0000:03:00.0/mmc_host/mmc0", device__serial="0x1a2b3c4d", device__type="SD\n")
    machine.disk("sdd", f"{PCI}/0000:00:17.0/ata5", removable="1", serial="CARTRIDGE")
    machine.disk("loop0", "devices/virtual")
    machine.disk("sr0", f"{PCI}/0000:00:17.0/ata2", removable="1", serial="K5MG8A3")

    assert machine.text(lsblk=LSBLK) == OWN


def test_a_slice_of_a_card_is_left_out(machine: Machine) -> None:
    machine.adapter("enp1s0f0v0", f"{PCI}/0000:01:10.0", "00:1b:21:00:00:01")
    machine.write(f"sys/{PCI}/0000:01:10.0/net/enp1s0f0v0/device/physfn/vendor", "0x8086")

    assert machine.text() == OWN


@pytest.mark.parametrize(
    ("permanent", "mac"), [("00:1b:21:aa:bb:cc", "00:1B:21:AA:BB:CC"), ("", ""), ("00:00:00:00:00:00", "")]
)
def test_a_randomised_address_is_replaced_by_the_permanent_one(tmp_path: Path, permanent: str, mac: str) -> None:
    machine = Machine(tmp_path)
    machine.adapter("wlan0", f"{PCI}/0000:02:00.0", "00:16:3e:11:22:33", assigned="3")

    assert machine.text(permanent=permanent).split("|")[0] == mac


@pytest.mark.parametrize(
    ("name", "attributes", "serial"),
    [
        ("sda", {"device__vpd_pg80": b"\x00\x80\x00\x14      S4EVNX0M123456"}, "S4EVNX0M123456"),
        ("sda", {}, "S4EVNX0M123456"),
        ("vda", {"serial": "os-disk-1"}, "OS-DISK-1"),
        ("mmcblk0", {"device__serial": "0x1a2b3c4d\n", "device__type": "MMC\n"}, "0X1A2B3C4D"),
        ("sdz", {}, ""),
        ("sdb", {}, ""),
    ],
    ids=["SATA page", "lsblk", "virtio", "eMMC", "unknown", "USB by lsblk"],
)
def test_a_disk_tells_its_serial_where_its_kind_has_it(
    tmp_path: Path, name: str, attributes: dict[str, str | bytes], serial: str
) -> None:
    machine = Machine(tmp_path)
    machine.disk(name, f"{PCI}/0000:00:17.0/ata1", **attributes)  # type: ignore[arg-type]

    assert machine.text(lsblk=LSBLK).split("|")[1] == serial


def test_a_board_that_only_root_may_read_is_empty_and_said_so(machine: Machine) -> None:
    hidden = machine.root / "sys/class/dmi/id/board_serial"
    hidden.unlink()
    hidden.mkdir()  # stands for an attribute that cannot be read: root, who may run this test, reads everything else

    facts = machine.facts()

    assert facts.board == ""
    assert facts.remarks == ("The board's serial number can be read by root only.",)


def test_a_small_board_tells_its_serial_in_the_device_tree(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write("proc/device-tree/serial-number", b"10000000f0e1d2c3\0")
    shutil.copy(SAMPLES / "cpuinfo_arm.txt", tmp_path / "proc/cpuinfo")

    assert machine.text() == "||10000000F0E1D2C3|"


def test_a_machine_without_sys_and_proc_has_empty_parts(tmp_path: Path) -> None:
    assert select(sysfs.take_inventory(tmp_path / "nothing", {}, lambda _: "")).text == "|||"


def test_an_adapter_that_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    (tmp_path / "sys/class/net/gone").symlink_to(tmp_path / "sys/devices/nowhere")
    (tmp_path / "sys/class/net/round").symlink_to(tmp_path / "sys/class/net/round")

    assert machine.text().startswith("|")


def test_the_inventory_keeps_what_is_left_out_later(machine: Machine) -> None:
    found = sysfs.take_inventory(machine.root, {}, lambda _: "")

    assert Adapter("lo", "00:00:00:00:00:00", Bus.VIRTUAL, is_ethernet=False) in found.adapters
    assert found.disks == (Disk("nvme0n1", "S649NX0R123456A", Bus.BUILT_IN),)


# -- this machine -------------------------------------------------------------------------------------------------


def test_this_machine_has_a_device_text_and_always_the_same() -> None:
    text = device_facts.gather()

    assert text == device_facts.gather() == text.upper()
    assert len(text) < 1024
    devices.parse(text)


def test_an_address_of_nobody_is_empty() -> None:
    assert sysfs.permanent_address("no-such-adapter-anywhere") == ""


@pytest.mark.parametrize("arguments", [[""], ["/no/such/program"], [sys.executable + "\0"]])
def test_a_program_that_is_not_there_says_nothing(arguments: list[str]) -> None:
    assert commands.run(arguments) == ""


def test_a_program_that_hangs_is_given_up() -> None:
    assert commands.run([sys.executable, "-c", "input() or __import__('threading').Event().wait()"], seconds=0.2) == ""
    assert commands.run([sys.executable, "-c", "__import__('threading').Event().wait()"], seconds=0.2) == ""


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_what_a_program_says_is_read_in_its_encoding(encoding: str) -> None:
    script = f"import sys; sys.stdout.buffer.write('Größe'.encode('{encoding}'))"

    assert commands.run([sys.executable, "-c", script]) == "Größe"


def test_programs_of_windows_are_started_by_their_full_path() -> None:
    assert commands.windows_program("wbem", "wmic.exe").endswith(r"\System32\wbem\wmic.exe")


def test_the_program_prints_the_text_alone_when_asked() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "client_stub.machine.device_facts", "--quiet"], capture_output=True, text=True
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, device_facts.gather() + "\n", "")


def test_the_program_explains_the_text() -> None:
    output = io.StringIO()

    assert program.main([], output=output) == 0
    assert output.getvalue().startswith(device_facts.gather() + "\n\nMAC addresses: ")


def test_what_was_left_out_is_explained() -> None:
    facts = DeviceFacts(
        cpu="BFEBFBFF00090672",
        left_out=(LeftOut(Part.MAC, "tun0\x1b", "it is virtual"), LeftOut(Part.DISK, "", "it is removable")),
        remarks=("The board's serial number can be read by root only.",),
    )

    lines = list(program.explain(facts))

    assert lines == [
        "",
        "MAC addresses: not known",
        "Disk serials:  not known",
        "Board serial:  not known",
        "CPU id:        BFEBFBFF00090672",
        "Left out:",
        "  mac: tun0\x1b, because it is virtual",
        "  disk: one without a name, because it is removable",
        "Note: The board's serial number can be read by root only.",
        "Note: This is too little to identify this machine among others; inform the vendor's support.",
    ]
