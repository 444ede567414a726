"""Use cases of the differences that a reconciliation found: they are listed, repaired, or dismissed.

Repairing takes the marketplace's word over, all that it said of the license in that answer, through the functions
that take over its answers anyway. It refuses where that word may be out of date. The questions themselves are asked by
``reconciliation_runner``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from sqlmodel import Session

from licsrv import audit
from licsrv.audit import Action, Cause
from licsrv.errors import ConflictError, NotFoundError
from licsrv.licensing import changes
from licsrv.licensing import store as licenses
from licsrv.licensing.tables import License
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.licenses import codes
from licsrv.marketplace.open_api import amounts
from licsrv.marketplace.open_api.code_answers import CodeState, ReportedStatus
from licsrv.marketplace.origins import AskedBy, asked_by
from licsrv.marketplace.reconciliation import rules
from licsrv.marketplace.reconciliation import runs as reconciliation_runs
from licsrv.marketplace.reconciliation import store as differences
from licsrv.marketplace.reconciliation.rules import Kind, Missing, Said, Word
from licsrv.marketplace.reconciliation.store import Filter
from licsrv.marketplace.reconciliation.tables import Difference, ReconciliationRun
from licsrv.outbox import store as outbox
from licsrv.outbox.messages import ActivateLicense, QueryLicense
from licsrv.platform.db import savepoint

WORD_LASTS = timedelta(hours=36)
"""How long an answer may be taken over: nightly runs renew it."""
TOGETHER = 50
"""How many repairs share a transaction: callbacks and devices wait behind it."""
UNASKED = (Kind.STATUS, Kind.EXPIRY, Kind.PRODUCT, Kind.AMOUNT)
"""What "all" means: what was not answered cannot be repaired, and what is unknown is revoked only where it is meant."""
TOLD_THE_CUSTOMER = "The marketplace does not know this license any more."
_COMPARE_AGAIN = "Compare the license with the marketplace again, then decide."


@dataclass(frozen=True)
class Summary:
    """The status of the reconciliation: the newest runs first, and the open differences of each kind."""

    runs: Sequence[ReconciliationRun]
    open: Mapping[str, int]

    @property
    def under_way(self) -> ReconciliationRun | None:
        """The run that has not ended."""
        return next((run for run in self.runs if run.ended_at is None), None)


@dataclass(frozen=True)
class Repairs:
    """What became of many repairs: the ids of those repaired, and why the others were left as they are."""

    repaired: Sequence[str] = ()
    left: Mapping[str, str] = field(default_factory=dict)

    def __add__(self, more: Repairs) -> Repairs:
        return Repairs([*self.repaired, *more.repaired], {**self.left, **more.left})


def require_key_pair(*, is_configured: bool) -> None:
    """Refuse a run that no replica could work on.

    Raises:
        ConflictError: There is no key pair to ask the marketplace with.
    """
    if not is_configured:
        raise ConflictError(
            "No key pair (AK/SK) for the marketplace is configured.", action="Set LICSRV_MARKETPLACE_AK and _SK."
        )


def summary(session: Session, *, runs: int = 10) -> Summary:
    """Return the status of the reconciliation."""
    return Summary(differences.runs(session, runs), differences.count_open(session))


def repair(session: Session, difference_id: str, *, cause: Cause, alive_unfreezes: bool, now: datetime) -> bool:
    """Take the marketplace's word over, for the whole license; False when the difference is over already.

    * What the marketplace does not know is revoked, which can be undone.
    * What is not activated there is activated through the outbox.

    Args:
        cause: Who, and why; the audit keeps the reason.

    Raises:
        NotFoundError: There is no such difference.
        ConflictError: There is no word to take over, or it is out of date.
    """
    difference = _difference(session, difference_id)
    if difference.closed_at is not None:
        return False
    license = licenses.license_by_id_for_update(session, difference.license_id)
    if license is None:
        raise AssertionError  # differences belong to licenses, and those are never deleted
    _require_fresh(difference, license, now)

    said = _take_over(session, license, difference, cause=cause, alive_unfreezes=alive_unfreezes, now=now)

    _close(session, license, difference, said=said, cause=cause, alive_unfreezes=alive_unfreezes, now=now)
    return True


def repair_many(
    session: Session, difference_ids: Sequence[str], *, cause: Cause, alive_unfreezes: bool, now: datetime
) -> Repairs:
    """Repair each of these differences that can be repaired; the others stay as they are."""
    repaired: list[str] = []
    left: dict[str, str] = {}
    for difference_id in difference_ids:
        try:
            with savepoint(session):
                repair(session, difference_id, cause=cause, alive_unfreezes=alive_unfreezes, now=now)
                session.flush()
        except (ConflictError, NotFoundError) as error:
            left[difference_id] = error.detail
        else:
            repaired.append(difference_id)
    return Repairs(repaired, left)


def portions(difference_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield many differences in portions; the entrance repairs each in a transaction of its own."""
    for first in range(0, len(difference_ids), TOGETHER):
        yield difference_ids[first : first + TOGETHER]


def open_ids(session: Session, kind: Kind, *, after: str = "", limit: int) -> list[str]:
    """Return the open differences of a kind, in the order in which they were found, behind the one that is named."""
    rows = differences.differences(session, Filter(kind=kind), after=after, limit=limit)
    return [row.id for row, _ in rows]


