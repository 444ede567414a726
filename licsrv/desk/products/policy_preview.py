"""What a change of a policy would take away, and from which devices. It reads, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import Session

from licsrv.desk.products import store
from licsrv.desk.products.policy_answers import EffectShown, LosingDevice, PolicyPreview, value_changes
from licsrv.heartbeats import store as heartbeats
from licsrv.licensing import clones, moving, policy_changes
from licsrv.licensing.moves import MoveRules
from licsrv.licensing.places import Surplus
from licsrv.licensing.policy_changes import Plan
from licsrv.words import policy_values as words
from licsrv.words.sentences import Noun

MOST = 20
"""Devices that an effect names; it counts all."""


def preview(session: Session, plan: Plan, *, now: datetime) -> PolicyPreview:
    """Return what a plan would do."""
    licenses, devices = store.count_uses(session, plan.product_id)
    effects: list[Callable[[], Iterator[EffectShown]]] = [
        lambda: _overfull(session, plan),
        lambda: _floats(session, plan, devices),
        lambda: _weakly_bound(session, plan),
        lambda: _learned(session, plan, now),
        lambda: _unmovable(session, plan, devices),
        lambda: _unseen(session, plan, now),
        lambda: _silent(session, plan, now),
        lambda: _copied(session, plan),
    ]
    return PolicyPreview(
        product_id=plan.product_id,
        version=plan.version,
        changes=value_changes(plan),
        licenses=licenses,
        devices=devices,
        effects=[one for effect in effects for one in effect()],
    )


def _overfull(session: Session, plan: Plan) -> Iterator[EffectShown]:
    """Licenses that get more devices in use than places; it names the devices that came last."""
    count = 0
    named: list[Any] = []
    for one, places in policy_changes.overfull(session, plan):
        count += one.licenses
        if len(named) < MOST:
            named += store.devices_beyond(session, plan.product_id, one, places=places, most=MOST - len(named))
    go = plan.holds_after.places.surplus == Surplus.NEWEST_OUT
    yield from _effect(words.GOING if go else words.OVERFULL, count, named)


def _floats(session: Session, plan: Plan, devices: int) -> Iterator[EffectShown]:
    if plan.holds_after.places.floating and not plan.holds_before.places.floating:
        yield from _effect(words.FLOATS, devices, store.with_place(session, plan.product_id, most=MOST))


def _weakly_bound(session: Session, plan: Plan) -> Iterator[EffectShown]:
    if plan.holds_before.recognition.weak_binding and not plan.holds_after.recognition.weak_binding:
        yield from _effect(words.WEAKLY_BOUND, *store.weakly_bound(session, plan.product_id, most=MOST))


def _learned(session: Session, plan: Plan, now: datetime) -> Iterator[EffectShown]:
    """Devices that could learn a part before the change and cannot after it."""
    before, after = plan.holds_before.recognition.budget, plan.holds_after.recognition.budget
    if before == after:
        return
    learned = store.learned_since(session, plan.product_id, now - max(before.span, after.span, timedelta()))
    used_up = [
        device_id
        for device_id, moments in learned.items()
        if _within(moments, now - after.span) >= after.parts and _within(moments, now - before.span) < before.parts
    ]
    yield from _effect(words.LEARNED, len(used_up), store.named(session, used_up[:MOST]))


def _within(moments: Sequence[datetime], since: datetime) -> int:
    return sum(moment > since for moment in moments)


def _unmovable(session: Session, plan: Plan, devices: int) -> Iterator[EffectShown]:
    if plan.holds_before.moves.per_place > 0 and plan.holds_after.moves.per_place == 0:
        yield from _effect(words.UNMOVABLE, devices, store.with_place(session, plan.product_id, most=MOST))


def _unseen(session: Session, plan: Plan, now: datetime) -> Iterator[EffectShown]:
    """Devices whose places are freed by themselves after the change, and were not before."""
    before, rules = plan.holds_before.moves, plan.holds_after.moves
    is_wider = not before.unseen_released or rules.unseen_for < before.unseen_for
    if not (rules.unseen_released and rules.unseen_for and is_wider):
        return
    going: dict[str, MoveRules] = {plan.product_id: rules}
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page, after = moving.unseen_of(session, going, heartbeats.last_moments, after=after, now=now)
        found += [device_id for device_ids in page.values() for device_id in device_ids]
    yield from _effect(words.UNSEEN, len(found), store.named(session, sorted(found)[:MOST]))


def _silent(session: Session, plan: Plan, now: datetime) -> Iterator[EffectShown]:
    """Devices with a lease that would have ended under the shorter grace."""
    grace = plan.holds_after.time.grace
    if grace < plan.holds_before.time.grace:
        found = store.silent(session, plan.product_id, before=now - grace, now=now, most=MOST)
        yield from _effect(words.SILENT, *found)


def _copied(session: Session, plan: Plan) -> Iterator[EffectShown]:
    """Machines in use in two copies, which work until a policy refuses them."""
    if plan.holds_after.clones.refuses and not plan.holds_before.clones.refuses:
        branches = heartbeats.branches_of(session, store.copied(session, plan.product_id))
        stopping = sorted(device for device, found in branches.items() if clones.open_families(found))
        yield from _effect(words.COPIED, len(stopping), store.named(session, stopping[:MOST]))


def _effect(noun: Noun, count: int, rows: Sequence[Any]) -> Iterator[EffectShown]:
    if count:
        devices = [LosingDevice.model_validate(row, from_attributes=True) for row in rows]
        yield EffectShown(says=noun(count), count=count, devices=devices)
