"""A run asks about every live license, finds what differs and nothing else, and goes on wherever it was interrupted."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx2
import pytest
from sqlmodel import select

from licsrv import app as application
from licsrv.audit import Cause
from licsrv.audit.tables import AuditEntry
from licsrv.errors import MarketplaceUnavailableError
from licsrv.marketplace import store as marketplace
from licsrv.marketplace.reconciliation import runs
from licsrv.marketplace.reconciliation.runner import Reconciler
from licsrv.platform.config import Settings
from licsrv.platform.db import reading, transaction
from licsrv.runtime import Runtime
from tests.conftest import NOW, StandingClock
from tests.marketplace.reconciliation.reconciling import (
    DELETED,
    ENDS,
    Shop,
    compact,
    differences,
    found,
    last_run,
    license_of,
    name_of,
    reconciler,
    seed,
    state,
)
from tests.soak import rounds

ANN = Cause("staff:ann", reason="customer called")
SOONER, LATER = ENDS - timedelta(days=90), ENDS + timedelta(days=365)


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


async def run(reconciler: Reconciler) -> None:
    await reconciler.start(ANN)
    assert await reconciler.work()


DRIFT: list[tuple[dict[str, Any], set[str]]] = [
    (state("EXPIRED", expire_time="20260115000000"), {"STATUS", "EXPIRY"}),
    (state("EXPIRED", expire_time=None), {"STATUS"}),
    (state("RELEASED"), {"STATUS"}),
    (state(expire_time=compact(SOONER)), {"EXPIRY"}),
    (state(expire_time=compact(LATER)), {"EXPIRY"}),
    (state(product_id="OFFI2"), {"PRODUCT"}),
    (state(amount=3), {"AMOUNT"}),
    (state(product_id="OFFI2", amount=9, expire_time=compact(LATER)), {"PRODUCT", "AMOUNT", "EXPIRY"}),
    (DELETED, {"UNKNOWN"}),
    ({"error_code": "92020011", "error_msg": ""}, {"STATUS"}),
]


@rounds(everyday=300, short=500, whole=2000)
async def test_seeded_drift_is_found_completely_and_nothing_else(
    runtime: Runtime, one: Reconciler, shop: Shop, rounds: int
) -> None:
    count = rounds
    seed(runtime, count)
    drifted = random.Random(7).sample(range(1, count + 1), 2 * len(DRIFT))
    expected = {}
    for place, number in enumerate(drifted):
        shop.codes[name_of(number)], expected[name_of(number)] = DRIFT[place % len(DRIFT)]
    before = [license_of(runtime, number) for number in drifted]

    await run(one)

    assert found(runtime) == expected
    assert sorted(shop.asked) == [name_of(number) for number in range(1, count + 1)]
    last = last_run(runtime)
    assert (last.state, last.total, last.compared, last.found) == ("FINISHED", count, count, len(differences(runtime)))
    assert [license_of(runtime, number) for number in drifted] == before, "a run changes no license"


async def test_each_difference_is_explained_in_a_sentence(runtime: Runtime, one: Reconciler, shop: Shop) -> None:
    seed(runtime, len(DRIFT))
    shop.codes = {name_of(number): answer for number, (answer, _) in enumerate(DRIFT, 1)}

    await run(one)

    for difference in differences(runtime):
        assert difference.explained.endswith(".")
        assert difference.ours != difference.theirs
    by_kind = {difference.kind: difference for difference in differences(runtime)}
    assert (by_kind["AMOUNT"].ours, by_kind["AMOUNT"].theirs) == ("2", "9")
    assert by_kind["EXPIRY"].ours == "2027-02-28T23:59:59Z"


@pytest.mark.parametrize(
    "facts",
    [
        {"released_at": NOW},
        {"source": "manual"},
        {"source": "license_v1"},
        {"activated_at": None, "provisional_until": NOW + timedelta(days=1)},
        {"activated_at": None, "refused_reason": "no such code"},
    ],
)
async def test_what_is_not_live_is_not_asked_about(
    runtime: Runtime, one: Reconciler, shop: Shop, facts: dict[str, Any]
) -> None:
    seed(runtime, 3, **facts)

    await run(one)

    assert shop.asked == []
    assert (last_run(runtime).state, last_run(runtime).total) == ("FINISHED", 0)


async def test_a_revocation_is_no_difference_but_what_lies_beneath_it_is(
    runtime: Runtime, one: Reconciler, shop: Shop
) -> None:
    seed(runtime, 4, revoked_at=NOW - timedelta(days=1), revoked_by="staff:ann", revoked_reason="not paid")
    shop.codes = {name_of(2): state(expire_time=compact(LATER)), name_of(3): DELETED, name_of(4): state("RELEASED")}

    await run(one)

    assert found(runtime) == {name_of(2): {"EXPIRY"}, name_of(4): {"STATUS"}}


async def test_a_difference_has_one_row_while_it_is_open_and_closes_itself(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 2)
    shop.codes[name_of(1)] = state(amount=3)
    await run(one)
    [first] = differences(runtime)
    clock.advance(days=1)

    await run(one)
    [second] = differences(runtime)
    shop.codes.clear()
    await run(one)

    assert (second.id, second.found_at, second.asked_at > first.asked_at) == (first.id, first.found_at, True)
    assert differences(runtime) == []
    [over] = differences(runtime, closed=True)
    assert (over.id, over.closed_by) == (first.id, None)
    assert (last_run(runtime).found, last_run(runtime).vanished) == (0, 1)


async def test_a_difference_that_has_changed_is_a_new_one(
    runtime: Runtime, one: Reconciler, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 1)
    for amount in (3, 4):
        shop.codes[name_of(1)] = state(amount=amount)
        await run(one)
        clock.advance(days=1)

    assert [difference.theirs for difference in differences(runtime)] == ["4"]
    assert [difference.theirs for difference in differences(runtime, closed=True)] == ["3"]


async def test_a_license_that_changed_after_it_was_asked_about_is_left_to_the_next_look(
    runtime: Runtime, one: Reconciler, shop: Shop
) -> None:
    seed(runtime, 1, facts_changed_at=NOW + timedelta(seconds=1))
    shop.codes[name_of(1)] = state(amount=3)

    await run(one)

    assert differences(runtime) == []


# Online licenses


def order_of(runtime: Runtime, number: int, order_id: str, scene: str, *, day: int) -> None:
    with transaction(runtime.database) as session:
        at = NOW - timedelta(days=30 - day)
        marketplace.add_order(
            session,
            license_of(runtime, number).id,
            order_id=order_id,
            order_line_id=f"{order_id}-000001",
            scene=scene,
            now=at,
        )


async def test_an_online_license_is_compared_with_its_current_order(
    runtime: Runtime, one: Reconciler, shop: Shop
) -> None:
    seed(runtime, 6, source="online")
    for number in range(1, 7):
        order_of(runtime, number, f"N{number}", "NEW", day=1)
        shop.sell(f"N{number}")
    order_of(runtime, 2, "R2", "RENEWAL", day=2)
    shop.sell("R2", kind="RENEW", expireTime=compact(LATER))
    order_of(runtime, 3, "R3", "RENEWAL", day=2)
    order_of(runtime, 3, "R3", "UNSUBSCRIBE_RENEWAL_PERIOD", day=3)
    order_of(runtime, 4, "U4", "UPGRADE", day=2)
    shop.sell("U4", kind="CHANGE", amount=7, product="OFFI7")
    del shop.orders["N5"]
    shop.sell("N6", expireTime=None)

    await run(one)

    assert found(runtime) == {name_of(2): {"EXPIRY"}, name_of(4): {"AMOUNT", "PRODUCT"}, name_of(5): {"UNKNOWN"}}
    assert sorted(shop.asked) == ["N1", "N3", "N5", "N6", "R2", "U4"]


# Interruptions


async def test_a_run_goes_on_where_a_dead_replica_left_it(
    runtime: Runtime, shop: Shop, clock: StandingClock, one: Reconciler
) -> None:
    """The first replica dies while it asks about the third page: nobody gives the run back."""
    seed(runtime, 200)
    shop.codes = {name_of(number): state(amount=5) for number in (3, 77, 130, 199)}
    await one.start(ANN)
    with transaction(runtime.database) as session:
        run_id = runs.claim(session, owner="dead", lease=timedelta(seconds=70), now=clock.now())
        assert run_id is not None
    for _ in range(2):
        page(runtime, run_id, "dead", clock, amounts=shop)

    assert not await one.work(), "its lease has not run out"
    clock.advance(seconds=71)
    assert await one.work()

    assert sorted(shop.asked) == [name_of(number) for number in range(101, 201)]
    assert set(found(runtime)) == {name_of(number) for number in (3, 77, 130, 199)}
    assert (last_run(runtime).state, last_run(runtime).compared) == ("FINISHED", 200)


def page(runtime: Runtime, run_id: str, owner: str, clock: StandingClock, *, amounts: Shop) -> None:
    """Let a replica compare one page, as it does between two calls."""
    with transaction(runtime.database) as session:
        questions = runs.next_questions(session, run_id)
        answers = [
            runs.Answered(
                question,
                runs.Word("ALIVE", ENDS, "OFFI1", amounts.codes.get(question.code, {"amount": 2})["amount"]),
                clock.now(),
            )
            for question in questions
        ]
        cursor = questions[-1].license_id
        assert runs.keep(session, run_id, owner, answers, cursor=cursor, alive_unfreezes=True, now=clock.now())


async def test_a_replica_that_lost_its_lease_writes_nothing_more(
    runtime: Runtime, shop: Shop, clock: StandingClock, one: Reconciler
) -> None:
    seed(runtime, 10)
    await one.start(ANN)
    with transaction(runtime.database) as session:
        run_id = runs.claim(session, owner="slow", lease=timedelta(seconds=70), now=clock.now())
        assert run_id is not None
        questions = runs.next_questions(session, run_id)
    clock.advance(seconds=71)
    assert await one.work()

    with transaction(runtime.database) as session:
        answers = [runs.Answered(question, runs.Word("RELEASED"), clock.now()) for question in questions]
        assert not runs.keep(session, run_id, "slow", answers, cursor="x", alive_unfreezes=True, now=clock.now())

    assert found(runtime) == {}


async def test_a_restart_in_the_middle_of_a_page_finds_nothing_twice(
    runtime: Runtime, shop: Shop, clock: StandingClock
) -> None:
    seed(runtime, 120)
    shop.codes = {name_of(number): DELETED for number in (1, 60, 70, 110)}
    shop.down_after = 65
    first, second = reconciler(runtime, clock), reconciler(runtime, clock, "two")
    await run(first)
    assert last_run(runtime).state == "RUNNING"
    shop.is_down, shop.down_after = False, None
    clock.advance(minutes=1)

    assert await second.work()

    assert set(found(runtime)) == {name_of(number) for number in (1, 60, 70, 110)}
    assert (last_run(runtime).compared, last_run(runtime).found) == (120, 4)


async def test_two_replicas_share_one_run(runtime: Runtime, shop: Shop, clock: StandingClock, one: Reconciler) -> None:
    seed(runtime, 60)
    two = reconciler(runtime, clock, "two")

    first, is_new = await one.start(ANN)
    second, is_second_new = await two.start(Cause("staff:bob"))
    await asyncio.gather(one.work(), two.work())

    assert (is_new, is_second_new) == (True, False)
    assert first is not None
    assert second is not None
    assert first.id == second.id
    assert len(shop.asked) == 60
    with reading(runtime.database) as session:
        started = [entry for entry in session.scalars(select(AuditEntry)) if entry.action == "RECONCILIATION_STARTED"]
    assert [entry.actor for entry in started] == ["staff:ann"]


async def test_only_one_replica_works_at_a_time(runtime: Runtime, shop: Shop, clock: StandingClock) -> None:
    seed(runtime, 120)
    one, two = reconciler(runtime, clock), reconciler(runtime, clock, "two")
    await one.start(ANN)
    with transaction(runtime.database) as session:
        assert runs.claim(session, owner="one", lease=timedelta(seconds=70), now=clock.now())

    assert not await two.work()
    assert await one.work()


async def test_a_stopped_run_is_not_gone_on_with(runtime: Runtime, one: Reconciler, clock: StandingClock) -> None:
    seed(runtime, 120)
    await one.start(ANN)

    def stop(_: object) -> None:
        with transaction(runtime.database) as session:
            runs.stop(session, cause=ANN, now=clock.now())

    await one.work(stop)

    last = last_run(runtime)
    assert (last.state, last.compared, last.note, last.owner) == ("STOPPED", 50, "customer called", None)
    assert not await one.work()


# The marketplace does not answer


@pytest.mark.soak
async def test_a_marketplace_that_is_down_for_a_while_is_waited_for(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 20)
    shop.is_down = True
    await run(one)
    waits = []
    for _ in range(12):
        last = last_run(runtime)
        assert last.waits_until is not None
        assert "502" in last.note
        assert not await one.work(), "it is not due yet"
        waits.append(last.waits_until - clock.now())
        clock.move_to(last.waits_until)
        assert await one.work()
    shop.is_down = False
    clock.advance(minutes=10)

    assert await one.work()

    assert waits == sorted(waits) or max(waits) <= timedelta(minutes=10)
    assert timedelta(minutes=5) <= waits[-1] <= timedelta(minutes=10)
    last = last_run(runtime)
    assert (last.state, last.compared, last.note, last.failing_since) == ("FINISHED", 20, "", None)
    assert found(runtime) == {}, "nobody is to blame for an outage"


async def test_a_marketplace_that_stays_down_ends_the_run(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 3)
    shop.is_down = True
    await run(one)
    clock.advance(hours=12)

    await one.work()

    last = last_run(runtime)
    assert (last.state, last.ended_at) == ("FAILED", clock.now())
    assert "502" in last.note
    assert found(runtime) == {}


@pytest.mark.parametrize("silent", [{2}, {2, 3, 60, 119, 120}, set(range(1, 11)), set(range(45, 121))])
async def test_a_license_that_alone_is_not_answered_about_is_told(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock, silent: set[int]
) -> None:
    seed(runtime, 120)
    shop.silent = {name_of(number) for number in silent}
    shop.codes[name_of(44)] = state(amount=7)

    await run(one)

    unanswered = {name_of(number): {"UNANSWERED"} for number in silent}
    assert found(runtime) == unanswered | {name_of(44): {"AMOUNT"}}
    assert last_run(runtime).state == "FINISHED"


async def test_silence_leaves_what_was_found_before(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 3)
    shop.codes[name_of(2)] = state(amount=7)
    await run(one)
    shop.silent.add(name_of(2))

    await run(one)

    assert found(runtime) == {name_of(2): {"AMOUNT", "UNANSWERED"}}


async def test_keys_that_are_refused_pause_the_run_as_everything_else(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 60)
    shop.refuses_our_keys = True
    await run(one)
    last = last_run(runtime)
    assert last.waits_until is not None
    assert last.waits_until > clock.now()
    shop.refuses_our_keys = False
    clock.advance(minutes=10)

    assert await one.work()

    assert (last_run(runtime).state, last_run(runtime).compared) == ("FINISHED", 60)
    assert found(runtime) == {}


async def test_never_more_than_five_refused_calls_in_a_row_are_made(
    runtime: Runtime, shop: Shop, one: Reconciler
) -> None:
    seed(runtime, 60)
    shop.refuses_our_keys = True

    await run(one)
    await one.work()

    with reading(runtime.database) as session:
        gate = marketplace.gate(session, runtime.api.key_pair)
    assert gate is not None
    assert 1 <= gate.failures <= 5


# Pace


async def test_the_pace_is_kept(runtime: Runtime, shop: Shop, clock: StandingClock) -> None:
    seed(runtime, 101)
    slow = reconciler(runtime, clock, per_second=10)

    await run(slow)

    assert timedelta(seconds=9.8) <= clock.now() - NOW <= timedelta(seconds=10.1)


# Nights


@pytest.mark.parametrize(
    ("at", "starts"),
    [
        ("2026-03-02T17:59:59+00:00", False),
        ("2026-03-02T18:00:00+00:00", True),  # 02:00 in Shanghai
        ("2026-03-02T23:59:59+00:00", True),
        ("2026-03-03T00:00:00+00:00", False),
    ],
)
async def test_a_night_starts_at_its_hour(
    runtime: Runtime, one: Reconciler, clock: StandingClock, at: str, starts: bool
) -> None:
    clock.move_to(type(NOW).fromisoformat(at))

    await one.tick()
    await one.close()

    assert (one.under_way() is not None or has_run(runtime)) is starts


def has_run(runtime: Runtime) -> bool:
    with reading(runtime.database) as session:
        return bool(runs.store.runs(session))


async def test_a_night_has_one_run_on_all_replicas(runtime: Runtime, shop: Shop, clock: StandingClock) -> None:
    seed(runtime, 3)
    clock.move_to(NOW.replace(hour=18))
    replicas = [reconciler(runtime, clock, owner) for owner in ("one", "two")]
    for _ in range(3):
        for replica in replicas:
            await replica.tick()
            await replica.finished()
        clock.advance(minutes=30)

    with reading(runtime.database) as session:
        [night] = runs.store.runs(session)
        assert (night.started_by, str(night.night), night.state) == ("nightly", "2026-03-02", "FINISHED")
    assert len(shop.asked) == 3


async def test_where_there_is_no_hour_nothing_starts_by_itself(runtime: Runtime, clock: StandingClock) -> None:
    clock.move_to(NOW.replace(hour=18))

    await reconciler(runtime, clock, hour=None).tick()

    assert not has_run(runtime)


async def test_a_tick_goes_on_with_what_was_started_elsewhere(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 3)
    with transaction(runtime.database) as session:
        runs.start(session, cause=ANN, now=clock.now())

    await one.tick()
    await one.finished()

    assert last_run(runtime).state == "FINISHED"


async def test_a_process_that_ends_gives_its_run_back_at_once(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 200)
    await one.start(ANN)
    await one.tick()

    await one.close()

    assert await reconciler(runtime, clock, "two").work()
    assert last_run(runtime).state == "FINISHED"


async def test_runs_and_differences_of_long_ago_are_forgotten(
    runtime: Runtime, shop: Shop, one: Reconciler, clock: StandingClock
) -> None:
    seed(runtime, 1, expires_at=None)
    shop.codes[name_of(1)] = state(amount=3, expire_time=None)
    await run(one)
    shop.codes[name_of(1)] = state(expire_time=None)
    await run(one)
    clock.advance(days=401)

    await run(one)

    assert differences(runtime, closed=True) == []
    with reading(runtime.database) as session:
        assert len(runs.store.runs(session)) == 1


# One license


async def test_one_license_is_compared_on_demand(runtime: Runtime, shop: Shop, one: Reconciler) -> None:
    seed(runtime, 2)
    shop.codes[name_of(1)] = state(amount=3)

    await one.compare(license_of(runtime, 1).id)
    await one.compare("nobody")

    assert found(runtime) == {name_of(1): {"AMOUNT"}}
    assert shop.asked == [name_of(1)]
    with reading(runtime.database) as session:
        view = marketplace.view(session, license_of(runtime, 1).id)
        assert view is not None
        assert (view.status, view.expires_at, view.asked_at) == ("ALIVE", ENDS, NOW)


async def test_one_license_that_cannot_be_asked_about_is_a_refusal(
    runtime: Runtime, shop: Shop, one: Reconciler
) -> None:
    seed(runtime, 1)
    shop.is_down = True

    with pytest.raises(MarketplaceUnavailableError):
        await one.compare(license_of(runtime, 1).id)


async def test_a_process_without_a_key_pair_starts_nothing(
    database_url: str, keys_dir: Any, clock: StandingClock
) -> None:
    from tests.conftest import make_settings

    settings = make_settings(database_url, keys_dir, MARKETPLACE_AK="", MARKETPLACE_SK="")
    clock.move_to(NOW.replace(hour=18))
    runtime = application.build_runtime(settings, clock=clock)

    await runtime.reconciler.tick()

    assert not has_run(runtime)
    await runtime.close()
