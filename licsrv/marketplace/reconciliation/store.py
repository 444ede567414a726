"""The SQL of the reconciliation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, delete, func, select, update
from sqlmodel import Session, col

from licsrv.licensing.tables import License
from licsrv.marketplace import origins
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.marketplace.reconciliation.tables import Difference, ReconciliationRun
from licsrv.marketplace.tables import LicenseOrder, MarketplaceView, OrderRecord
from licsrv.platform.db import add_missing, execute, table_of

_licenses = table_of(License).c
# What is provisional or reserved is being asked about by the outbox, and what is released is over for good.
_IS_LIVE = and_(
    _licenses.released_at.is_(None),
    _licenses.activated_at.is_not(None),
    _licenses.source.in_(origins.reconciled()),
)
_COLUMNS = (
    _licenses.id, _licenses.code, _licenses.source, _licenses.order_id, _licenses.order_line_id,
    _licenses.product_id, _licenses.amount, _licenses.activated_at, _licenses.expires_at, _licenses.frozen_at,
    _licenses.released_at, _licenses.revoked_at, _licenses.facts_changed_at,
)  # fmt: skip


def count_live(session: Session) -> int:
    """Count the licenses that a run asks about."""
    return session.scalar(select(func.count()).select_from(table_of(License)).where(_IS_LIVE)) or 0


def live_after(session: Session, cursor: str, limit: int) -> Sequence[Any]:
    """Return the next live licenses in the order of their ids."""
    query = select(*_COLUMNS).where(_licenses.id > cursor, _IS_LIVE).order_by(_licenses.id).limit(limit)
    return session.execute(query).all()


def live_by_ids(session: Session, ids: Sequence[str]) -> Sequence[Any]:
    """Return those of these licenses that are live."""
    return session.execute(select(*_COLUMNS).where(_licenses.id.in_(ids), _IS_LIVE)).all()


def answered_before(session: Session, cursor: str) -> Any:
    """Return the last live license up to a run's cursor about which the marketplace has answered, or None."""
    silent = select(col(Difference.license_id)).where(
        col(Difference.kind) == str(Kind.UNANSWERED), col(Difference.closed_at).is_(None)
    )
    query = select(*_COLUMNS).where(_licenses.id <= cursor, _IS_LIVE, _licenses.id.not_in(silent))
    return session.execute(query.order_by(_licenses.id.desc()).limit(1)).one_or_none()


def orders_of(session: Session, license_ids: Sequence[str]) -> Mapping[str, Sequence[LicenseOrder]]:
    """Return the orders of licenses, each license's oldest first."""
    found: dict[str, list[LicenseOrder]] = {license_id: [] for license_id in license_ids}
    query = select(LicenseOrder).where(col(LicenseOrder.license_id).in_(license_ids))
    for order in session.scalars(query.order_by(col(LicenseOrder.at), col(LicenseOrder.order_id))):
        found[order.license_id].append(order)
    return found


def placed_at_of(session: Session, license_ids: Sequence[str]) -> Mapping[tuple[str, str], datetime]:
    """Return when the orders of licenses were placed, of those that the marketplace has been asked about."""
    query = (
        select(col(OrderRecord.order_id), col(OrderRecord.order_line_id), col(OrderRecord.placed_at))
        .join(
            LicenseOrder,
            and_(
                col(LicenseOrder.order_id) == col(OrderRecord.order_id),
                col(LicenseOrder.order_line_id) == col(OrderRecord.order_line_id),
            ),
        )
        .where(col(LicenseOrder.license_id).in_(license_ids), col(OrderRecord.placed_at).is_not(None))
    )
    return {(order_id, line_id): placed_at for order_id, line_id, placed_at in session.execute(query)}


def save_views(session: Session, views: Sequence[Mapping[str, Any]]) -> None:
    """Keep what the marketplace said of licenses, in place of what it said before."""
    if not views:
        return
    table = table_of(MarketplaceView)
    session.execute(delete(table).where(table.c.license_id.in_([view["license_id"] for view in views])))
    add_missing(session, MarketplaceView, "license_id", rows=views)


def add_run(session: Session, run: Mapping[str, Any]) -> bool:
    """Start a run; False when one is under way, or this night had its own."""
    return bool(add_missing(session, ReconciliationRun, "id", rows=[run]))


def run_under_way(session: Session) -> ReconciliationRun | None:
    """Return the run that is under way, without a lock."""
    return session.scalars(select(ReconciliationRun).where(col(ReconciliationRun.ended_at).is_(None))).one_or_none()


