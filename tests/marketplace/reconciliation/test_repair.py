"""Differences are repaired by taking the marketplace's word over, or dismissed; both with a reason and audited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import Session, col, select

from licsrv import app as application
from licsrv.audit import Cause
from licsrv.audit.tables import AuditEntry
from licsrv.errors import ConflictError, NotFoundError
from licsrv.licensing import changes, lifecycle
from licsrv.licensing.lifecycle import Status
from licsrv.marketplace.reconciliation import differences as reconciliation
from licsrv.marketplace.reconciliation import store as differences_store
from licsrv.marketplace.reconciliation.rules import Kind
from licsrv.marketplace.reconciliation.runner import Reconciler
from licsrv.marketplace.reconciliation.store import Filter
from licsrv.marketplace.reconciliation.tables import Difference
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.config import Settings
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock
from tests.marketplace.reconciliation.reconciling import (
    DELETED,
    ENDS,
    Shop,
    change,
    compact,
    differences,
    found,
    license_of,
    name_of,
    reconciler,
    seed,
    state,
)

ANN = Cause("staff:ann", reason="checked with the seller center")
PAST, LATER = NOW - timedelta(days=40), ENDS + timedelta(days=365)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
async def runtime(settings: Settings, clock: StandingClock, shop: Shop) -> AsyncIterator[Runtime]:
    runtime = application.build_runtime(settings, clock=clock, transport=httpx2.MockTransport(shop))
    yield runtime
    await runtime.close()


@pytest.fixture
def one(runtime: Runtime, clock: StandingClock) -> Reconciler:
    return reconciler(runtime, clock)


async def look(one: Reconciler) -> None:
    await one.start(ANN)
    await one.work()


def repair_(session: Session, difference: Difference, now: Any) -> bool:
    return reconciliation.repair(session, difference.id, cause=ANN, alive_unfreezes=True, now=now)


def repair(runtime: Runtime, difference: Difference, clock: StandingClock) -> bool:
    with transaction(runtime.database) as session:
        return repair_(session, difference, clock.now())


def audited(runtime: Runtime, action: str) -> list[AuditEntry]:
    with reading(runtime.database) as session:
        entries = list(session.scalars(select(AuditEntry).where(col(AuditEntry.action) == action)))
        session.expunge_all()
        return entries


async def audit_written(runtime: Runtime, difference: Difference, clock: StandingClock) -> None:
    """Repair through the writer, whose hooks seal the audit."""
    await runtime.writer.run(lambda session: repair_(session, difference, clock.now()))


@pytest.mark.parametrize(
    ("here", "there", "after"),
    [
        ({}, state("EXPIRED", expire_time=compact(PAST)), (Status.EXPIRED, PAST, "OFFI1", 2)),
        ({}, state("EXPIRED", expire_time=None), (Status.EXPIRED, NOW, "OFFI1", 2)),
        ({}, state("RELEASED"), (Status.RELEASED, ENDS, "OFFI1", 2)),
        ({}, state(expire_time=compact(LATER), amount=5), (Status.ACTIVE, LATER, "OFFI1", 5)),
        ({}, state(product_id="OFFI2"), (Status.ACTIVE, ENDS, "OFFI2", 2)),
        ({"expires_at": PAST}, state(), (Status.ACTIVE, ENDS, "OFFI1", 2)),
        ({"frozen_at": PAST}, state(), (Status.ACTIVE, ENDS, "OFFI1", 2)),
        ({"amount": None}, state(expire_time=None), (Status.ACTIVE, ENDS, "OFFI1", 2)),
        (
            {"revoked_at": PAST, "revoked_reason": "not paid"},
            state(expire_time=compact(LATER)),
            (Status.REVOKED, LATER, "OFFI1", 2),
        ),
    ],
)
async def test_a_repair_takes_the_whole_word_over(
    runtime: Runtime,
    one: Reconciler,
    shop: Shop,
    clock: StandingClock,
    here: dict[str, Any],
    there: dict[str, Any],
    after: tuple[Any, ...],
) -> None:
    seed(runtime, 1, **here)
    shop.codes[name_of(1)] = there
    await look(one)

    assert repair(runtime, differences(runtime)[-1], clock)

    license = license_of(runtime, 1)
    status = lifecycle.status(license, clock.now())
    assert (status, license.expires_at, license.product_id, license.amount) == after
    assert found(runtime) == {}, "all that the answer said is settled by it"
    assert {row.closed_by for row in differences(runtime, closed=True)} == {"staff:ann"}
    if status is not Status.RELEASED:
        clock.advance(minutes=1)
        await look(one)
        assert found(runtime) == {}


async def test_a_repair_is_audited_with_who_and_why(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(amount=5)
    await look(one)

    await audit_written(runtime, differences(runtime)[0], clock)

    [entry] = audited(runtime, "DIFFERENCE_REPAIRED")
    assert (entry.actor, entry.reason, entry.subject) == ("staff:ann", ANN.reason, license_of(runtime, 1).id)
    assert '"ours":"2","theirs":"5"' in entry.detail
    assert len(audited(runtime, "LICENSE_CHANGED")) == 1


async def test_repairing_again_changes_nothing(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(amount=5)
    await look(one)
    [difference] = differences(runtime)
    assert repair(runtime, difference, clock)
    change(runtime, 1, amount=9)

    assert not repair(runtime, difference, clock)

    assert license_of(runtime, 1).amount == 9


async def test_a_code_that_is_deleted_at_the_marketplace_is_revoked_which_can_be_undone(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = DELETED
    await look(one)

    assert repair(runtime, differences(runtime)[0], clock)

    license = license_of(runtime, 1)
    assert (license.revoked_by, license.revoked_reason) == ("staff:ann", reconciliation.TOLD_THE_CUSTOMER)
    clock.advance(minutes=1)
    await look(one)
    assert found(runtime) == {}, "a revoked license need not be known there"


async def test_a_code_that_is_not_activated_there_is_activated_through_the_outbox(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = {"error_code": "92020011", "error_msg": ""}
    await look(one)

    assert repair(runtime, differences(runtime)[0], clock)

    with reading(runtime.database) as session:
        assert [row.kind for row in session.scalars(select(OutboxRow))] == ["activate_license", "query_license"]
    assert found(runtime) == {}


@pytest.mark.parametrize("answer", [{"error_code": "92020004", "error_msg": ""}, None])
async def test_what_nobody_here_can_mend_is_refused(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock, answer: dict[str, Any] | None
) -> None:
    seed(runtime, 2)
    if answer is None:
        shop.silent.add(name_of(1))
    else:
        shop.codes[name_of(1)] = answer
    await look(one)

    with pytest.raises(ConflictError):
        repair(runtime, differences(runtime)[0], clock)

    assert len(differences(runtime)) == 1


@pytest.mark.parametrize(
    ("later", "is_too_late"),
    [(timedelta(hours=36), False), (timedelta(hours=36, seconds=1), True)],
)
async def test_an_old_word_is_not_taken_over(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock, later: timedelta, is_too_late: bool
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(amount=5)
    await look(one)
    [difference] = differences(runtime)
    clock.advance(seconds=later.total_seconds())

    if is_too_late:
        with pytest.raises(ConflictError, match="too long ago"):
            repair(runtime, difference, clock)
    else:
        assert repair(runtime, difference, clock)

    assert license_of(runtime, 1).amount == (2 if is_too_late else 5)


async def test_a_license_that_has_changed_since_is_compared_again_first(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(amount=5)
    await look(one)
    [difference] = differences(runtime)
    change(runtime, 1, facts_changed_at=clock.now() + timedelta(seconds=1), expires_at=LATER)
    shop.codes[name_of(1)] = state(amount=5, expire_time=compact(LATER))
    clock.advance(minutes=1)

    with pytest.raises(ConflictError, match="has changed"):
        repair(runtime, difference, clock)
    await one.compare(difference.license_id)

    assert repair(runtime, difference, clock)
    assert (license_of(runtime, 1).amount, license_of(runtime, 1).expires_at) == (5, LATER)


async def test_an_end_that_has_passed_since_it_was_stated_is_not_taken_over(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(expire_time=compact(NOW + timedelta(hours=1)))
    await look(one)
    clock.advance(hours=2)

    with pytest.raises(ConflictError, match="no longer valid"):
        repair(runtime, differences(runtime)[0], clock)

    assert license_of(runtime, 1).expires_at == ENDS


@pytest.mark.parametrize("source", ["marketplace", "online"])
async def test_a_marketplace_whose_clock_goes_before_ours_is_believed(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock, source: str
) -> None:
    seed(runtime, 1, source=source, order_line_id="CS1-000001", expiry_stated_at=NOW + timedelta(minutes=5))
    shop.codes[name_of(1)] = state(expire_time=compact(LATER))
    shop.sell("CS1", expireTime=compact(LATER))
    await look(one)

    assert repair(runtime, differences(runtime)[0], clock)

    assert license_of(runtime, 1).expires_at == LATER


async def test_a_grace_of_the_vendor_is_no_difference(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1, expires_at=PAST, grace_until=LATER)
    shop.codes[name_of(1)] = state("EXPIRED", expire_time=compact(PAST))

    await look(one)

    assert found(runtime) == {}


async def test_an_online_license_takes_its_order_over(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1, source="online", order_line_id="CS1-000001")
    sooner = ENDS - timedelta(days=30)
    shop.sell("CS1", amount=7, product="OFFI7", expireTime=compact(sooner))
    await look(one)
    assert found(runtime) == {name_of(1): {"AMOUNT", "PRODUCT", "EXPIRY"}}

    assert repair(runtime, differences(runtime)[0], clock)

    license = license_of(runtime, 1)
    assert (license.amount, license.product_id, license.expires_at) == (7, "OFFI7", sooner)
    assert found(runtime) == {}


async def test_many_are_repaired_and_one_that_cannot_be_spoils_none(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 4)
    shop.codes = {
        name_of(1): state(amount=5, product_id="OFFI2"), name_of(2): {"error_code": "92020004", "error_msg": ""},
        name_of(3): state(amount=6),
    }  # fmt: skip
    await look(one)
    ids = [difference.id for difference in differences(runtime)]

    done = await runtime.writer.run(
        lambda session: reconciliation.repair_many(
            session, [*ids, "none"], cause=ANN, alive_unfreezes=True, now=clock.now()
        )
    )

    assert set(done.left) == {"none", next(row.id for row in differences(runtime))}
    assert [license_of(runtime, number).amount for number in (1, 2, 3)] == [5, 2, 6]
    assert found(runtime) == {name_of(2): {"STATUS"}}
    assert len(audited(runtime, "DIFFERENCE_REPAIRED")) == 3


async def test_a_dismissed_difference_comes_back_when_a_side_changes(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(amount=5)
    await look(one)
    [difference] = differences(runtime)

    await runtime.writer.run(lambda session: reconciliation.dismiss(session, difference.id, cause=ANN, now=clock.now()))
    await look(one)
    [same] = differences(runtime)
    with reading(runtime.database) as session:
        assert reconciliation.summary(session).open == {}
    shop.codes[name_of(1)] = state(amount=6)
    await look(one)
    [new] = differences(runtime)

    assert (same.id, same.dismissed_by, same.reason) == (difference.id, "staff:ann", ANN.reason)
    assert (new.theirs, new.dismissed_at) == ("6", None)
    [entry] = audited(runtime, "DIFFERENCE_DISMISSED")
    assert (entry.actor, entry.reason) == ("staff:ann", ANN.reason)


async def test_dismissing_again_changes_nothing(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = state(amount=5)
    await look(one)
    [difference] = differences(runtime)

    with transaction(runtime.database) as session:
        assert reconciliation.dismiss(session, difference.id, cause=ANN, now=clock.now())
        assert not reconciliation.dismiss(session, difference.id, cause=ANN, now=clock.now())
        with pytest.raises(NotFoundError):
            reconciliation.dismiss(session, "none", cause=ANN, now=clock.now())


async def test_differences_are_listed_page_by_page(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 3)
    shop.codes = {name_of(number): state(amount=5, product_id="OFFI2") for number in (1, 2, 3)}
    await look(one)

    with reading(runtime.database) as session:
        first = differences_store.differences(session, Filter(kind=Kind.AMOUNT), limit=2)
        rest = differences_store.differences(session, Filter(kind=Kind.AMOUNT), after=first[-1][0].id)
        every = differences_store.differences(session, Filter(is_closed=None, is_dismissed=None))
        summary = reconciliation.summary(session)
        assert sorted(code for _, code in [*first, *rest]) == [name_of(1), name_of(2), name_of(3)]
        assert len(every) == 6
        assert (summary.open, summary.under_way) == ({"AMOUNT": 3, "PRODUCT": 3}, None)


async def test_a_staff_revocation_after_the_look_asks_for_another_look(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    shop.codes[name_of(1)] = DELETED
    await look(one)
    [difference] = differences(runtime)
    clock.advance(minutes=1)
    with transaction(runtime.database) as session:
        license = session.merge(license_of(runtime, 1))
        changes.revoke(session, license, cause=ANN, now=clock.now())

    with pytest.raises(ConflictError):
        repair(runtime, difference, clock)
    clock.advance(minutes=1)
    await look(one)

    assert found(runtime) == {}
