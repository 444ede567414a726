"""Moves by programs: which devices of a license were seen when, and whose place a program may free.

Reads rows and decides by ``moves``; the use cases that free a place are in ``devices`` and ``upkeep``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import MoveLimitError, MoveNotAllowedError
from licsrv.licensing import moves, store, traces
from licsrv.licensing.issuing import issuing
from licsrv.licensing.moves import MoveRules, Standing
from licsrv.licensing.policies import Policies
from licsrv.licensing.traces import Rule, Step
from licsrv.platform import moments
from licsrv.words import explanations as words
from licsrv.words.sentences import moment

MOST_LISTED = 100
_LOOKED_AT, _MOST_LOOKS = 500, 20


class LastContacts(Protocol):
    """Says when devices last checked in; the room of heartbeats knows."""

    def __call__(self, session: Session, device_ids: Sequence[str], /, *, now: datetime) -> Mapping[str, datetime]:
        """Return the moment of the last check-in by ``now`` of each device that made one."""


def no_contacts(_session: Session, _device_ids: Sequence[str], /, *, now: datetime) -> Mapping[str, datetime]:
    """Know no check-ins."""
    return {}


@dataclass(frozen=True)
class SeenDevice:
    """A device, and what decides whether its place may be freed.

    Args:
        seen_at: When it last asked, was handed something, or checked in.
        file_ends: When the license files end that it holds; None for one without an end.
    """

    id: str
    license_id: str
    name: str
    has_place: bool
    seen_at: datetime
    file_ends: Sequence[datetime | None] = ()

    def is_unseen(self, rules: MoveRules, now: datetime) -> bool:
        """Whether others may free its place now."""
        freed_from = rules.freed_from(self.seen_at, self.file_ends, now)
        return self.has_place and freed_from is not None and freed_from <= now


def seen(
    session: Session, device_ids: Sequence[str], last_contacts: LastContacts, *, now: datetime
) -> list[SeenDevice]:
    """Return devices with when they were seen, in the order of their ids; three statements, however many they are."""
    rows = store.seen_devices(session, device_ids)
    contacts = last_contacts(session, [row.id for row in rows], now=now)
    files: dict[str, list[datetime | None]] = defaultdict(list)
    for held in store.claims_held_by(session, [row.id for row in rows], issuing.FILE):
        files[held.device_id].append(issuing.end_of(held.claims))
    return [_seen(row, contacts.get(row.id), files[row.id]) for row in rows]


def _seen(row: Any, contact: datetime | None, file_ends: Sequence[datetime | None]) -> SeenDevice:
    moments = (row.first_seen_at, row.asked_at, row.issued_at, contact)
    seen_at = max(moment for moment in moments if moment is not None)
    return SeenDevice(
        row.id, row.license_id, row.name,
        has_place=row.released_at is None, seen_at=seen_at, file_ends=file_ends,
    )  # fmt: skip


def moves_of(session: Session, license_id: str, rules: MoveRules, *, places: int, now: datetime) -> Standing:
    """Return what is left of the moves of a license; exact under its lock."""
    moved = moments_of(session, license_id, rules, places=places, now=now)
    return moves.standing(rules, moved, places=places, now=now)


def moments_of(session: Session, license_id: str, rules: MoveRules, *, places: int, now: datetime) -> list[datetime]:
    """Return when programs gave places of a license back, the newest first, as far as it decides."""
    return audit.moments(
        session, license_id, Action.DEVICE_RELEASED,
        actor=CLIENT, since=now - rules.longest, limit=rules.most(places),
    )  # fmt: skip


CLIENT = "client"
"""Who programs are in the audit: their moves are counted by it."""


def movable(
    session: Session, license_id: str, rules: MoveRules, *, last_contacts: LastContacts, now: datetime
) -> list[SeenDevice]:
    """Return the devices whose places a program may free, the longest unseen first; none where the policy lets none."""
    if not rules.unseen_for:
        return []
    found: list[SeenDevice] = []
    before, after = now - rules.unseen_for, ""
    for _ in range(_MOST_LOOKS):  # devices that ask seldom and check in daily may come before those that are gone
        ids = store.devices_not_asking(session, license_id, before=before, after=after, limit=_LOOKED_AT)
        found += [one for one in seen(session, ids, last_contacts, now=now) if one.is_unseen(rules, now)]
        if len(ids) < _LOOKED_AT or len(found) >= MOST_LISTED:
            break
        after = ids[-1]
    return sorted(found, key=lambda one: (one.seen_at, one.id))[:MOST_LISTED]


def find_unseen(
    session: Session, policies: Policies, last_contacts: LastContacts, *, after: str, now: datetime
) -> tuple[Mapping[str, Sequence[str]], str | None]:
    """Return the unseen devices by their licenses, of products that free places by themselves; nothing is locked.

    And where the next look goes on: devices are read along their ids, so a look costs the same however many there are.
    """
    stated = {product: policies.shown(text).moves for product, text in store.all_policy_texts(session).items()}
    going = {product: rules for product, rules in stated.items() if rules.unseen_released and rules.unseen_for}
    return unseen_of(session, going, last_contacts, after=after, now=now)


def unseen_of(
    session: Session, going: Mapping[str, MoveRules], last_contacts: LastContacts, *, after: str, now: datetime
) -> tuple[Mapping[str, Sequence[str]], str | None]:
    """Return the unseen devices by their licenses, of products with these rules; as :func:`find_unseen` does."""
    if not going:
        return {}, None
    before = now - min(rules.unseen_for for rules in going.values())
    rows = store.products_devices_not_asking(session, going, before=before, after=after, limit=_LOOKED_AT)
    product_of, found = {row.id: row.product_id for row in rows}, defaultdict(list)
    for one in seen(session, list(product_of), last_contacts, now=now):
        if one.is_unseen(going[product_of[one.id]], now):
            found[one.license_id].append(one.id)
    return found, rows[-1].id if len(rows) == _LOOKED_AT else None


def offer(found: Sequence[SeenDevice], left: Standing, rules: MoveRules) -> dict[str, Any]:
    """Return what a machine without a place reads of those that it may take, and when it may."""
    movable = [{"device_id": one.id, "last_contact_at": moments.rfc3339(one.seen_at)} for one in found]
    if rules.show_names:
        movable = [shown | {"name": one.name} for shown, one in zip(movable, found, strict=True)]
    return {"movable": movable, "next_move_at": moments.rfc3339(left.next_at)}


def require_other(
    found: Sequence[SeenDevice], rules: MoveRules, left: Standing, *, now: datetime
) -> tuple[SeenDevice, list[Step]]:
    """Return the other device whose place is freed, and the trace; refuse a move that may not be.

    Args:
        found: The other device; nothing where the license has none of that name.

    Raises:
        MoveNotAllowedError: It was seen lately, or the policy lets no program do that.
        MoveLimitError: The moves of the license are used up.
    """
    device = found[0] if found else None
    unseen = unseen_step(device, rules, now)
    if device is None or not unseen.is_passed:
        raise traces.refused(_not_allowed(device, rules, now), [unseen])
    trace = [unseen, moves_step(left, now)]
    try:
        moves.require_left(left, now=now)
    except MoveLimitError as refusal:
        raise traces.refused(refusal, trace) from None
    return device, trace


def unseen_step(device: SeenDevice | None, rules: MoveRules, now: datetime) -> Step:
    """Return whether another device's place may be freed, and why."""
    if not rules.unseen_for:
        return Step(Rule.UNSEEN, words.NEVER_UNSEEN, is_passed=False)
    if device is None or not device.has_place:
        return Step(Rule.UNSEEN, words.NO_SUCH_PLACE, is_passed=False)
    if device.seen_at + rules.unseen_for <= now and not device.is_unseen(rules, now):
        return Step(Rule.UNSEEN, words.FILE_HELD, is_passed=False)
    values = {"seen": partial(moment, device.seen_at, now), "days": rules.unseen_for.days}
    return Step(Rule.UNSEEN, words.UNSEEN, device.is_unseen(rules, now), values=values)


def moves_step(left: Standing, now: datetime) -> Step:
    """Return what is said of the moves of a license."""
    return Step(Rule.MOVES, words.MOVES, left.is_open(now), values={"made": left.made, "most": left.most})


def _not_allowed(device: SeenDevice | None, rules: MoveRules, now: datetime) -> MoveNotAllowedError:
    """A device of another license, one that holds no place and one that does not exist look the same."""
    has_place = device is not None and device.has_place
    freed_from = rules.freed_from(device.seen_at, device.file_ends, now) if device is not None and has_place else None
    when = f" before {freed_from:%Y-%m-%d %H:%M} UTC" if freed_from is not None else ""
    return MoveNotAllowedError(
        f"Programs may not free the place of that device{when}.",
        action="Free it on that device, or have the vendor's support release it.",
        possible_from=moments.rfc3339(freed_from),
    )


def detail(device_id: str, name: str, *, by: str | None, trace: Sequence[Step]) -> dict[str, Any]:
    """Return what the audit keeps of a move: whose place, which device asked, and the rules that were asked."""
    return {"device": device_id, "name": name, "by": by, "trace": [step.shown() for step in trace]}


UPKEEP = Cause("upkeep", reason="Not seen for as long as the policy says.")
"""Who frees places by itself."""
