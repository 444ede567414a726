"""What identifies a machine: selection, and the answers of Windows, macOS and processors."""

from __future__ import annotations

import ast
import random
import re
from dataclasses import replace
from pathlib import Path

from client_stub.machine import device_facts
from client_stub.machine.device_facts import macos, processor, windows
from client_stub.machine.device_facts.inventory import Adapter, Bus, Disk, Inventory
from client_stub.machine.device_facts.linux_disks import BlockDevice, bus_of, from_lsblk
from client_stub.machine.device_facts.selection import DeviceFacts, select
from client_stub.trust import devices
from client_stub.trust.device_match import Part
from tests.tables import each

SAMPLES = Path(__file__).parent / "device_fact_samples"
OWN = Inventory(
    adapters=(Adapter("eth0", "04:7c:16:5e:e3:5d", Bus.BUILT_IN), Adapter("wlan0", "a0c5891b2c3d", Bus.BUILT_IN)),
    disks=(Disk("nvme0n1", "001B_444A_488B_5CEC.", Bus.BUILT_IN), Disk("sda", "s6ptnm0t123456", Bus.BUILT_IN)),
    board="brd-9",
    cpu="bfebfbff00090672",
)


def sample(name: str) -> str:
    return (SAMPLES / name).read_bytes().decode("utf-8")


def left_out(facts: DeviceFacts) -> dict[str, str]:
    return {found.name: found.why for found in facts.left_out}


LISTED = re.findall(r"``(\w+)``", (device_facts.__doc__ or "").split("Modules, each importing")[1])

ON_DISK = {"installation"}
"""Keeps a file, by the package's own way to the disk."""


def imports_of(module: str) -> set[str]:
    tree = ast.parse((Path(device_facts.__file__).parent / f"{module}.py").read_text("utf-8"))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            inside = node.module in ("client_stub.trust", "client_stub.machine.device_facts")
            names |= {f"{node.module}.{alias.name}" if inside else str(node.module) for alias in node.names}
    return names


def test_a_module_imports_only_what_is_listed_before_it_and_the_rules_of_the_text() -> None:
    for row in each(LISTED):
        with row as module:
            own = {name for name in imports_of(module) if name.startswith("client_stub")}

            before = {f"client_stub.machine.device_facts.{name}" for name in LISTED[: LISTED.index(module)]}
            rules = {f"client_stub.trust.{name}" for name in ("devices", "device_match", "errors", "install_identity")}
            disk = {"client_stub.machine"} if module in ON_DISK else set()
            assert own <= before | rules | disk | ({"client_stub.machine.store"} if module == "__main__" else set())


def test_a_pure_module_has_no_way_to_the_world() -> None:
    for row in each(LISTED[: LISTED.index("commands")]):
        with row as module:
            forbidden = {"os", "time", "subprocess", "socket", "pathlib", "platform", "logging", "shutil"}

            assert not forbidden & {name.split(".")[0] for name in imports_of(module)}


# -- selection ----------------------------------------------------------------------------------------------------


def test_the_text_has_four_parts_in_upper_case() -> None:
    text = select(OWN).text

    expected = "04:7C:16:5E:E3:5D,A0:C5:89:1B:2C:3D|001B_444A_488B_5CEC.,S6PTNM0T123456|BRD-9|BFEBFBFF00090672"
    assert text == expected
    assert len(devices.parse(text).values) == 4


def test_a_machine_that_tells_nothing_has_four_empty_parts() -> None:
    assert select(Inventory()).text == "|||"


def test_the_order_in_which_a_system_counts_does_not_matter() -> None:
    shuffled = replace(OWN, adapters=OWN.adapters[::-1] + OWN.adapters, disks=OWN.disks[::-1])

    assert select(shuffled).text == select(OWN).text


def test_what_comes_and_goes_changes_nothing() -> None:
    for row in each([bus for bus in Bus if bus is not Bus.BUILT_IN]):
        with row as bus:
            docked = replace(
                OWN,
                adapters=(*OWN.adapters, Adapter("guest", "64:4B:F0:12:34:56", bus)),
                disks=(*OWN.disks, Disk("stick", "4C530001230506117353", bus)),
            )

            facts = select(docked)

            assert facts.text == select(OWN).text
            assert set(left_out(facts)) == {"guest", "stick"}