def run_for_update(session: Session, run_id: str | None = None) -> ReconciliationRun | None:
    """Return the run that is under way (if it is this one), locked until the end of the transaction."""
    query = select(ReconciliationRun).where(col(ReconciliationRun.ended_at).is_(None)).with_for_update()
    if run_id is not None:
        query = query.where(col(ReconciliationRun.id) == run_id)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


def runs(session: Session, limit: int = 10, *, before: str | None = None) -> Sequence[ReconciliationRun]:
    """Return the newest runs first.

    Args:
        before: The id of the last one of the page before.
    """
    query = select(ReconciliationRun).order_by(col(ReconciliationRun.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(ReconciliationRun.id) < before)
    return session.scalars(query).all()


def not_closed(session: Session, license_ids: Sequence[str]) -> Sequence[Difference]:
    """Return the differences of licenses that are open or dismissed."""
    query = select(Difference).where(col(Difference.license_id).in_(license_ids), col(Difference.closed_at).is_(None))
    return session.scalars(query).all()


def add_difference(session: Session, row: Mapping[str, Any]) -> bool:
    """Write a difference; False when the license has one of its kind already."""
    return bool(add_missing(session, Difference, "id", rows=[row]))


def seen_again(session: Session, ids: Sequence[str], *, asked_at: datetime, word: Mapping[str, object]) -> None:
    """Note that differences were found again, and what the marketplace said this time."""
    statement = update(Difference).where(col(Difference.id).in_(ids)).values(asked_at=asked_at, word=dict(word))
    session.execute(statement.execution_options(synchronize_session=False))


def difference_for_update(session: Session, difference_id: str) -> Difference | None:
    """Return a difference, locked until the end of the transaction."""
    query = select(Difference).where(col(Difference.id) == difference_id).with_for_update()
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()


@dataclass(frozen=True)
class Filter:
    """Which differences are meant; None means all.

    ``is_closed`` and ``is_dismissed`` False and False are the open ones.
    """

    is_closed: bool | None = False
    is_dismissed: bool | None = False
    kind: Kind | None = None
    license_id: str | None = None


def differences(session: Session, which: Filter, *, after: str = "", limit: int = 50) -> Sequence[tuple[Any, str]]:
    """Return differences and their licenses' codes in the order in which they were found.

    Args:
        after: The id of the last one of the page before.
    """
    query = (
        select(Difference, col(License.code))
        .join(License, col(License.id) == col(Difference.license_id))
        .where(*_meant(which), col(Difference.id) > after)
        .order_by(col(Difference.id))
        .limit(limit)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


def _meant(which: Filter) -> list[Any]:
    conditions: list[Any] = []
    if which.is_closed is not None:
        conditions.append(col(Difference.closed_at).is_not(None) == which.is_closed)
    if which.is_dismissed is not None:
        conditions.append(col(Difference.dismissed_at).is_not(None) == which.is_dismissed)
    if which.kind is not None:
        conditions.append(col(Difference.kind) == str(which.kind))
    if which.license_id is not None:
        conditions.append(col(Difference.license_id) == which.license_id)
    return conditions


def count_open(session: Session) -> Mapping[str, int]:
    """Count the open differences of each kind."""
    query = select(col(Difference.kind), func.count()).where(*_meant(Filter())).group_by(col(Difference.kind))
    return {str(kind): int(count) for kind, count in session.execute(query)}


def prune(session: Session, *, before: datetime) -> None:
    """Forget runs and differences that were over before a moment."""
    session.execute(delete(ReconciliationRun).where(col(ReconciliationRun.ended_at) < before))
    session.execute(delete(Difference).where(col(Difference.closed_at) < before))


def hold(session: Session, run_id: str, owner: str, *, lease: timedelta, now: datetime) -> bool:
    """Lengthen the lease on a run; False when it is not the owner's any more."""
    run = table_of(ReconciliationRun)
    mine = and_(run.c.id == run_id, run.c.owner == owner, run.c.ended_at.is_(None))
    statement = update(run).where(mine).values(lease_until=now + lease).returning(run.c.id)
    return execute(session, statement).first() is not None


def has_night(session: Session, night: date) -> bool:
    """Whether a night had its run."""
    query = select(col(ReconciliationRun.id)).where(col(ReconciliationRun.night) == night)
    return session.execute(query).first() is not None
