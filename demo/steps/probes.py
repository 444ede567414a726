"""Probes: twice a day the marketplace replays the debug cases that were saved in the seller center."""

from __future__ import annotations

from datetime import timedelta

from demo.expectations import expect
from demo.scene import Scene, Step

HALF_A_DAY = timedelta(hours=12)


def probe(scene: Scene) -> str:
    """Answer every saved case, in the morning and in the afternoon, and change nothing."""
    before = scene.stage.command_json("audit", "verify")["entries"]
    cases = 0
    for _ in range(2):
        shown = scene.marketplace.probe()
        cases = len(shown["cases"])
        expect(shown["failing"], [], "debug cases that failed")
        scene.stage.pass_time(HALF_A_DAY)
    expect(shown["trading_frozen"], False, "whether the trade is frozen")
    expect(scene.stage.command_json("audit", "verify")["entries"], before, "audit entries after the probes")
    scene.say(
        f"Morning and afternoon the marketplace replays {cases} saved debug cases, of every product line, and would "
        "stop the sale after five days of failures. Each is answered 000000; the audit has no new entry."
    )
    return f"{cases} debug cases twice, 000000 each; nothing changed"


STEPS = (Step("The marketplace probes twice a day", probe),)
