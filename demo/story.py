"""The story as a list of steps, and how it is told from the first to the last."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from demo.narrator import Narrator, Told, ToldAct
from demo.scene import Act, Scene, Step
from demo.stage import Stage
from demo.steps import (
    books,
    ending,
    everyday,
    files,
    notification,
    old_line,
    online,
    probes,
    purchase,
    trouble,
    versions,
)

ACTS: tuple[Act, ...] = (
    Act("Authorization code", (*purchase.STEPS, *everyday.STEPS, *trouble.STEPS, *ending.STEPS)),
    Act("Online license", online.STEPS),
    Act("License file and revocation list, without network", files.STEPS),
    Act("License 1.0", old_line.STEPS),
    Act("Order notification and probes", (*notification.STEPS, *probes.STEPS)),
    Act("New versions", versions.STEPS),
    Act("The books", books.STEPS),
)
STEPS: tuple[Step, ...] = tuple(step for act in ACTS for step in act.steps)


def tell(stage: Stage, narrator: Narrator) -> None:
    """Set the stage up, play every step, and print the table.

    Raises:
        UnexpectedError: Something was not as the story says.
    """
    began = time.monotonic()
    narrator.open("The life of licenses", "Real processes, a real database, real signatures; only the buyer is played.")
    said = stage.set_up()
    narrator.facts(
        [
            ("server", f"{stage.server_url}, {said.count('Made key')} keys made, SQLite"),
            ("marketplace", f"{stage.marketplace_url} (emulator)"),
        ]
    )
    scene = Scene(stage, narrator)
    numbers = itertools.count(1)
    told = [_play_act(act, numbers, scene) for act in ACTS]
    narrator.close(told, time.monotonic() - began)


def _play_act(act: Act, numbers: Iterator[int], scene: Scene) -> ToldAct:
    scene.narrator.act(act.title)
    return ToldAct(act.title, tuple(_play(next(numbers), step, scene) for step in act.steps))


def _play(number: int, step: Step, scene: Scene) -> Told:
    scene.narrator.step(number, step.title)
    began = time.monotonic()
    result = step.play(scene)
    return Told(number, step.title, result, time.monotonic() - began)
