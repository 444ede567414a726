"""The story as a list of steps, and how it is played from the first to the last."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator

from demo.narrator import Narrator, PlayedAct, PlayedStep
from demo.scene import Act, Scene, Step
from demo.stage import Stage
from demo.steps import (
    copies,
    ending,
    everyday,
    files,
    final_checks,
    notification,
    old_line,
    online,
    own_sale,
    probes,
    purchase,
    repairs,
    team,
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
    Act("Own sale, renewed", own_sale.STEPS),
    Act("Repairs without support", repairs.STEPS),
    Act("A floating team", team.STEPS),
    Act("A copied machine", copies.STEPS),
    Act("Final checks", final_checks.STEPS),
)
STEPS: tuple[Step, ...] = tuple(step for act in ACTS for step in act.steps)


def play(stage: Stage, narrator: Narrator) -> None:
    """Set the stage up, play every step, and print the table.

    Raises:
        UnexpectedError: Something was not as the story says.
    """
    began = time.monotonic()
    narrator.open(
        "The life of licenses",
        "A real server, a marketplace emulator and desktop programs; real signatures. Only the people are invented.",
    )
    said = stage.set_up()
    narrator.facts(
        [
            ("server", f"{stage.server_url}, {said.count('Made key')} keys made, SQLite"),
            ("marketplace", f"{stage.marketplace_url} (emulator)"),
        ]
    )
    scene = Scene(stage, narrator)
    numbers = itertools.count(1)
    played = [_play_act(act, numbers, scene) for act in ACTS]
    narrator.close(played, time.monotonic() - began)


def _play_act(act: Act, numbers: Iterator[int], scene: Scene) -> PlayedAct:
    scene.narrator.act(act.title)
    return PlayedAct(act.title, tuple(_play(next(numbers), step, scene) for step in act.steps))


def _play(number: int, step: Step, scene: Scene) -> PlayedStep:
    scene.narrator.step(number, step.title)
    began = time.monotonic()
    result = step.play(scene)
    return PlayedStep(number, step.title, result=result, seconds=time.monotonic() - began)
