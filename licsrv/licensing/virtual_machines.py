"""Whether a device says of itself that it is a virtual machine or a container. Pure.

Hypervisors give their guests addresses and serial numbers of a known form, and few people change them. So this keeps
honest users to what the vendor sells, and does not stop a person who renames a machine. Sources next to each entry.
"""

from __future__ import annotations

import re

from licsrv.licensing import fingerprints
from licsrv.licensing.fingerprints import DeviceFacts, Part

_MACS = (
    "000C29", "005056", "000569", "001C14",  # VMware: generated, set by hand, and assigned by vCenter
    "080027",  # Oracle VirtualBox: guests
    "525400",  # QEMU, libvirt and Proxmox VE
    "00163E",  # Xen
    "00155D",  # Microsoft Hyper-V
    "001C42",  # Parallels
    "42010A",  # Google Compute Engine: made of the private IPv4 address
    "0242",  # Docker: made of the container's IPv4 address, or random behind this beginning
)  # fmt: skip
_SERIALS = re.compile(
    r"VB[0-9A-F]{8}-[0-9A-F]{8}"  # VirtualBox: disks
    r"|VMWARE-[0-9A-F -]+"  # VMware: BIOS serial number
    r"|(QM|DRIVE-|QEMU_|PERSISTENT-DISK-|GOOGLE-PERSISTENT-DISK-).*"  # QEMU, Proxmox VE, Google: disks
    r"|VOL[0-9A-F]{17}"  # Amazon EBS: the volume's id as the serial number
    r"|EC2[0-9A-F]{5}-.*"  # Amazon EC2: the instance's UUID
    r"|VIRTUALBOX.*|QEMU.*|KVM.*|XEN.*"  # a product's name in place of a serial number
)


def is_virtual(facts: DeviceFacts) -> bool:
    """Whether every network adapter of a device is a guest's, or its disk or board is one.

    A computer that runs virtual machines has an adapter of its own next to theirs. A machine that names nothing of its
    own but an install identity counts as one.
    """
    named = {part: (*facts.values.get(part, ()), *facts.shared.get(part, ())) for part in Part}
    own = [mac for mac in named[Part.MAC] if not fingerprints.is_shared(Part.MAC, mac)]
    macs = own or list(named[Part.MAC])
    serials = (*named[Part.DISK], *named[Part.BOARD])
    return (
        (bool(macs) and all(mac.startswith(_MACS) for mac in macs))
        or any(_SERIALS.fullmatch(serial) for serial in serials)
        or fingerprints.is_weak(facts)
    )
