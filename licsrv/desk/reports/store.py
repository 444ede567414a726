"""The SQL of reports: what is counted is counted by the database; rows of files come a few at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, String, and_, case, cast, func, literal, select, union, union_all
from sqlmodel import Session

from licsrv.desk.reports.questions import By, Question
from licsrv.heartbeats.tables import CheckIn
from licsrv.licensing import origins
from licsrv.licensing.tables import License, Product, RefusedDevice
from licsrv.outbox.messages import ReportUsage
from licsrv.outbox.rules import State
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import table_of

_licenses, _check_ins = table_of(License).c, table_of(CheckIn).c
_refused, _outbox, _products = table_of(RefusedDevice).c, table_of(OutboxRow).c, table_of(Product).c
_STREAMED = {"yield_per": 1000}
_ACTIVE = "ACTIVE"
Counted = Iterable[tuple[Any, str, int]]


def labels(session: Session) -> Mapping[str, str]:
    """Return what the vendor calls each product."""
    return dict(session.execute(select(_products.product_id, _products.name)).all())


def active_devices(session: Session, question: Question) -> Counted:
    """Return day, group and how many devices checked in that may work."""
    group = _group(question)
    query = select(_check_ins.day, group, func.count()).join_from(
        table_of(License), table_of(CheckIn), _check_ins.license_id == _licenses.id
    )
    query = query.where(_days(question), _check_ins.status == _ACTIVE, *_of(question)).group_by(
        *_distinct(question, _check_ins.day, group)
    )
    return session.execute(query).all()


def active_devices_rows(session: Session, question: Question) -> Iterator[Any]:
    """Yield day, product, customer and how many devices checked in that may work."""
    columns = (_check_ins.day, _licenses.product_id, _licenses.customer)
    query = select(*columns, func.count()).join_from(
        table_of(License), table_of(CheckIn), _check_ins.license_id == _licenses.id
    )
    query = query.where(_days(question), _check_ins.status == _ACTIVE, *_of(question))
    return _streamed(session, query.group_by(*columns).order_by(*columns))


def refusals(session: Session, question: Question) -> Counted:
    """Return day, group and how many devices were refused; each device counts once a day for each reason."""
    found = _refusals(question)
    group = found.c.code if question.by is By.REASON else _group(question)
    query = select(found.c.day, group, func.count()).join_from(
        found, table_of(License), _licenses.id == found.c.license_id
    )
    query = query.where(*_of(question)).group_by(*_distinct(question, found.c.day, group))
    return session.execute(query).all()


def refusals_rows(session: Session, question: Question) -> Iterator[Any]:
    """Yield day, reason, license, product, customer and device of each refusal."""
    found = _refusals(question)
    query = select(
        found.c.day, found.c.code, _licenses.code, _licenses.product_id, _licenses.customer, found.c.device
    ).join_from(found, table_of(License), _licenses.id == found.c.license_id)
    return _streamed(session, query.where(*_of(question)).order_by(found.c.day, _licenses.code, found.c.device))


def _refusals(question: Question) -> Any:
    """Return both kinds: refused requests for a license, and check-ins with a lease that forbids use.

    The first are kept by UTC days, so at the edges of a day the two kinds may be a day apart.
    """
    first = datetime.combine(question.first, time(), UTC)
    asked = select(_refused.day, _refused.license_id, _refused.device, _refused.code).where(
        _refused.day.between(question.first, question.last),
        _refused.last_at >= first,  # has an index
        _refused.last_at < first + (question.last - question.first) + timedelta(days=1),
    )
    told = select(
        _check_ins.day, _check_ins.license_id, _check_ins.device_id, (literal("LICENSE_") + _check_ins.status)
    ).where(_days(question), _check_ins.status != _ACTIVE)
    return union(asked, told).subquery("refusals")


def expiries(session: Session, question: Question) -> Iterator[Any]:
    """Yield the end and the group of each license that expires and was not released."""
    query = select(_licenses.expires_at, _group(question)).where(_expire(question), *_of(question))
    return _streamed(session, query)


def expiries_rows(session: Session, question: Question) -> Iterator[Any]:
    """Yield the licenses that expire and were not released, whole, soonest first."""
    query = select(table_of(License)).where(_expire(question), *_of(question))
    return _streamed(session, query.order_by(_licenses.expires_at, _licenses.id))


def _expire(question: Question) -> ColumnElement[bool]:
    return and_(
        _licenses.expires_at >= question.begins_at,
        _licenses.expires_at < question.ends_at,
        _licenses.released_at.is_(None),
    )


def usage(session: Session, question: Question) -> Iterable[Any]:
    """Return day and how many uses of devices were recorded, reported, wait to be reported, and failed."""
    found = _usage(question)
    query = select(found.c.day, *_sums(found)).join_from(found, table_of(License), _licenses.id == found.c.license_id)
    return session.execute(query.where(*_of(question)).group_by(found.c.day)).all()


def usage_rows(session: Session, question: Question) -> Iterator[Any]:
    """Yield the same for each license: day, code, product, customer, then the four counts."""
    found = _usage(question)
    columns = (found.c.day, _licenses.code, _licenses.product_id, _licenses.customer)
    query = select(*columns, *_sums(found)).join_from(found, table_of(License), _licenses.id == found.c.license_id)
    return _streamed(session, query.where(*_of(question)).group_by(*columns).order_by(*columns))


def _usage(question: Question) -> Any:
    """Return what devices did next to what the outbox says of it, for licenses whose use is reported."""
    none, one = literal(0), literal(1)
    recorded = (
        select(cast(_check_ins.day, String).label("day"), _check_ins.license_id,
               one.label("recorded"), none.label("reported"), none.label("waiting"), none.label("failed"))
        .join(table_of(License), _licenses.id == _check_ins.license_id)
        .where(_days(question), _check_ins.status == _ACTIVE, _licenses.source.in_(origins.reporting_use()))
    )  # fmt: skip
    day = _outbox.payload["day"].as_string()
    reports = select(
        day, _outbox.ordering_key, none,
        _counts(State.DELIVERED), _counts(State.WAITING), _counts(State.PARKED, State.DROPPED),
    ).where(
        _outbox.kind == ReportUsage.KIND,
        _outbox.created_at >= question.begins_at - timedelta(days=1),
        day.between(question.first.isoformat(), question.last.isoformat()),
    )  # fmt: skip
    return union_all(recorded, reports).subquery("usage")


def _counts(*states: State) -> ColumnElement[int]:
    return case((_outbox.state.in_([str(state) for state in states]), 1), else_=0)


def _sums(found: Any) -> list[Any]:
    return [func.sum(found.c[name]) for name in ("recorded", "reported", "waiting", "failed")]


def _days(question: Question) -> ColumnElement[bool]:
    return _check_ins.day.between(question.first, question.last)


def _group(question: Question) -> ColumnElement[Any]:
    columns = {By.PRODUCT: _licenses.product_id, By.CUSTOMER: _licenses.customer}
    return columns.get(question.by, literal(""))


def _distinct(question: Question, day: Any, group: Any) -> Sequence[Any]:
    """Return what to group by; PostgreSQL takes no constant there."""
    return (day,) if question.by is By.NOTHING else (day, group)


def _of(question: Question) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if question.product is not None:
        conditions.append(_licenses.product_id == question.product)
    if question.customer is not None:
        conditions.append(_licenses.customer == question.customer)
    return conditions


def _streamed(session: Session, query: Select[Any]) -> Iterator[Any]:
    return iter(session.execute(query.execution_options(**_STREAMED)))