def test_an_adapter_that_identifies_nothing_is_left_out() -> None:
    for row in each(
        [
            (Adapter("x", "01:00:5E:00:00:01", Bus.BUILT_IN), "its address is none that a card can have"),
            (Adapter("x", "00:00:00:00:00:00", Bus.BUILT_IN), "its address is one that many machines have"),
            (Adapter("x", "AC:DE:48:00:11:22", Bus.BUILT_IN), "its address is one that many machines have"),
            (Adapter("x", "FF:FF:FF:FF:FF:FF", Bus.BUILT_IN), "its address is none that a card can have"),
            (Adapter("x", "", Bus.BUILT_IN), "its permanent address is not known"),
            (Adapter("x", "00:11:22:33:44", Bus.BUILT_IN), "its permanent address is not known"),
            (Adapter("x", "0０:11:22:33:44:55", Bus.BUILT_IN), "its permanent address is not known"),
            (
                Adapter("x", "04:7C:16:5E:E3:5D", Bus.BUILT_IN, is_ethernet=False),
                "it is no Ethernet or wireless adapter",
            ),
        ]
    ):
        with row as (adapter, why):
            facts = select(Inventory(adapters=(adapter,)))

            assert (facts.text, left_out(facts)) == ("|||", {"x": why})


def test_an_address_made_up_by_software_counts_only_where_there_is_no_other() -> None:
    made_up, assigned = Adapter("x", "52:54:00:11:22:33", Bus.BUILT_IN), Adapter("y", "04:7C:16:5E:E3:5D", Bus.BUILT_IN)

    alone, both = select(Inventory(adapters=(made_up,))), select(Inventory(adapters=(made_up, assigned)))

    assert (alone.text, left_out(alone)) == ("52:54:00:11:22:33|||", {})
    assert both.macs == ("04:7C:16:5E:E3:5D",)
    assert left_out(both) == {"x": "its address was made up by software (locally administered)"}


def test_a_disk_without_a_serial_of_its_own_is_left_out() -> None:
    for row in each(["", "  \0", "None", "To Be Filled By O.E.M.", "0", "00000000", "Default string"]):
        with row as serial:
            facts = select(Inventory(disks=(Disk("sda", serial, Bus.BUILT_IN),)))

            assert (facts.text, list(left_out(facts))) == ("|||", ["sda"])


def test_a_removable_disk_is_left_out() -> None:
    facts = select(Inventory(disks=(Disk("sda", "S1", Bus.BUILT_IN, is_removable=True),)))

    assert (facts.text, left_out(facts)) == ("|||", {"sda": "it is removable"})


def test_a_placeholder_of_the_manufacturer_is_no_board() -> None:
    facts = select(Inventory(board="Default string", cpu="UNKNOWN"))

    assert facts.text == "|||"
    assert [found.part for found in facts.left_out] == [Part.BOARD, Part.CPU]


def test_a_value_cannot_break_the_text() -> None:
    for row in each(
        [
            ("  brd|9,a ", "BRD_9_A"),
            ("tab\there4", "TAB_HERE4"),
            ("Größe 7", "GR__E 7"),
            ("\x1b[31m", "_[31M"),
            ("a714" * 17, "A714" * 16),
            (" " * 70 + "a7", "A7"),
        ]
    ):
        with row as (raw, kept):
            assert select(Inventory(board=raw)).text == f"||{kept}|"


def test_the_text_stays_below_1024_characters() -> None:
    number = random.Random(7)
    adapters = tuple(Adapter(str(n), f"00{number.randrange(2**40):010x}", Bus.BUILT_IN) for n in range(200))
    disks = tuple(Disk(str(n), f"{n}" + "é" * 500, Bus.BUILT_IN) for n in range(200))

    text = select(Inventory(adapters, disks, "b714" * 9000, "c5a3" * 9000)).text

    assert len(text.encode()) < 1024
    assert len(devices.parse(text).values) == 4


# -- Windows ------------------------------------------------------------------------------------------------------

WINDOWS = (
    "04:7C:16:5E:E3:5D,A0:C5:89:1B:2C:3D|001B_444A_488B_5CEC.,S6PTNM0T123456|/7G4XYZ3/CNCMC0012345AB/|BFEBFBFF00090672"
)


def test_windows_on_the_desk_is_read() -> None:
    facts = select(windows.from_powershell(sample("windows_on_the_desk.json")))

    assert facts.text == WINDOWS
    assert set(left_out(facts)) == {
        "Bluetooth Device (Personal Area Network)",
        "Realtek USB GbE Family Controller",
        "Cisco AnyConnect Virtual Miniport Adapter for Windows x64",
        "Hyper-V Virtual Ethernet Adapter",
        "Microsoft Wi-Fi Direct Virtual Adapter",
        "TAP-Windows Adapter V9",
        "VirtualBox Host-Only Ethernet Adapter",
        "SanDisk Ultra USB Device",
        "Samsung PSSD T7 SCSI Disk Device",
        "Microsoft Virtual Disk",
        "LIO-ORG disk1 SCSI Disk Device",
        "Generic SD Card Reader",
    }


def test_windows_on_the_road_is_the_same_machine_to_the_letter() -> None:
    assert select(windows.from_powershell(sample("windows_on_the_road.json"))).text == WINDOWS


def test_windows_with_one_of_each_is_read() -> None:
    """PowerShell 5 writes a list of one as the one, and a byte order mark in front."""
    facts = select(windows.from_powershell(sample("windows_one_of_each.json")))

    assert facts.text == "04:7C:16:5E:E3:5D|001B_444A_488B_5CEC.||BFEBFBFF00090672"


