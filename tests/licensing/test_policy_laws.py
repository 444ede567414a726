"""Laws of the default policy: a repaired machine is never locked out, and another one is never taken for it."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from time import perf_counter

from licsrv.heartbeats import rules
from licsrv.licensing.moves import require_move
from licsrv.licensing.places import Bought, limit
from licsrv.licensing.policies import Policies, Policy, Recognition
from tests.conftest import NOW
from tests.licensing import lives
from tests.licensing.lives import DAY, Place
from tests.licensing.test_lifecycle import ACTIVE
from tests.soak import rounds as soak_rounds

POLICY = Policy()
APART = (15, 90)
"""Days between two repairs: at most two lasting parts within 30 days, the default budget."""
MOST_SECONDS = 50e-6


def lock_outs(policy: Policy, lives_lived: int, *, apart: tuple[int, int] = APART) -> int:
    locked = 0
    for seed in range(lives_lived):
        story = lives.life(Random(seed), events=8, apart=apart)
        first, _ = next(story)
        place = Place.taken_by(first, policy)
        locked += not all(place.admits(text, at) for text, at in story)
    return locked


@soak_rounds(everyday=10, short=100, whole=5_000)
def test_no_machine_is_locked_out_when_one_part_changes_at_a_time(rounds: int) -> None:
    assert lock_outs(POLICY, rounds) == 0


def test_lives_are_hard_enough_that_a_policy_which_learns_nothing_locks_out() -> None:
    fixed = replace(POLICY, recognition=Recognition(learned_parts=0))

    assert lock_outs(fixed, 20) > 10


@soak_rounds(everyday=2_000, short=20_000, whole=1_000_000)
def test_no_machine_of_a_fleet_is_taken_for_another(rounds: int) -> None:
    random = Random(7)
    taken = []
    for _ in range(rounds):
        one, other = lives.pair(random)
        if Place.taken_by(one.text, POLICY).admits(other.text, NOW):
            taken.append((one, other))

    assert taken == []


@soak_rounds(everyday=300, short=3_000, whole=100_000)
def test_nor_for_one_that_was_repaired(rounds: int) -> None:
    random = Random(11)
    taken = []
    for _ in range(rounds):
        one, other = lives.pair(random)
        place, at = Place.taken_by(one.text, POLICY), NOW
        place.admits(lives.repaired(random, one).text, at + DAY)
        if place.admits(other.text, at + 2 * DAY):
            taken.append((one, other))

    assert taken == []


def test_the_decisions_of_a_policy_take_a_moment() -> None:
    """Everything that a policy decides of one contact, apart from comparing parts; the best of many tries."""
    known, text = Policies(), '{"moves.per_place":2,"places.limit":3,"time.grace_hours":48}'

    def decide() -> float:
        started = perf_counter()
        policy = known.of(text)
        places = limit(Bought(None, 2), policy.places)
        require_move(policy.moves, [], [], places=places, now=NOW)
        rules.decide(ACTIVE, device_has_place=True, times=policy.time, now=NOW)
        return perf_counter() - started

    assert min(decide() for _ in range(2_000)) < MOST_SECONDS
