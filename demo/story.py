"""The story as a list of steps, and how it is told from the first to the last."""

from __future__ import annotations

import time

from demo.narrator import Narrator, Told
from demo.scene import Scene, Step
from demo.stage import Stage
from demo.steps import ending, everyday, purchase, trouble

STEPS: tuple[Step, ...] = (*purchase.STEPS, *everyday.STEPS, *trouble.STEPS, *ending.STEPS)


def tell(stage: Stage, narrator: Narrator) -> None:
    """Set the stage up, play every step, and print the table.

    Raises:
        UnexpectedError: Something was not as the story says.
    """
    began = time.monotonic()
    narrator.open(
        "The life of a license", "Real processes, a real database, real signatures; only the buyer is played."
    )
    said = stage.set_up()
    narrator.facts(
        [
            ("server", f"{stage.server_url}, {len(said.splitlines()) - 1} keys made, SQLite"),
            ("marketplace", f"{stage.marketplace_url} (emulator)"),
        ]
    )
    scene = Scene(stage, narrator)
    told = [_play(number, step, scene) for number, step in enumerate(STEPS, 1)]
    narrator.close(told, time.monotonic() - began)


def _play(number: int, step: Step, scene: Scene) -> Told:
    scene.narrator.step(number, step.title)
    began = time.monotonic()
    result = step.play(scene)
    return Told(number, step.title, result, time.monotonic() - began)
