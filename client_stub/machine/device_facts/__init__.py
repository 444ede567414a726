"""What identifies this machine, as the device text that licenses are bound to: ``MAC|disk|board|CPU``.

::

    from client_stub import device_facts

    invoker.GetLicenseStringRequest(device_facts.gather())

Works on Windows, Linux and macOS with what the system brings along, without administrator rights. A fact that cannot
be had is an empty part; nothing here ever fails its caller. The text stays the same when a dock, a VPN, a USB adapter
or an external disk comes and goes: only what is built in counts, under its permanent address or serial.

Does not decide whether two texts are the same machine: ``client_stub.trust.devices`` and the server do. Source of the
form: protocol/online-license-and-sdk.md §1.5.

Modules, each importing only those before it. Pure: ``inventory`` (what was found), ``selection`` (what of it counts),
``processor``, ``windows``, ``linux_disks``, ``macos`` (what the systems' own answers mean). With the world:
``commands``, ``sysfs``, ``machine_name``, ``installation``, ``survey``; for the terminal ``__main__``.
"""

from client_stub.machine.device_facts.selection import DeviceFacts, LeftOut
from client_stub.machine.device_facts.survey import gather, survey

__all__ = ["DeviceFacts", "LeftOut", "gather", "survey"]
