"""Follow the check-ins of devices: which link each gets, and what is remembered of those that forked.

A device that goes on from its last lease costs two MACs. Only where it does not are its branches read and written.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple, Protocol

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.heartbeats import store
from licsrv.heartbeats.links import MOMENT, Links, moment_text
from licsrv.heartbeats.rules import Beat
from licsrv.heartbeats.store import Presented, Remembered
from licsrv.licensing import clones
from licsrv.licensing import store as licensing
from licsrv.licensing.clones import Branch, Caller, Event, Step
from licsrv.licensing.policies import Policies
from licsrv.platform import addresses, logs
from licsrv.platform.db import after_commit

_log = logs.logger(__name__)
_BRANCH_BYTES = 4
_Branches = Mapping[str, Branch]


class Seen(Protocol):
    """A check-in that gets a lease: whose it is, and what it sent."""

    @property
    def row(self) -> Presented:
        """What is on record."""

    @property
    def beat(self) -> Beat:
        """What its device sent."""


class _Asked(NamedTuple):
    """A check-in, the link that it presents if that is ours, and when its device was here before."""

    row: Presented
    beat: Beat
    presented: clones.Presented | None
    last_at: datetime | None


@dataclass(frozen=True)
class Following:
    """What each check-in of a batch gets, in their order, and what has to be written of those that forked.

    Args:
        links: The link of each.
        events: What those were, by their number, that did not go on from the last lease.
        refused: The numbers of proven copies that have to stop.
        marks: Devices that began or ceased to have branches.
    """

    links: Sequence[str]
    events: Mapping[int, Event] = field(default_factory=dict)
    refused: Set[int] = frozenset()
    changes: Sequence[Remembered] = ()
    marks: Mapping[str, bool] = field(default_factory=dict)
    proofs: Sequence[tuple[Presented, Step]] = ()


def follow(session: Session, seen: Sequence[Seen], *, policies: Policies, links: Links, now: datetime) -> Following:
    """Decide what each check-in gets; :func:`write` writes it. Policies are asked only where a device forked."""
    last_at = _last_moments(session, seen, now=now)
    new = secrets.randbits(32)
    made: list[str] = []
    forked: dict[int, _Asked] = {}
    for number, one in enumerate(seen):
        row, link = one.row, one.beat.link
        device_id = row.device_id
        head = last_at.get(device_id) or row.last_at
        last_at[device_id] = now  # of two check-ins in one batch the second comes after the first
        branch = links.branch_of(device_id, link) if link else ""
        if branch and (row.is_branched or (head is not None and link[:MOMENT] != moment_text(head))):
            forked[number] = _Asked(row, one.beat, links.read(device_id, link), last_at=head)
        elif row.is_branched:
            forked[number] = _Asked(row, one.beat, None, last_at=head)
        made.append(links.make(device_id, now, branch or f"{new + number & 0xFFFFFFFF:08x}"))
    counted = {number: one for number, one in forked.items() if _is_counted(one, policies, now)}
    return (
        _follow_forked(session, made, counted, policies=policies, links=links, now=now) if counted else Following(made)
    )


def _is_counted(asked: _Asked, policies: Policies, now: datetime) -> bool:
    is_fork = asked.row.is_branched or not clones.goes_on(asked.presented, asked.last_at, now=now)
    return is_fork and policies.of(asked.row.policy).clones.counts


def write(session: Session, following: Following, *, now: datetime) -> None:
    """Write what was remembered, forgotten and proven; most batches have nothing of it."""
    if following.changes:
        store.write_branches(session, following.changes)
    for device_id, is_branched in sorted(following.marks.items()):
        licensing.update_device(session, device_id, is_branched=is_branched)
    for row, step in following.proofs:
        _report(session, row, step, now=now)


def _follow_forked(
    session: Session, made: list[str], forked: Mapping[int, _Asked], *, policies: Policies, links: Links, now: datetime
) -> Following:
    steps, changes = _steps(session, list(forked.values()), now=now)
    of = dict(zip(forked, steps, strict=True))
    for number, step in of.items():
        made[number] = links.make(forked[number].row.device_id, now, step.branch)
    copies = {number for number, step in of.items() if step.is_copy}
    was = {one.row.device_id: one.row.is_branched for one in forked.values()}
    return Following(
        made,
        events={number: step.event for number, step in of.items() if step.event is not None},
        refused={number for number in copies if policies.of(forked[number].row.policy).clones.refuses},
        changes=changes,
        marks={one.device_id: bool(one.after) for one in changes if bool(one.after) != was[one.device_id]},
        proofs=[(forked[number].row, step) for number, step in of.items() if step.event is Event.PROVEN],
    )


def _last_moments(session: Session, seen: Sequence[Seen], *, now: datetime) -> dict[str, datetime]:
    """Return when devices were here last that are here for the first time today, and present a link."""
    new = [one.row.device_id for one in seen if one.row.last_at is None and one.beat.link and not one.row.is_branched]
    return store.last_moments(session, new, now=now) if new else {}


def _steps(session: Session, asked: Sequence[_Asked], *, now: datetime) -> tuple[list[Step], list[Remembered]]:
    """Follow check-ins that do not go on from the head, one after the other."""
    rows = {one.row.device_id: one.row for one in asked}
    before = store.branches_for_update(session, list(rows))
    known: dict[str, _Branches] = {device_id: before.get(device_id, {}) for device_id in rows}
    steps = []
    for one in asked:
        device_id = one.row.device_id
        step = clones.follow(
            known[device_id], one.presented, caller=_caller(one.beat), last_at=one.last_at, new_id=_new_branch(),
            now=now,
        )  # fmt: skip
        known[device_id] = step.branches
        steps.append(step)
    return steps, [
        Remembered(row.device_id, row.license_id, before.get(row.device_id, {}), after=known[row.device_id])
        for row in rows.values()
    ]


def _report(session: Session, row: Presented, step: Step, *, now: datetime) -> None:
    """Note two copies of a machine: once, until the one that staff has blessed forks again."""
    family = step.branches[step.branch].family
    copies = [one for one in step.branches.values() if one.proven_at == now and one.family == family]
    detail = {"device": row.device_id, "copies": [_shown(one) for one in copies]}
    audit.record(session, Action.DEVICE_CLONED, subject=row.license_id, cause=Cause("client"), detail=detail, now=now)
    after_commit(
        session,
        lambda: _log.warning("two copies of a machine are in use", license_id=row.license_id, device_id=row.device_id),
    )


def _shown(branch: Branch) -> dict[str, str]:
    caller = branch.caller
    return {"branch": branch.id, "name": caller.name, "version": caller.version, "network": caller.network}


def _caller(beat: Beat) -> Caller:
    network = addresses.network_of(beat.address) if beat.address else ""
    return Caller(beat.client_name, beat.client_version, network=network)


def _new_branch() -> str:
    return secrets.token_hex(_BRANCH_BYTES)
