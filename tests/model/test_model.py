"""Sales, devices, repairs, moves, callbacks, staff, policies, clocks and crashes in any order: the model holds."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from random import SystemRandom

import pytest

from licsrv.platform.config import Settings
from tests.conftest import make_settings
from tests.model.machine import Life
from tests.soak import amount

STEPS = 500
"""In one life; the next one begins on an empty database."""
LIVES = 10
"""In one part of the soak."""
PARTS = [
    *(("sqlite", part) for part in range(amount(short=1, whole=20))),
    *(("postgresql", part) for part in range(amount(short=1, whole=4))),
]
SEED = os.environ.get("LICSRV_MODEL_SEED")

Databases = Callable[[], AbstractContextManager[str]]


def settings_of(url: str, keys_dir: Path) -> Settings:
    return make_settings(
        url, keys_dir, MARKETPLACE_URLS="https://first.test", PROVISIONAL_HOURS="0", UNKNOWN_CODES_PER_MINUTE="100000",
        ADMIN_CALLS_PER_MINUTE="100000", BULK_APPROVAL_ABOVE="100000",
        ACTIVATION_TIMEOUT_SECONDS="30", MARKETPLACE_TIMEOUT_SECONDS="120",
    )  # fmt: skip


async def play(databases: Databases, keys_dir: Path, seed: int, *, steps: int) -> None:
    with databases() as url:
        await Life(seed, settings_of(url, keys_dir)).play(steps)


@pytest.mark.parametrize("databases", ["sqlite"], indirect=True)
async def test_a_short_life_is_as_the_model_says(databases: Databases, keys_dir: Path) -> None:
    await play(databases, keys_dir, int(SEED or 1), steps=STEPS if SEED else 80)


@pytest.mark.soak
@pytest.mark.parametrize(("databases", "part"), PARTS, indirect=["databases"])
async def test_long_lives_are_as_the_model_says(databases: Databases, keys_dir: Path, part: int) -> None:
    steps = STEPS if SEED else amount(short=300, whole=STEPS)
    seeds = [int(SEED)] if SEED else [SystemRandom().randrange(10**9) for _ in range(amount(short=1, whole=LIVES))]
    for seed in seeds:
        await play(databases, keys_dir, seed, steps=steps)
