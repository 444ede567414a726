"""The books: after everything, the audit is whole and nothing waits."""

from __future__ import annotations

from demo.expectations import expect
from demo.scene import Scene, Step


def check_the_books(scene: Scene) -> str:
    """Verify the audit chain, and let the doctor look."""
    audit = scene.stage.command_json("audit", "verify")
    expect(audit["is_intact"], True, "whether the audit is as it was written")
    scene.stage.command("doctor", "--offline")
    readiness = scene.stage.readiness()
    expect(readiness["status"], "ready", "readiness")
    outbox = readiness["checks"]["outbox"]
    expect((outbox["waiting"], outbox["parked"]), (0, 0), "deliveries that wait, and that were refused for good")
    scene.tell(f"licsrv audit verify: all {audit['entries']} entries are as they were written.")
    scene.tell("licsrv doctor: no problem. Nothing waits in the outbox, and nothing was refused for good.")
    return f"{audit['entries']} audit entries verified, doctor content"


STEPS = (Step("The books are checked", check_the_books),)
