"""Values that many machines share, with where they come from. Data only. Pure.

The same data is in the server and in ``client_stub/c/src/shared_values.h``: each witness has its own; a test compares
them. A ``#`` is one or more digits. Values are in normal form (upper case, MACs without
separators). What a pattern catches ("no digit at all", "one repeated character") needs no entry here.

Sources, next to those named at an entry: the default blacklists of GLPI (``src/Blacklist.php``), an inventory that
merges machines by these values; QEMU's ``net/net.c`` and ``hw/ide/core.c``; knowledgebase.paloaltonetworks.com for
GlobalProtect. An entry that names a product alone is from reports of its adapters in public. No registry of prefixes
was consulted: whose prefix it is does not matter here, only that many machines have the address.
"""

from __future__ import annotations

SHARED_VALUES = (
    "QM#",  # QEMU: default serial numbers of IDE, SATA and SCSI disks, hw/ide/core.c
    "DRIVE-IDE#", "DRIVE-IDE#-#-#", "DRIVE-SATA#", "DRIVE-SATA#-#-#", "DRIVE-SCSI#", "DRIVE-SCSI#-#-#-#",
    "DRIVE-VIRTIO#", "DRIVE-VIRTIO-DISK#",  # QEMU and Proxmox VE: the drive's id as its serial number
    "PERSISTENT-DISK-#", "GOOGLE-PERSISTENT-DISK-#", "LOCAL-SSD-#", "NVME-LOCAL-SSD-#",  # Google Compute Engine
    "QEMU_HARDDISK_QM#",  # udev: model and default serial number in one
    "TYPE# - BOARD SERIAL NUMBER", "TYPE# - BOARD ASSET TAG", "TYPE#BOARDSERIALNUMBER",  # AMI, SMBIOS samples
    "03000200-0400-0500-0006-000700080009",  # AMI: sample UUID
    "00020003-0004-0005-0006-000700080009",  # the same, bytes swapped
    "FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE",  # sample UUID of several boards
    "12345678-1234-5678-90AB-CDDEEFAABBCC",  # sample UUID of several boards
    "6AB5B300-538D-1014-9FB5-B0684D007B53", "01010101-0101-0101-0101-010101010101",  # the same (GLPI)
    "SN-123456FVGV3I0B8O5N6N7K",  # GLPI
    "SERIAL NUMBER #", "BOARD SERIAL #", "ABC123", "A1B2C3D4",  # placeholders of small vendors and samples
)  # fmt: skip
"""Whole values, in any part."""

SHARED_MACS = (
    "00059A3C7",  # Cisco AnyConnect and VPN Client: virtual adapter 00:05:9A:3C:7A:00, 00:05:9A:3C:78:00
    "005056C000",  # VMware Workstation, Player, Fusion: host adapters VMnet0 to VMnet19
    "0A0027",  # Oracle VirtualBox: host-only adapters
    "0242AC", "02420A", "0242C0A8",  # Docker: made of the container's private IPv4 address
    "0A58",  # Kubernetes (CNI): made of the pod's IPv4 address
    "525400123456", "525400123457", "525400123458",  # QEMU: default addresses of the first adapters
    "001C420000",  # Parallels Desktop: host adapters (shared and host-only networking)
    "00090FFE", "00090FAA",  # Fortinet FortiClient: virtual adapters of SSL VPN
    "025041",  # Palo Alto GlobalProtect: virtual adapter 02:50:41:00:00:01
    "02004C4F4F50",  # Microsoft loopback (KM-TEST) and Npcap loopback adapter
    "0205857FEB80", "000BCAFE000",  # Juniper Network Connect, Pulse Secure
    "545543445209",  # Check Point SecureClient
    "20415359",  # Microsoft RAS: asynchronous adapter (" ASYN")
    "50505450", "33506F45",  # WAN Miniport: PPTP ("PPTP00"), PPPoE ("3PoE00")
    "44455354",  # PPP and dial-up adapters ("DEST")
    "005345000000",  # PPP adapter of Windows
    "ACDE48001122",  # Apple T2: iBridge, the same in every Mac
    "0000000000E0",  # Windows: Teredo, 6to4 and ISATAP tunnels
    "02004E435049",  # NCP Secure Client (GLPI)
    "00A0C6000000", "028037EC0200",  # mobile broadband: Qualcomm Gobi 2000, Dell Wireless 5530 (GLPI)
    "24B620524153",  # Microsoft RAS (GLPI)
    "FEFFFFFFFFFF",  # Xen: the host's side of each virtual adapter (GLPI)
)  # fmt: skip
"""Beginnings of MAC addresses that a product gives to every PC."""
