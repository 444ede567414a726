"""After everything: the audit is intact and nothing waits."""

from __future__ import annotations

from demo.expectations import expect
from demo.scene import Scene, Step


def check_everything(scene: Scene) -> str:
    """Verify the audit chain, and let the doctor look."""
    scene.narrator.command("licsrv audit verify")
    audit = scene.stage.command_json("audit", "verify")
    expect(audit["is_intact"], True, "whether the audit is as it was written")
    scene.say(f"The audit is intact: all {audit['entries']} entries are as they were written.")
    scene.run("doctor", "--offline")
    readiness = scene.stage.readiness()
    expect(readiness["status"], "ready", "readiness")
    outbox = readiness["checks"]["outbox"]
    expect((outbox["waiting"], outbox["parked"]), (0, 0), "deliveries that wait, and that were refused for good")
    scene.say("No problem found. The outbox is empty, and no delivery was refused.")
    return f"{audit['entries']} audit entries verified, no problem found"


STEPS = (Step("Audit and outbox are checked", check_everything),)
