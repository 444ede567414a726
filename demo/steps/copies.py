"""A machine that is copied with its license: both copies go on, and support lets one of them work."""

from __future__ import annotations

import shutil
from datetime import timedelta

from client_stub import Lease
from demo.expectations import expect
from demo.scene import Scene, Step

IVY, COPY, IVYS_CODE = "VM-IVY", "VM-IVY-2", "OWN-2026-IVY"
PRODUCT = "DEMO-SIM"
IVYS_MACHINE = "52:54:00:6B:3C:58|SN-IVY-7701|BOARD-IVY-1|BFEBFBFF000906EA"
_STOPPED = ("REVOKED", "DENIED")
_WORKS = ("ACTIVE", "ALLOWED")


def sell(scene: Scene) -> str:
    """Sell one place on a product that refuses copies; the program works."""
    scene.say("Ivy runs a simulator in a virtual machine. The product refuses copies of a machine:")
    scene.run("products", "set", PRODUCT, "--name", "Simulator")
    scene.run("products", "policy", PRODUCT, "--set", "clones.action=refuse", "--reason", "Sold for one machine.")
    end = scene.stage.clock.now() + timedelta(days=90)
    scene.run(
        "licenses", "add", IVYS_CODE, "--product-id", PRODUCT, "--customer", "Ivy", "--expires", f"{end:%Y-%m-%d}"
    )
    _run(scene, IVY, _WORKS)
    return "1 place, 1 machine"


def copy(scene: Scene) -> str:
    """Copy the machine with everything on it; the copies check in by turns until they are proven."""
    for kept in scene.stage.folder.glob(f"{IVY}.*"):
        shutil.copy(kept, kept.with_name(kept.name.replace(IVY, COPY)))
    scene.say("She copies the machine, license and all, and uses one in the morning and the other in the evening:")
    for name in (IVY, COPY, IVY):
        scene.stage.pass_time(timedelta(hours=12))
        _run(scene, name, _WORKS)
    scene.stage.pass_time(timedelta(hours=12))
    scene.say("Until now it could have been a restored backup. The second check-in of the copy proves it:")
    lease = _run(scene, COPY, _STOPPED)
    scene.narrator.quote(COPY, lease.reason)
    return "proven by the copy's second check-in"


def bless(scene: Scene) -> str:
    """Let the copy that Ivy wants to keep work; the other one stays stopped."""
    found = scene.stage.command_json("devices", "list", IVYS_CODE)["copied"]
    expect(len(found), 1, "machines in two copies")
    copies = {one["name"]: one["branch"] for one in found[0]["copies"]}
    expect(sorted(copies), [IVY, COPY], "names of the copies that support sees")
    scene.say("Support sees both copies, with names, networks and times. Ivy keeps the first one:")
    scene.run("devices", "bless", IVYS_CODE, found[0]["device_id"], copies[IVY], "--reason", "Ivy called.", "--yes")
    _run(scene, IVY, _WORKS)
    _run(scene, COPY, _STOPPED)
    return f"{IVY} works, {COPY} does not"


def _run(scene: Scene, name: str, expected: tuple[str, str]) -> Lease:
    """Start the program on a machine, let it check in, and end it."""
    desktop = scene.desktop(name, IVYS_MACHINE, IVYS_CODE)
    desktop.ask()
    lease = scene.expect_lease(desktop, *expected)
    desktop.close()
    return lease


STEPS = (
    Step("A virtual machine is licensed", sell),
    Step("It is copied, and both copies go on", copy),
    Step("Support lets one of them work", bless),
)
