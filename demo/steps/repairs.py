"""Repairs without support: a new network card, and a dead machine whose place the user takes over."""

from __future__ import annotations

from datetime import timedelta

from client_stub import License, Problem
from demo.expectations import UnexpectedError, expect
from demo.scene import Scene, Step

JO, NEW, JOS_CODE = "CAD-JO", "CAD-JO-2", "OWN-2026-JO"
PRODUCT = "DEMO-DRAW"
_SAME = "|WD-JO-0001|BOARD-JO-1|BFEBFBFF00090672"
JOS_MACHINE, REPAIRED = f"E4:54:E8:AA:30:01{_SAME}", f"9C:B6:D0:12:34:56{_SAME}"
NEW_MACHINE = "A4:BB:6D:77:88:99|WD-JO-0002|BOARD-JO-2|BFEBFBFF00090675"


def repair(scene: Scene) -> str:
    """Replace the network card; the program works as before, and the card is learned."""
    scene.say("Jo has one place. A place that was not seen for ten days may be taken over by the user:")
    scene.run("products", "set", PRODUCT, "--name", "Draw")
    scene.run(
        "products", "policy", PRODUCT, "--set", "moves.unseen_days=10", "--set", "moves.show_names=yes",
        "--reason", "No calls for dead machines.",
    )  # fmt: skip
    end = scene.stage.clock.now() + timedelta(days=365)
    scene.run("licenses", "add", JOS_CODE, "--product-id", PRODUCT, "--customer", "Jo", "--expires", f"{end:%Y-%m-%d}")
    for device_info, said in ((JOS_MACHINE, ""), (REPAIRED, "Her network card is replaced. Nothing changes:")):
        if said:
            scene.say(said)
        desktop = scene.desktop(JO, device_info, JOS_CODE)
        expect(isinstance(desktop.ask(), License), True, "whether Jo's program is licensed")
        scene.expect_lease(desktop, "ACTIVE", "ALLOWED")
        desktop.close()
    learned = scene.stage.command_json("audit", "list", "--action", "DEVICE_PART_LEARNED")["entries"]
    expect(len(learned), 1, "parts that were learned")
    return "1 place; the new card is learned"


def move(scene: Scene) -> str:
    """Take over the place of a machine that is gone, from the new one."""
    scene.stage.pass_time(timedelta(days=11))
    scene.say("The machine dies. Eleven days later Jo starts the program on a new one. It is refused at first:")
    desktop = scene.desktop(NEW, NEW_MACHINE, JOS_CODE)
    refused = desktop.ask()
    if not isinstance(refused, Problem):
        raise UnexpectedError("A second machine got the only place.")
    scene.show_problem(desktop, refused)
    [dead] = desktop.movable
    scene.say(f"The program offers to take over the place of {dead.name}, and Jo agrees (MoveHere):")
    expect(isinstance(desktop.move_here(dead), License), True, "whether the new machine is licensed")
    scene.expect_lease(desktop, "ACTIVE", "ALLOWED")
    return f"the place of {dead.name} moved, without support"


STEPS = (
    Step("A network card is replaced", repair),
    Step("A machine dies, and the user moves on", move),
)