def dismiss(session: Session, difference_id: str, *, cause: Cause, now: datetime) -> bool:
    """Leave a difference as it is; it comes back only when either side changes. False when that is settled already.

    Raises:
        NotFoundError: There is no such difference.
    """
    difference = _difference(session, difference_id)
    if difference.closed_at is not None or difference.dismissed_at is not None:
        return False
    difference.dismissed_at, difference.dismissed_by, difference.reason = now, cause.actor, cause.reason
    session.add(difference)
    _record(session, Action.DIFFERENCE_DISMISSED, difference, cause=cause, now=now)
    return True


def _difference(session: Session, difference_id: str) -> Difference:
    difference = differences.difference_for_update(session, difference_id)
    if difference is None:
        raise NotFoundError(f"There is no difference {difference_id}; nothing was changed.")
    return difference


def _require_fresh(difference: Difference, license: License, now: datetime) -> None:
    if license.facts_changed_at > difference.asked_at:
        raise ConflictError("The license has changed since the marketplace was asked.", action=_COMPARE_AGAIN)
    if now - difference.asked_at > WORD_LASTS:
        raise ConflictError("The marketplace was asked too long ago.", action=_COMPARE_AGAIN)


def _take_over(
    session: Session, license: License, difference: Difference, cause: Cause, alive_unfreezes: bool, now: datetime
) -> Said:
    if difference.kind == Kind.UNANSWERED:
        raise ConflictError("The marketplace has not answered: there is no value to adopt.", action=_COMPARE_AGAIN)
    if difference.kind == Kind.UNKNOWN:
        changes.revoke(session, license, cause=replace(cause, reason=TOLD_THE_CUSTOMER), now=now)
        return Missing(difference.theirs)
    word = rules.from_document(difference.word)
    if word.status == rules.NOT_RECEIVED:
        raise ConflictError("The buyer has to receive the code at the marketplace; nothing can be done here.")
    if word.status == rules.NOT_ACTIVATED:
        outbox.enqueue(session, ActivateLicense(license.id, code=license.code), now=now)
        outbox.enqueue(session, QueryLicense(license.id, code=license.code), now=now)
    elif asked_by(license.source) is AskedBy.CODE:
        _take_code_over(
            session, license, word, asked_at=difference.asked_at, cause=cause, alive_unfreezes=alive_unfreezes, now=now
        )
    else:
        _take_order_over(session, license, word, asked_at=difference.asked_at, cause=cause, now=now)
    return word


def _take_code_over(
    session: Session,
    license: License,
    word: Word,
    asked_at: datetime,
    cause: Cause,
    alive_unfreezes: bool,
    now: datetime,
) -> None:
    state = CodeState(
        ReportedStatus(word.status),
        word.expires_at,
        None,
        product_id=word.product_id,
        order_id=None,
        amount=word.amount,
        raw=_raw(session, license),
    )
    codes.apply_state(session, license.id, state, asked_at=asked_at, alive_unfreezes=alive_unfreezes, now=now)
    _take_amount_over(session, license, word, cause=cause, now=now)


def _take_amount_over(session: Session, license: License, word: Word, cause: Cause, now: datetime) -> None:
    amount = amounts.read(word.amount)
    if amount is not None:
        changes.change_amount(session, license, amount, cause=cause, now=now)


def _raw(session: Session, license: License) -> dict[str, object]:
    """Return the answer as it came, which stays on the license's page."""
    view = marketplace.view(session, license.id)
    try:
        found = json.loads(view.answer) if view is not None else {}
    except ValueError:  # it was too long to be kept whole
        found = {}
    return found if isinstance(found, dict) else {}


def _take_order_over(
    session: Session, license: License, word: Word, asked_at: datetime, cause: Cause, now: datetime
) -> None:
    """Take an order over whole: what the outbox leaves to callbacks has not come, or a person would not be here."""
    if word.product_id:
        changes.change_product(session, license, word.product_id, cause=cause, now=now)
    _take_amount_over(session, license, word, cause=cause, now=now)
    if word.expires_at is not None:
        # The marketplace's clock may go before ours: what it stated in a callback is no newer than its answer.
        stated_at = max(asked_at, license.expiry_stated_at or asked_at)
        changes.change_expiry(
            session, license, word.expires_at, stated_at=stated_at, may_shorten=True, cause=cause, now=now
        )


def _close(
    session: Session,
    license: License,
    difference: Difference,
    said: Said,
    cause: Cause,
    alive_unfreezes: bool,
    now: datetime,
) -> None:
    """Close every difference of the license that is gone now.

    Raises:
        ConflictError: The one that was to be repaired is not: the answer does not hold any more.
    """
    ours = reconciliation_runs.ours_of(license)
    left = rules.compare(ours, said, alive_unfreezes=alive_unfreezes, now=now)
    kinds = {one.kind for one in left.found}
    if isinstance(said, Word) and said.status == rules.NOT_ACTIVATED:
        kinds.discard(Kind.STATUS)  # the outbox sees to it; the next look says whether it could
    for other in differences.not_closed(session, [license.id]):
        if other.kind in left.judged and other.kind not in kinds:
            other.closed_at, other.closed_by, other.reason = now, cause.actor, cause.reason
            session.add(other)
            _record(session, Action.DIFFERENCE_REPAIRED, other, cause=cause, now=now)
    if difference.closed_at is None:
        raise ConflictError("This answer is no longer valid.", action=_COMPARE_AGAIN)


def _record(session: Session, action: Action, difference: Difference, cause: Cause, now: datetime) -> None:
    detail = {
        "difference": difference.id,
        "kind": difference.kind,
        "ours": difference.ours,
        "theirs": difference.theirs,
    }
    audit.record(session, action, subject=difference.license_id, cause=cause, detail=detail, now=now)
