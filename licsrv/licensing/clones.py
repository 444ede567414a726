"""Copies of one machine: how its check-ins fork, and when two copies are proven. Pure.

Each lease carries a link, and the next check-in presents it. A machine that goes on from its last lease presents the
link that was issued last, the head, so nothing is remembered of it. Where another link comes, what comes next is a new
*branch*, and the head that it has overtaken is remembered. Three things look alike at that moment: a restored backup,
a lost answer, and a copy. Only a copy goes on from both: first the branch that was left comes back (a turn), then the
one that was left for it comes back as well (a second turn). Two turns prove it; see docs/adr/0027-clones.md.

A *family* is everything that goes back to one first check-in without a link: one store of one installation. Two users
of one machine, each with a store of their own, are two families, and no fork.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

WINDOW = timedelta(minutes=5)
"""Who comes so soon after the head asks again: two programs at once, or an answer that was lost. It proves nothing.

Clients drop the link of an answer that took longer than two minutes, less than half of this.
"""
PROVEN_BY = 2
FORGOTTEN_AFTER = timedelta(days=31)
MOST_BRANCHES = 24
UNNAMED = ""
"""In place of a name: a branch of which only the head is known, because its machine has not come back yet."""


class CloneAction(StrEnum):
    """What happens when two copies of a machine are proven."""

    OFF = "off"
    WARN = "warn"
    REFUSE = "refuse"


@dataclass(frozen=True)
class CloneRules:
    """What a policy says of copies."""

    action: CloneAction = CloneAction.WARN

    @property
    def counts(self) -> bool:
        """Whether links are compared."""
        return self.action != CloneAction.OFF

    @property
    def refuses(self) -> bool:
        """Whether proven copies stop."""
        return self.action == CloneAction.REFUSE


@dataclass(frozen=True)
class Caller:
    """What a machine says of itself, and the network from which it speaks."""

    name: str = ""
    version: str = ""
    network: str = ""


class Presented(NamedTuple):
    """A link that is ours: when it was issued, and on which branch."""

    at: datetime
    branch: str


@dataclass(frozen=True)
class Branch:
    """One line of check-ins.

    Args:
        head: When its last check-in was: the moment in its newest link.
        since: When it began to be remembered.
        origin: The moment in the link that it began with.
        left_at: When another branch of its family took over; None for the one that is in use.
        turns: How many turns led to that.
        proven_at: When it was proven to be one of two copies.
        blessed_from: Staff lets it work on: links of it that are not older than this.
    """

    id: str
    family: str
    head: datetime
    since: datetime
    origin: datetime
    left_at: datetime | None = None
    turns: int = 0
    proven_at: datetime | None = None
    blessed_from: datetime | None = None
    caller: Caller = Caller()


class Event(StrEnum):
    """What a check-in was, where it did not go on from the head."""

    LATE = "late"
    RETURNED = "returned"
    PROVEN = "proven"


@dataclass(frozen=True)
class Step:
    """What a check-in makes of a device's branches; ``branch`` is the one that its next link names.

    ``is_copy``: it is one of two proven copies, and staff has not blessed it.
    """

    branch: str
    branches: Mapping[str, Branch]
    event: Event | None = None
    is_copy: bool = False


def goes_on(presented: Presented | None, last_at: datetime | None, *, now: datetime) -> bool:
    """Whether a check-in goes on from the head, or cannot be compared with it.

    An older program presents nothing. A link that is younger than what is known here was issued by a server whose
    database was lost since, or whose clock was ahead.
    """
    return presented is None or last_at is None or presented.at >= last_at or now - last_at < WINDOW


def follow(
    branches: Mapping[str, Branch],
    presented: Presented | None,
    *,
    caller: Caller,
    last_at: datetime | None,
    new_id: str,
    now: datetime,
) -> Step:
    """Return what a check-in makes of a device's branches.

    Args:
        branches: What is remembered of the device, by id.
        last_at: The device's last check-in, on whichever branch.
        new_id: What a new branch is called.
    """
    if presented is None:
        return Step(new_id, branches, is_copy=any(_is_open(branches, family) for family in _families(branches)))
    known = dict(branches)
    if not known:
        if last_at is None or goes_on(presented, last_at, now=now):
            return Step(presented.branch, known)
        known[UNNAMED] = Branch(UNNAMED, UNNAMED, head=last_at, since=now, origin=last_at, left_at=now)
    found = known.get(presented.branch) or _named(known, presented)
    if found is None or presented.at < found.head:
        return _late(known, presented, found, caller=caller, new_id=new_id, now=now)
    return _went_on(known, presented, found, caller=caller, now=now)


def bless(branches: Mapping[str, Branch], id: str) -> dict[str, Branch]:
    """Let one branch work on; the others of its family stay what they are."""
    branch = branches[id]
    return {**branches, id: replace(branch, blessed_from=min(branch.proven_at or branch.since, branch.head))}


def unbless(branches: Mapping[str, Branch], id: str) -> dict[str, Branch]:
    """Take the blessing of a branch back."""
    return {**branches, id: replace(branches[id], blessed_from=None)}


def copies(branches: Mapping[str, Branch]) -> dict[str, Branch]:
    """Return the branches among which staff can choose: those of families with a proof, the last seen first."""
    found = [branch for branch in branches.values() if _is_settled(branches, branch)]
    return {branch.id: branch for branch in sorted(found, key=lambda one: one.head, reverse=True)}


def open_families(branches: Mapping[str, Branch]) -> set[str]:
    """Return the families with proven copies of which staff has blessed none."""
    return {family for family in _families(branches) if _is_open(branches, family)}


def _named(known: dict[str, Branch], presented: Presented) -> Branch | None:
    """Give the branch of which only the head was known its name: this machine holds that very link."""
    unnamed = known.get(UNNAMED)
    if unnamed is None or unnamed.head != presented.at:
        return None
    del known[UNNAMED]
    return replace(unnamed, id=presented.branch, family=presented.branch)


def _late(
    known: dict[str, Branch],
    presented: Presented,
    found: Branch | None,
    caller: Caller,
    *,
    new_id: str,
    now: datetime,
) -> Step:
    family = found.family if found is not None else presented.branch
    before = _in_use(known, family)
    is_blessed = found is not None and found.blessed_from is not None and presented.at >= found.blessed_from
    if before is not None and _asks_again(before, presented, found, now=now):
        current = replace(before, head=now, caller=caller)
    else:
        _leave(known, before, turns=0, now=now)
        current = Branch(
            new_id, family, head=now, since=now, origin=presented.at, caller=caller,
            blessed_from=presented.at if is_blessed else None,
        )  # fmt: skip
    known[current.id] = current
    return _step(known, current, Event.LATE, now=now)


def _asks_again(before: Branch, presented: Presented, found: Branch | None, *, now: datetime) -> bool:
    """Whether the branch in use was asked for just now with this very link, or with one of its own."""
    if now - before.head >= WINDOW:
        return False
    is_own = found is before and (before.blessed_from is None or presented.at >= before.blessed_from)
    return is_own or before.origin == presented.at


def _went_on(known: dict[str, Branch], presented: Presented, found: Branch, *, caller: Caller, now: datetime) -> Step:
    current = replace(found, head=now, left_at=None, turns=0, caller=caller)
    other = _in_use(known, found.family) if found.left_at is not None else None
    known[current.id] = current
    if other is None:
        return _step(known, current, None, now=now)
    turns = _turns_of(found, presented)
    _leave(known, other, turns=turns, now=now)
    is_proof = turns >= PROVEN_BY and _is_news(known, current, other)
    if is_proof:
        _prove(known, current.family, {current.id, other.id}, now=now)
    return _step(known, current, Event.PROVEN if is_proof else Event.RETURNED, now=now)


def _turns_of(found: Branch, presented: Presented) -> int:
    """Count the turns that lead back to a branch that was left.

    Nothing is learned from a link that is younger than the head that is known: links were not compared meanwhile.
    """
    if presented.at != found.head or found.left_at is None:
        return 0
    return found.turns + (1 if found.left_at - found.head >= WINDOW else 0)


def _leave(known: dict[str, Branch], branch: Branch | None, *, turns: int, now: datetime) -> None:
    if branch is not None:
        known[branch.id] = replace(branch, left_at=now, turns=turns)


def _prove(known: dict[str, Branch], family: str, copies: set[str], now: datetime) -> None:
    """Note two copies; what was blessed in their family was blessed before they were two."""
    for id, branch in known.items():
        if branch.family == family:
            proven_at = now if id in copies else branch.proven_at
            known[id] = replace(branch, proven_at=proven_at, blessed_from=None)


def _is_news(known: Mapping[str, Branch], one: Branch, other: Branch) -> bool:
    """Whether a proof says more than is known: nothing was proven, or what was blessed has forked."""
    is_known = any(branch.proven_at is not None for branch in known.values() if branch.family == one.family)
    return not is_known or (one.blessed_from is not None and other.blessed_from is not None)


def _step(known: dict[str, Branch], current: Branch, event: Event | None, now: datetime) -> Step:
    current = known[current.id]
    is_copy = current.blessed_from is None and any(
        branch.proven_at is not None for branch in known.values() if branch.family == current.family
    )
    return Step(current.id, _kept(known, now), event, is_copy=is_copy)


def _kept(known: Mapping[str, Branch], now: datetime) -> Mapping[str, Branch]:
    """Forget what no copy has come back to for long; of a device with one branch nothing need be remembered."""
    kept = {id: branch for id, branch in known.items() if _is_settled(known, branch) or _is_young(branch, now)}
    droppable = sorted(
        (name for name, branch in kept.items() if branch.left_at is not None and not _is_settled(known, branch)),
        key=lambda name: kept[name].head,
    )
    for name in droppable[: max(0, len(kept) - MOST_BRANCHES)]:
        del kept[name]
    if all(branch.left_at is None and not _is_settled(known, branch) for branch in kept.values()) and len(kept) == 1:
        return {}
    return kept


def _is_young(branch: Branch, now: datetime) -> bool:
    return now - branch.head < FORGOTTEN_AFTER


def _is_settled(known: Mapping[str, Branch], branch: Branch) -> bool:
    """Whether it belongs to a family with proven copies: those are kept, also for support."""
    return any(one.proven_at is not None for one in known.values() if one.family == branch.family)


def _families(branches: Mapping[str, Branch]) -> set[str]:
    return {branch.family for branch in branches.values()}


def _is_open(branches: Mapping[str, Branch], family: str) -> bool:
    members: Sequence[Branch] = [branch for branch in branches.values() if branch.family == family]
    return any(one.proven_at is not None for one in members) and all(one.blessed_from is None for one in members)


def _in_use(known: Mapping[str, Branch], family: str) -> Branch | None:
    return next((one for one in known.values() if one.family == family and one.left_at is None), None)
