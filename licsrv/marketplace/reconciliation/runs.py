"""Use cases of a reconciliation's run: it is started, worked on under a lease, and ended.

One run is under way at a time over all replicas, and one replica works on it; a unique index and a lease in the
database decide which. A page of licenses is compared in one transaction together with the cursor's move, so after a
crash the next replica asks about that page again and finds nothing twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.marketplace.commands import UNDONE
from licsrv.marketplace.origins import AskedBy, asked_by
from licsrv.marketplace.reconciliation import rules, store
from licsrv.marketplace.reconciliation.rules import Comparison, Found, Ours, Said, Word
from licsrv.marketplace.reconciliation.tables import Difference, ReconciliationRun
from licsrv.outbox import rules as outbox_rules
from licsrv.platform.ids import new_id

PAGE = 50
PATIENCE = timedelta(hours=12)
"""A run without an answer for so long is given up."""
KEPT = timedelta(days=400)
_ENDED_BY_SCENES = frozenset({"EXPIRY", "RELEASE", UNDONE})
_WITHOUT_VALUES = frozenset({rules.Kind.UNKNOWN, rules.Kind.UNANSWERED})
_NOTE, _EXPLAINED = 500, 255


class RunState(StrEnum):
    """The state of a run. STOPPED by a person; FAILED because the marketplace did not answer for too long."""

    RUNNING = "RUNNING"
    FINISHED = "FINISHED"
    STOPPED = "STOPPED"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Question:
    """What the marketplace is asked of a license: about its code, or about its current order where one is named."""

    license_id: str
    code: str
    order: tuple[str, str] | None
    is_online: bool


@dataclass(frozen=True, slots=True)
class Answered:
    """What the marketplace said, when it was asked, and its answer about a code as it came."""

    question: Question
    said: Said
    asked_at: datetime
    raw: str | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """How many differences a comparison added and closed."""

    found: int = 0
    vanished: int = 0


def start(
    session: Session, *, cause: Cause, night: date | None = None, now: datetime
) -> tuple[ReconciliationRun | None, bool]:
    """Start a run; return the one that is under way and whether it is new.

    While one is under way a second start changes nothing. A ``night`` has one run: after that there is none.
    """
    run_id = new_id(now)
    total = store.count_live(session)
    counts = dict.fromkeys(("compared", "found", "vanished", "failures"), 0)
    row = {"id": run_id, "started_by": cause.actor, "night": night, "started_at": now, "state": RunState.RUNNING}
    if not store.add_run(session, {**row, **counts, "total": total, "cursor": "", "note": ""}):
        return store.run_under_way(session), False
    store.prune(session, before=now - KEPT)
    audit.record(
        session, Action.RECONCILIATION_STARTED, subject=run_id, cause=cause, detail={"licenses": total}, now=now
    )
    return store.run_under_way(session), True


def stop(session: Session, *, cause: Cause, now: datetime) -> ReconciliationRun | None:
    """End the run that is under way; its worker notices at the end of its page. None when there is none."""
    run = store.run_for_update(session)
    if run is None:
        return None
    detail = {"compared": run.compared, "licenses": run.total}
    _end(session, run, RunState.STOPPED, note=cause.reason, now=now)
    audit.record(session, Action.RECONCILIATION_STOPPED, subject=run.id, cause=cause, detail=detail, now=now)
    return run


def claim(session: Session, *, owner: str, lease: timedelta, now: datetime) -> str | None:
    """Take the run that is under way, from its dead owner too; None when a replica has it, it waits, or there is none.

    Returns:
        The run's id.
    """
    run = store.run_for_update(session)
    if run is None or (run.waits_until is not None and now < run.waits_until):
        return None
    if run.owner not in {None, owner} and run.lease_until is not None and now < run.lease_until:
        return None
    run.owner, run.lease_until, run.waits_until = owner, now + lease, None
    session.add(run)
    return run.id


def let_go(session: Session, run_id: str, owner: str) -> None:
    """Give a run back, so that another replica goes on at once."""
    run = store.run_for_update(session, run_id)
    if run is not None and run.owner == owner:
        run.owner = run.lease_until = None
        session.add(run)


def next_questions(session: Session, run_id: str, limit: int = PAGE) -> list[Question]:
    """Return what is asked next; nothing when every license was compared, or the run is over."""
    run = store.run_under_way(session)
    if run is None or run.id != run_id:
        return []
    return questions(session, store.live_after(session, run.cursor, limit))


def known_to_answer(session: Session, run_id: str) -> Question | None:
    """Return a question that was answered in this run: asked again, it shows whether the marketplace is up."""
    run = store.run_under_way(session)
    row = store.answered_before(session, run.cursor) if run is not None and run.id == run_id else None
    return questions(session, [row])[0] if row is not None else None


def questions(session: Session, rows: Sequence[Any]) -> list[Question]:
    """Return the question about each of these licenses."""
    online = [row.id for row in rows if asked_by(row.source) is AskedBy.ORDER]
    orders = store.orders_of(session, online) if online else {}
    placed = store.placed_at_of(session, online) if online else {}
    return [
        Question(
            row.id,
            row.code,
            _order(row, orders.get(row.id, ()), placed),
            is_online=asked_by(row.source) is AskedBy.ORDER,
        )
        for row in rows
    ]


def _order(row: Any, orders: Collection[Any], placed: Mapping[tuple[str, str], datetime]) -> tuple[str, str] | None:
    if asked_by(row.source) is AskedBy.CODE:
        return None
    known = rules.current_order(orders, ended_by=_ENDED_BY_SCENES, placed=placed)
    return known or ((row.order_id, row.order_line_id) if row.order_id else None)


def keep(
    session: Session,
    run_id: str,
    owner: str,
    answers: Sequence[Answered],
    *,
    cursor: str | None,
    alive_unfreezes: bool,
    now: datetime,
) -> bool:
    """Compare a page and move the run on; False, and nothing is written, when the run is not the owner's any more.

    Args:
        cursor: The page's last license; None where the page is not done and will be asked about again.
    """
    run = store.run_for_update(session, run_id)
    if run is None or run.owner != owner:
        return False
    changes = compare(session, answers, alive_unfreezes=alive_unfreezes, now=now)
    run.found += changes.found
    run.vanished += changes.vanished
    if cursor is not None:
        run.cursor = cursor
        run.compared += len(answers)
        run.failures, run.failing_since, run.note = 0, None, ""
    session.add(run)
    return True


def postpone(
    session: Session, run_id: str, owner: str, *, until: datetime | None, reason: str, jitter: float, now: datetime
) -> bool:
    """Let the run wait because the marketplace does not answer; False when it is given up after too long.

    Args:
        until: When the way is free again, where that is known; else the wait doubles from try to try.
        jitter: 0 to 1, as in :func:`licsrv.outbox.rules.delay`.
    """
    run = store.run_for_update(session, run_id)
    if run is None or run.owner != owner:
        return True
    run.failing_since = run.failing_since or now
    if now - run.failing_since >= PATIENCE:
        _end(session, run, RunState.FAILED, note=reason, now=now)
        return False
    run.failures += 1
    run.waits_until = until or now + outbox_rules.delay(run.failures, jitter)
    run.note = reason[:_NOTE]
    run.owner = run.lease_until = None
    session.add(run)
    return True


def finish(session: Session, run_id: str, owner: str, *, now: datetime) -> None:
    """End a run that has compared every license."""
    run = store.run_for_update(session, run_id)
    if run is not None and run.owner == owner:
        _end(session, run, RunState.FINISHED, note="", now=now)


def _end(session: Session, run: ReconciliationRun, state: RunState, note: str, now: datetime) -> None:
    run.state, run.note, run.ended_at = state, note[:_NOTE], now
    run.owner = run.lease_until = run.waits_until = None
    session.add(run)
    session.flush()


def compare(session: Session, answers: Sequence[Answered], *, alive_unfreezes: bool, now: datetime) -> Changes:
    """Write down in what licenses differ from what the marketplace said of them; the licenses stay as they are.

    A license that was released or changed after the question was asked is left out: the change had the marketplace
    asked by itself, and an older answer settles nothing.
    """
    ids = [answered.question.license_id for answered in answers]
    live = {row.id: row for row in store.live_by_ids(session, ids)}
    known: dict[str, list[Difference]] = {license_id: [] for license_id in ids}
    for difference in store.not_closed(session, ids):
        known[difference.license_id].append(difference)
    changes = []
    for answered in answers:
        license = live.get(answered.question.license_id)
        if license is not None and answered.asked_at >= license.facts_changed_at:
            found = rules.compare(
                ours_of(license), answered.said, alive_unfreezes=alive_unfreezes, now=answered.asked_at
            )
            changes.append(_note(session, answered, found, known=known[license.id], now=now))
    store.save_views(session, [view for answered in answers if (view := _view(answered)) is not None])
    return Changes(sum(change.found for change in changes), sum(change.vanished for change in changes))


def ours_of(license: Any) -> Ours:
    """Return what we hold of a license, of its row or of the columns that a page reads."""
    return Ours(
        license.activated_at,
        license.expires_at,
        license.frozen_at,
        released_at=license.released_at,
        product_id=license.product_id,
        amount=license.amount,
        is_revoked=license.revoked_at is not None,
    )


def _note(
    session: Session, answered: Answered, comparison: Comparison, known: Sequence[Difference], now: datetime
) -> Changes:
    """Add what is new, close what has vanished, and keep what is known, dismissed or not, as long as it is the same."""
    found = {one.kind: one for one in comparison.found}
    word = rules.as_document(answered.said) if isinstance(answered.said, Word) else {}
    same = [old.id for old in known if _is_same(old, found.get(rules.Kind(old.kind)))]
    over = [old for old in known if old.id not in same and old.kind in comparison.judged]
    for old in over:
        old.closed_at = now
        session.add(old)
    if over:
        session.flush()  # before a new one of the kind takes its place
    if same:
        store.seen_again(session, same, asked_at=answered.asked_at, word=word)
    kept = {old.kind for old in known if old not in over}
    fresh = [one for one in found.values() if one.kind not in kept]
    added = [store.add_difference(session, _row(answered, one, word, now=now)) for one in fresh]
    return Changes(sum(added), sum(old.kind not in found for old in over))


def _is_same(old: Difference, new: Found | None) -> bool:
    """Whether a difference is the known one; the reason for a missing answer may change from run to run."""
    if new is None:
        return False
    return new.kind in _WITHOUT_VALUES or (old.ours, old.theirs) == (new.ours, new.theirs)


def _row(answered: Answered, one: Found, word: Mapping[str, object], now: datetime) -> dict[str, Any]:
    return {
        "id": new_id(now),
        "license_id": answered.question.license_id,
        "kind": str(one.kind),
        "ours": one.ours,
        "theirs": one.theirs,
        "explained": one.explained[:_EXPLAINED],
        "word": dict(word),
        "asked_at": answered.asked_at,
        "found_at": now,
        "reason": "",
    }


def _view(answered: Answered) -> dict[str, Any] | None:
    """Return what the license's page shows of the marketplace, where a code was answered about."""
    if answered.raw is None or not isinstance(answered.said, Word):
        return None
    return {
        "license_id": answered.question.license_id,
        "status": answered.said.status,
        "expires_at": answered.said.expires_at,
        "asked_at": answered.asked_at,
        "answer": answered.raw[:4000],
    }