def test_windows_that_does_not_answer_has_empty_parts() -> None:
    for row in each(["", "not JSON", "[]", "null", "{}", '{"adapters":1,"disks":[null],"board":[],"cpu":"x"}']):
        with row as answer:
            assert select(windows.from_powershell(answer)).text == "|||"


def test_windows_is_read_by_wmic_where_there_is_no_powershell() -> None:
    answers = {name: sample(f"wmic_{name}.txt") for name in windows.WMIC_QUERIES}

    facts = select(windows.from_wmic(answers))

    # The wireless card's address in use is a randomised one; the permanent one is not known here.
    assert facts.text == WINDOWS.replace(",A0:C5:89:1B:2C:3D", "")
    assert "locally administered" in left_out(facts)["Intel(R) Wi-Fi 6E AX211 160MHz"]


def test_windows_without_any_tool_has_empty_parts() -> None:
    assert select(windows.from_wmic({})).text == "|||"


# -- macOS --------------------------------------------------------------------------------------------------------


def mac_answers() -> dict[str, str]:
    files = {"ports": "txt", "interfaces": "plist", "platform": "plist", "disks": "json", "cpu": "txt"}
    return {name: sample(f"mac_{name}.{ending}") for name, ending in files.items()}


def test_macos_is_read() -> None:
    facts = select(macos.from_answers(mac_answers()))

    expected = "3C:A6:F6:10:20:30,3C:A6:F6:40:50:60|C0294350ABCDEFG1A|C02XK0AAJGH5|BFEBFBFF000906EA"
    assert facts.text == expected
    assert left_out(facts)["Thunderbolt Ethernet Slot 1 (en8)"] == "it sits in a dock or another removable housing"
    assert left_out(facts)["USB 10/100/1000 LAN (en7)"] == "it is attached by USB and comes and goes"
    assert left_out(facts)["OWC Envoy Express"] == "it is removable"


def test_macos_on_apple_silicon_has_no_processor_id() -> None:
    assert macos.from_answers(mac_answers() | {"cpu": "\n"}).cpu == ""


def test_macos_that_does_not_answer_has_empty_parts() -> None:
    for row in each(["", "garbage", "<plist>", "[]", "{}", '{"a":[1,{"_items":[2,{}]}],"b":3}', "1 2 3"]):
        with row as answer:
            assert select(macos.from_answers(dict.fromkeys(macos.QUERIES, answer))).text == "|||"


# -- processors, Linux' disks -------------------------------------------------------------------------------------


def test_linux_tells_the_processor_id_that_windows_does() -> None:
    for row in each([("intel", "BFEBFBFF00090672"), ("amd", "178BFBFF00A20F10"), ("arm", "")]):
        with row as (name, expected):
            assert processor.from_cpuinfo(sample(f"cpuinfo_{name}.txt")) == expected


def test_a_processor_that_tells_too_little_has_no_id() -> None:
    for row in each(["", "\n\n", "stepping: unknown", "cpu family: 6\nmodel: 15\nstepping: unknown"]):
        with row as text:
            assert processor.from_cpuinfo(text) == ""


def test_the_path_says_how_something_is_attached() -> None:
    for row in each(
        [
            ("/devices/pci0000:00/0000:00:1f.6/net/eth0/", Bus.BUILT_IN),
            ("/devices/platform/scb/fd580000.ethernet/net/eth0/", Bus.BUILT_IN),
            ("/devices/pci0000:00/0000:00:02.0/virtio1/block/vda/", Bus.BUILT_IN),
            ("/devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/net/enx00e04c680123/", Bus.USB),
            ("/devices/virtual/net/docker0/", Bus.VIRTUAL),
            ("/devices/virtual/block/dm-0/", Bus.VIRTUAL),
            ("/devices/pci0000:00/0000:00:14.0/usb1/1-14/bluetooth/hci0/net/bnep0/", Bus.BLUETOOTH),
            ("/devices/platform/host2/session1/target2:0:0/2:0:0:1/block/sdc/", Bus.NETWORK),
            ("/devices/pci0000:00/0000:05:00.0/host7/rport-7:0-2/target7:0:0/7:0:0:0/block/sdd/", Bus.NETWORK),
        ]
    ):
        with row as (path, bus):
            assert bus_of(path) is bus


def test_lsblk_is_read() -> None:
    found = from_lsblk(sample("lsblk.json"))

    assert found["sda"] == BlockDevice("S4EVNX0M123456", "sata")
    assert set(found) == {"sda", "sdb", "sdc", "nvme0n1"}


def test_lsblk_that_does_not_answer_knows_no_disk() -> None:
    for row in each(
        ["", "[]", "{}", '{"blockdevices":null}', '{"blockdevices":[1]}', '{"blockdevices":[{"type":"disk"}]}']
    ):
        with row as answer:
            assert from_lsblk(answer) == {}
