"""Use cases about what a recognised device says: it learns a new part, and the texts that it sends are counted.

Callers hold the license's lock, so two requests cannot spend one budget twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.licensing import bindings, fingerprints, store
from licsrv.licensing.bindings import Budget, Learned
from licsrv.licensing.fingerprints import DeviceFacts, HashedParts, Part
from licsrv.licensing.store import TextsOfDay
from licsrv.platform import days, db, logs

MANY_TEXTS = 3
"""Texts of a device on a day, other than what it asked with last, that are an alarm: several machines, one place."""
MOST_TEXTS = 20
"""Texts of a device that are counted on a day; more would only fill the table."""

_log = logs.logger(__name__)


@dataclass(frozen=True)
class Recognised:
    """A device that was recognised.

    Args:
        parts: What it is bound to.
        facts: What it says, ``text_hash`` the hash of that text.
        budget: What it may learn.
    """

    id: str
    license_id: str
    parts: HashedParts
    facts: DeviceFacts
    text_hash: str
    budget: Budget

    def compared(self, key: bytes) -> tuple[HashedParts, HashedParts]:
        """Return what it is bound to, without what many machines have, and what it says that lasts."""
        known = fingerprints.telling(self.parts, fingerprints.hash_parts(self.facts, key=key))
        return known, fingerprints.hash_parts(fingerprints.lasting(self.facts), key=key)


def learn(session: Session, device: Recognised, *, key: bytes, cause: Cause, now: datetime) -> Learned | None:
    """Bind a device to a new part that it shows, within its budget; None where it learned nothing."""
    learned = to_learn(session, device, key=key, now=now)
    if learned is None:
        return None

    # Where it has more to learn, its next text is compared part by part, even if it is this one.
    text_hash = device.text_hash if learned.is_last else ""
    store.bind_anew(session, device.id, license_id=device.license_id, parts=learned.parts, text_hash=text_hash)
    store.add_learned(session, device.id, learned.part, now=now)
    if learned.part is Part.DISK:
        store.update_device(session, device.id, is_weakly_bound=False)  # an install identity travels as a disk
    detail = {"device": device.id, "learned": str(learned.part)}
    audit.record(session, Action.DEVICE_PART_LEARNED, subject=device.license_id, cause=cause, detail=detail, now=now)
    return learned


def to_learn(session: Session, device: Recognised, *, key: bytes, now: datetime) -> Learned | None:
    """Return what a device would learn now; nothing is written."""
    known, lasting = device.compared(key)
    if bindings.learn(known, lasting) is None:
        return None
    hashes = fingerprints.selective_parts(lasting)
    others = store.bound_to_others(session, device.license_id, device_id=device.id, hashes=hashes)
    learned = bindings.learn(known, lasting, others=others)
    return learned if learned and _may_learn(session, device, learned, now=now) else None


def shows_more(device: Recognised, *, key: bytes) -> bool:
    """Whether a device shows a new part.

    Where it could not learn that now, its next check-in is compared part by part, even if it says the same words:
    meanwhile its budget may have room, or its product another policy.
    """
    return bindings.learn(*device.compared(key)) is not None


def _may_learn(session: Session, device: Recognised, learned: Learned, *, now: datetime) -> bool:
    """Whether the budget has a part left, and no other device of the license was registered with the same parts."""
    budget = device.budget
    if store.count_learned(session, device.id, since=now - budget.span) >= budget.parts:
        return False
    return not store.is_registered(session, device.license_id, fingerprints.fingerprint(learned.parts))


def learn_at_check_in(
    session: Session, devices: Iterable[Recognised], *, key: bytes, cause: Cause, now: datetime
) -> None:
    """Let devices learn that checked in and say something new. Most of them have nothing to learn and cost nothing.

    Those that may not learn now lock nothing.
    """
    new = {device.id: device for device in devices if bindings.learn(*device.compared(key)) is not None}
    learning = {device.id: device for device in new.values() if to_learn(session, device, key=key, now=now)}
    for device in sorted(learning.values(), key=lambda one: one.license_id):  # one order everywhere: no deadlocks
        license = store.license_by_id_for_update(session, device.license_id)
        locked = store.device_for_update(session, device.id)
        if license is None or locked is None or locked.released_at is not None:
            continue
        recognised = replace(device, parts=locked.parts)
        if fingerprints.is_same_device(locked.parts, fingerprints.hash_parts(device.facts, key=key)):
            learn(session, recognised, key=key, cause=cause, now=now)


def note_texts(session: Session, devices: Iterable[Recognised], *, key: bytes, now: datetime) -> None:
    """Count what recognised devices say that do not say what they are known by: one place, many texts is a crowd.

    That is an alarm once for a device and day. What two requests add at the same time may be noticed with the next.
    """
    day = days.day_of(now, UTC)
    rows: list[dict[str, Any]] = [
        {
            "day": day,
            "device_id": device.id,
            "text_hash": fingerprints.fingerprint(fingerprints.hash_parts(device.facts, key=key)),
            "license_id": device.license_id,
        }
        for device in devices
    ]
    if not rows:
        return
    counted = store.texts_of_day(session, [row["device_id"] for row in rows], day)
    rows.sort(key=lambda row: (row["device_id"], row["text_hash"]))
    new = [row for row in rows if counted.get(row["device_id"], _NONE).count < MOST_TEXTS]
    written = store.add_texts(session, new)
    for device_id, license_id in {row["device_id"]: row["license_id"] for row in rows}.items():
        before = counted.get(device_id, _NONE)
        count = before.count + (device_id in written)
        if count >= MANY_TEXTS and not before.is_alarmed:
            _alarm(session, device_id, license_id, day=day, count=count, now=now)


_NONE = TextsOfDay(0, is_alarmed=False)


def _alarm(session: Session, device_id: str, license_id: str, *, day: date, count: int, now: datetime) -> None:
    """Note that several machines may share a place, unless another request has done so today."""
    if not store.note_alarm(session, device_id, license_id, day=day):
        return
    detail = {"device": device_id, "texts": count}
    audit.record(session, Action.DEVICE_MANY_TEXTS, subject=license_id, cause=Cause("client"), detail=detail, now=now)
    db.after_commit(
        session,
        lambda: _log.warning("several machines may share a place", license_id=license_id, device_id=device_id),
    )
