"""Follow the check-ins of devices: which link each gets, and what is remembered of those that forked.

A device that goes on from its last lease costs two MACs. Only where it does not are its branches read and written.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.heartbeats import store
from licsrv.heartbeats.links import Links
from licsrv.heartbeats.rules import Beat
from licsrv.heartbeats.store import Presented, Remembered
from licsrv.licensing import clones
from licsrv.licensing import store as licensing
from licsrv.licensing.clones import Branch, Caller, CloneRules, Event, Step
from licsrv.platform import addresses, logs
from licsrv.platform.db import after_commit

_log = logs.logger(__name__)
_BRANCH_BYTES = 4
_Branches = Mapping[str, Branch]


class Seen(NamedTuple):
    """A check-in that gets a lease: whose it is, what it sent, and what the policy says of copies."""

    row: Presented
    beat: Beat
    rules: CloneRules


class Followed(NamedTuple):
    """What a check-in gets: its link, whether it is a proven copy that has to stop, and what it was."""

    link: str
    is_refused: bool = False
    event: Event | None = None


class _Asked(NamedTuple):
    """A check-in, the link that it presents if that is ours, and when its device was here before."""

    row: Presented
    beat: Beat
    presented: clones.Presented | None
    last_at: datetime | None


@dataclass(frozen=True)
class Following:
    """What each check-in of a batch gets, in their order, and what has to be written of those that forked."""

    followed: Sequence[Followed]
    changes: Sequence[Remembered] = ()
    marks: Mapping[str, bool] = field(default_factory=dict)
    """Devices that began or ceased to have branches."""
    proofs: Sequence[tuple[Presented, Step]] = ()


def follow(session: Session, seen: Sequence[Seen], *, links: Links, now: datetime) -> Following:
    """Decide what each check-in gets; :func:`write` writes it."""
    last_at = _last_moments(session, seen)
    new = secrets.randbits(32)
    followed: list[Followed] = []
    forked: dict[int, _Asked] = {}
    for number, (row, beat, rules) in enumerate(seen):
        presented = links.read(row.device_id, beat.link) if beat.link else None
        head = last_at.get(row.device_id) or row.last_at
        last_at[row.device_id] = now  # of two check-ins in one batch the second comes after the first
        branch = presented.branch if presented is not None else f"{new + number & 0xFFFFFFFF:08x}"
        if rules.counts and (row.is_branched or not clones.goes_on(presented, head, now=now)):
            forked[number] = _Asked(row, beat, presented, last_at=head)
        followed.append(Followed(links.make(row.device_id, now, branch)))
    if not forked:
        return Following(followed)
    return _follow_forked(session, followed, forked, links=links, refuses=[one.rules.refuses for one in seen], now=now)


def write(session: Session, following: Following, *, now: datetime) -> None:
    """Write what was remembered, forgotten and proven; most batches have nothing of it."""
    if following.changes:
        store.write_branches(session, following.changes)
    for device_id, is_branched in sorted(following.marks.items()):
        licensing.update_device(session, device_id, is_branched=is_branched)
    for row, step in following.proofs:
        _report(session, row, step, now=now)


def _follow_forked(
    session: Session,
    followed: list[Followed],
    forked: Mapping[int, _Asked],
    *,
    links: Links,
    refuses: Sequence[bool],
    now: datetime,
) -> Following:
    steps, changes = _steps(session, list(forked.values()), now=now)
    proofs = []
    for (number, asked), step in zip(forked.items(), steps, strict=True):
        link = links.make(asked.row.device_id, now, step.branch)
        followed[number] = Followed(link, is_refused=step.is_copy and refuses[number], event=step.event)
        if step.event is Event.PROVEN:
            proofs.append((asked.row, step))
    was = {one.row.device_id: one.row.is_branched for one in forked.values()}
    marks = {one.device_id: bool(one.after) for one in changes if bool(one.after) != was[one.device_id]}
    return Following(followed, changes, marks=marks, proofs=proofs)


def _last_moments(session: Session, seen: Sequence[Seen]) -> dict[str, datetime]:
    """Return when devices were here last that are here for the first time today, and present a link."""
    new = [
        one.row.device_id
        for one in seen
        if one.row.last_at is None and one.beat.link and one.rules.counts and not one.row.is_branched
    ]
    return store.last_moments(session, new) if new else {}


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
