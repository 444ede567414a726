"""The worker: claim, deliver, settle; whatever happens in between, no row is lost and none delays the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import Session

from licsrv.errors import ConflictError
from licsrv.outbox import store
from licsrv.outbox.rules import Again, Delivered, Postponed, Refused, State, Verdict
from licsrv.outbox.worker import Deliverer, Parked, Worker
from licsrv.platform.db import Database, transaction
from licsrv.platform.metrics import Metrics
from licsrv.platform.writer import Writer
from tests.conftest import NOW, StandingClock
from tests.outbox.conftest import (
    Answer,
    Numbered,
    Query,
    Receiver,
    Usage,
    claim,
    damage,
    ignore,
    mark,
    put,
    row,
    rows,
    worker_of,
)


async def deliver(writer: Writer, clock: StandingClock, *answers: Answer, **options: Any) -> Receiver:
    """Let one worker deliver what is due of the kind `query`."""
    receiver = Receiver(*answers)
    await worker_of(writer, {"query": receiver}, clock, **options).drain()
    return receiver


async def test_what_arrived_is_settled_with_its_effect(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))

    receiver = await deliver(writer, clock, Delivered(mark("effect")))

    found, trace = rows(database)
    assert receiver.calls == [[0]]
    assert (found.state, found.settled_at, found.last_error, found.claimed_by) == ("DELIVERED", NOW, None, None)
    assert trace.ordering_key == "effect"


async def test_what_was_refused_is_parked_with_its_effect_and_not_tried_again(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))

    receiver = await deliver(writer, clock, Refused("no such code", mark("effect")))
    clock.advance(days=1)
    again = await deliver(writer, clock)

    found, trace = rows(database)
    assert (receiver.calls, again.calls) == ([[0]], [])
    assert (found.state, found.last_error, trace.ordering_key) == ("PARKED", "no such code", "effect")


async def test_what_did_not_arrive_comes_again_later_and_later(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))

    for attempts, longest in ((1, 2), (2, 4), (3, 8)):
        await deliver(writer, clock, Again("no answer"))
        found = row(database)
        assert (found.attempts, found.state, found.last_error, found.claimed_by) == (
            attempts, "WAITING", "no answer", None,
        )  # fmt: skip
        assert timedelta(seconds=longest / 2) <= found.due_at - clock.now() <= timedelta(seconds=longest)
        assert (await deliver(writer, clock)).calls == [], "it is not due yet"
        clock.advance(seconds=longest)


async def test_a_closed_way_is_waited_for_and_not_counted(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))

    for _ in range(5):
        until = clock.now() + timedelta(minutes=6)
        await deliver(writer, clock, Postponed("paused", until), max_attempts=2)
        assert (row(database).attempts, row(database).due_at, row(database).state) == (0, until, "WAITING")
        clock.advance(minutes=6)


@pytest.mark.parametrize("answer", [Again("no answer"), ValueError("broken"), Delivered(lambda _: 1 / 0)])  # type: ignore[arg-type]
async def test_after_enough_tries_a_row_is_parked(
    database: Database, writer: Writer, clock: StandingClock, answer: Answer
) -> None:
    put(database, ("query", "k"), ("query", "k"))

    for _ in range(2):
        await deliver(writer, clock, answer, max_attempts=3)
        assert rows(database)[0].state == "WAITING"
        clock.advance(minutes=10)
    receiver = await deliver(writer, clock, answer, max_attempts=3)

    first, second = rows(database)
    assert (first.state, first.attempts, str(first.last_error).partition(":")[0]) == ("PARKED", 3, "given up")
    assert receiver.calls == [[0], [1]], "and what stood behind it has its turn"
    assert second.state == "WAITING"


def forbidden(session: Session) -> None:
    session.execute(text("INSERT INTO license_days (license_id, day) VALUES (NULL, NULL)"))


def refused(_: Session) -> None:
    raise ConflictError("No.")


@pytest.mark.parametrize("effect", [forbidden, refused], ids=["by the database", "by a rule"])
async def test_an_effect_that_cannot_be_written_leaves_nothing_and_counts_as_a_try(
    database: Database, writer: Writer, clock: StandingClock, effect: Callable[[Session], None]
) -> None:
    put(database, ("query", "k"))

    def half(session: Session) -> None:
        mark("half")(session)
        effect(session)

    await deliver(writer, clock, Delivered(half))

    found = row(database)
    assert (found.state, found.attempts, found.claimed_by) == ("WAITING", 1, None)
    assert "could not be taken over" in str(found.last_error)
    clock.advance(minutes=1)
    await deliver(writer, clock, Delivered())
    assert row(database).state == "DELIVERED"


async def test_a_deliverer_that_answers_too_little_is_asked_again(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "a"), ("query", "b"))

    async def forgetful(group: Sequence[Query]) -> Sequence[Verdict]:
        return [Delivered()] * (len(group) - 1)

    worker = Worker(
        writer, [Deliverer(Query, forgetful, 10)], on_parked=ignore, clock=clock, metrics=Metrics(), owner="me"
    )
    await worker.drain()

    assert [(found.state, found.last_error) for found in rows(database)] == [
        ("WAITING", "internal error (ValueError)")
    ] * 2


async def test_a_deliverer_that_hangs_is_cut_before_its_lease_ends(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    lease = timedelta(milliseconds=100)
    started = asyncio.get_running_loop().time()

    async with asyncio.timeout(10):
        await worker_of(writer, {"query": receiver}, clock, lease=lease).drain()

    assert asyncio.get_running_loop().time() - started >= 0.08
    assert (row(database).state, row(database).last_error) == ("WAITING", "the delivery took too long")


async def test_a_late_answer_of_who_lost_the_row_is_ignored(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))
    slow, fast = Receiver(Delivered(mark("slow"))), Receiver(Delivered(mark("fast")))
    slow.gate = asyncio.Event()
    first = worker_of(writer, {"query": slow}, clock, owner="first")
    drained = asyncio.create_task(first.drain())
    while not slow.calls:
        await asyncio.sleep(0)

    clock.advance(seconds=91)
    await worker_of(writer, {"query": fast}, clock, owner="second").drain()
    slow.gate.set()
    await drained

    assert [found.ordering_key for found in rows(database)] == ["k", "fast"]
    assert rows(database)[0].state == "DELIVERED"


async def test_many_workers_deliver_every_row_once(database: Database, writer: Writer, clock: StandingClock) -> None:
    put(database, *(("query", f"k{number % 13}") for number in range(80)))
    receiver = Receiver()
    workers = [worker_of(writer, {"query": receiver}, clock, owner=f"worker-{number}") for number in range(3)]

    await asyncio.gather(*(worker.drain() for worker in workers))
    await workers[0].drain()  # who saw only rows under way has left

    delivered = [number for call in receiver.calls for number in call]
    assert sorted(delivered) == list(range(80))
    for key in range(13):
        assert [number for number in delivered if number % 13 == key] == list(range(key, 80, 13)), "in their order"
    assert {found.state for found in rows(database)} == {"DELIVERED"}


async def test_rows_delivered_together_go_in_batches(database: Database, writer: Writer, clock: StandingClock) -> None:
    put(database, *(("query", f"k{number % 5}") for number in range(25)))

    receiver = await deliver(writer, clock, batch=10)

    assert [len(call) for call in receiver.calls] == [10, 10, 5]
    assert [number for call in receiver.calls for number in call] == list(range(25))


async def test_each_row_of_a_batch_has_its_own_verdict(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "a"), ("query", "b"), ("query", "c"))
    verdicts: list[Verdict] = [Delivered(), Refused("no"), Again("later")]

    await deliver(writer, clock, lambda message: verdicts[message.number], batch=10)

    assert [found.state for found in rows(database)] == ["DELIVERED", "PARKED", "WAITING"]


async def test_no_more_calls_than_allowed_are_under_way(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, *(("query", f"k{number}") for number in range(12)))
    under_way = most = 0

    async def counting(group: Sequence[Query]) -> Sequence[Verdict]:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.001)
        under_way -= 1
        return [Delivered()] * len(group)

    worker = Worker(
        writer,
        [Deliverer(Query, counting)],
        on_parked=ignore,
        clock=clock,
        metrics=Metrics(),
        owner="me",
        concurrency=3,
    )
    await worker.drain()

    assert most == 3
    assert {found.state for found in rows(database)} == {"DELIVERED"}


async def test_many_rows_of_one_kind_do_not_keep_another_waiting(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, *(("query", f"k{number}") for number in range(40)), ("usage", "x"))
    order: list[str] = []

    async def deliver(group: Sequence[Numbered]) -> Sequence[Verdict]:
        order.append(group[0].KIND)
        return [Delivered()] * len(group)

    deliverers = [Deliverer(Query, deliver), Deliverer(Usage, deliver)]
    worker = Worker(writer, deliverers, on_parked=ignore, clock=clock, metrics=Metrics(), owner="me", concurrency=2)
    await worker.drain()

    assert order.index("usage") < 10


async def test_kinds_without_a_deliverer_stay_waiting(database: Database, writer: Writer, clock: StandingClock) -> None:
    put(database, ("trace", "a"), ("query", "b"))

    await deliver(writer, clock)

    unknown, known = rows(database)
    assert (unknown.state, unknown.attempts, known.state) == ("WAITING", 0, "DELIVERED")


async def test_without_deliverers_there_is_nothing_to_do(writer: Writer, clock: StandingClock) -> None:
    assert await worker_of(writer, {}, clock).drain() == 0


async def test_draining_tells_how_many_calls_it_took(database: Database, writer: Writer, clock: StandingClock) -> None:
    put(database, *(("query", f"k{number}") for number in range(7)))
    worker = worker_of(writer, {"query": Receiver()}, clock)

    assert (await worker.drain(), await worker.drain()) == (7, 0)


async def test_outcomes_are_counted(database: Database, writer: Writer, clock: StandingClock) -> None:
    put(database, *(("query", f"k{number}") for number in range(4)))
    metrics = Metrics()
    receiver = Receiver(Delivered(), Refused("no"), Again("later"), Postponed("closed", NOW + timedelta(hours=1)))

    await worker_of(writer, {"query": receiver}, clock, metrics=metrics, concurrency=1).drain()

    for outcome in ("delivered", "parked", "again", "postponed"):
        labels = {"kind": "query", "outcome": outcome}
        assert metrics.registry.get_sample_value("licsrv_deliveries_total", labels) == 1


async def running(worker: Worker) -> asyncio.Task[None]:
    task = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    return task


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def called(receiver: Receiver, times: int = 1) -> None:
    async with asyncio.timeout(10):
        while len(receiver.calls) < times:
            await asyncio.sleep(0.001)


async def test_a_running_worker_is_woken_by_the_commit(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    receiver = Receiver()
    worker = worker_of(writer, {"query": receiver}, clock)
    worker.wake()  # before it runs there is nobody to wake
    writer.add_hooks([lambda session: store.wake_after_commit(session, worker.wake)])
    task = await running(worker)
    await writer.run(lambda _: None)  # its first look is over
    started = asyncio.get_running_loop().time()

    await writer.run(lambda session: store.enqueue(session, Query("k", number=7), now=NOW))
    await called(receiver)

    assert asyncio.get_running_loop().time() - started < 1.5, "sooner than it would have looked by itself"
    await worker.finish()
    await end(task)
    worker.wake()
    assert row(database).state == "DELIVERED"


async def test_a_worker_survives_what_nobody_thought_of(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))
    receiver, failures = Receiver(), [ValueError("unthought of"), ConflictError("No.")]

    def hook(_: Session) -> None:
        if failures:
            raise failures.pop()

    writer.add_hooks([hook])
    worker = worker_of(writer, {"query": receiver}, clock)
    task = await running(worker)
    while failures:
        worker.wake()
        await asyncio.sleep(0.001)
    worker.wake()
    await called(receiver)

    await worker.finish()
    await end(task)
    assert row(database).state == "DELIVERED"


async def test_what_is_under_way_at_the_end_is_finished_or_left_to_its_lease(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))
    receiver = Receiver()
    receiver.gate = asyncio.Event()
    worker = worker_of(writer, {"query": receiver}, clock)
    task = await running(worker)
    await called(receiver)
    await end(task)

    await worker.finish(0.01)
    assert row(database).state == "WAITING"
    writer.close()
    receiver.gate.set()
    await worker.finish()

    assert row(database).state == "WAITING", "nothing could be written any more"
    clock.advance(seconds=91)
    assert [each.attempts for each in claim(database, "query", owner="next start", now=clock.now())] == [2]


async def test_a_row_that_a_person_dropped_meanwhile_stays_dropped(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))

    def dropping(_: Numbered) -> Verdict:
        row_id = row(database).id or 0
        with transaction(database) as session:
            store.settle(session, row_id, state=State.DROPPED, error="not needed", now=NOW)
        return Delivered(mark("effect"))

    await deliver(writer, clock, dropping)

    assert [(found.state, found.last_error) for found in rows(database)] == [("DROPPED", "not needed")]


async def test_every_parked_row_is_noted_in_the_transaction_that_parks_it(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "refused"), ("query", "given up"), ("query", "damaged"))
    damage(database, "damaged", "[]")
    answers: list[Verdict] = [Refused("no"), Again("no answer")]
    noted: list[Parked] = []

    def note(session: Session, parked: Parked) -> None:
        noted.append(parked)
        mark(parked.ordering_key)(session)

    await deliver(writer, clock, lambda message: answers[message.number], max_attempts=1, on_parked=note)

    parked = {found.ordering_key: found for found in rows(database) if found.state == "PARKED"}
    assert {one.ordering_key: one.reason for one in noted} == {
        "refused": "no", "given up": "given up: no answer", "damaged": "the stored message is not a JSON object",
    }  # fmt: skip
    assert {one.row_id for one in noted} == {found.id for found in parked.values()}
    assert {found.ordering_key for found in rows(database) if found.kind == "trace"} == set(parked)


@pytest.mark.parametrize("batch", [1, 10])
async def test_a_row_that_cannot_be_read_is_parked_and_delays_no_other(
    database: Database, writer: Writer, clock: StandingClock, batch: int
) -> None:
    damaged = ["null", "7", '{"number": "secret"}', '{"number": null}', *(["{]", ""] if database.is_sqlite else [])]
    put(database, *(("query", f"damaged {number}") for number in range(len(damaged))), ("query", "whole"))
    for number, payload in enumerate(damaged):
        damage(database, f"damaged {number}", payload)

    receiver = await deliver(writer, clock, batch=batch)

    *parked, whole = rows_as_text(database)
    assert receiver.calls == [[len(damaged)]]
    assert whole == ("DELIVERED", None)
    assert [state for state, _ in parked] == ["PARKED"] * len(damaged)
    assert all(reason and reason.startswith("the stored message") for _, reason in parked), parked
    assert not any("secret" in str(reason) for _, reason in parked), "the values are nothing for the log"


def rows_as_text(database: Database) -> list[tuple[str, str | None]]:
    """Read without the payload, which may be no JSON."""
    with transaction(database) as session:
        found = session.execute(text("SELECT state, last_error FROM outbox ORDER BY id")).all()
    return [(state, error) for state, error in found]


@pytest.mark.parametrize("verdict", [Delivered, lambda effect: Refused("no", effect)], ids=["delivered", "refused"])
async def test_an_answer_that_cannot_be_used_yet_is_asked_for_again(
    database: Database, writer: Writer, clock: StandingClock, verdict: Callable[[Any], Verdict]
) -> None:
    put(database, ("query", "k"))

    await deliver(writer, clock, verdict(lambda _: Again("no end")), verdict(lambda _: None))
    found = row(database)
    assert (found.state, found.attempts, found.last_error) == ("WAITING", 1, "no end")

    clock.advance(seconds=2)
    await deliver(writer, clock, Again("no answer", mark("noted")))
    found, trace = rows(database)
    assert (found.state, found.attempts, found.last_error, trace.ordering_key) == ("WAITING", 2, "no answer", "noted")


async def test_one_worker_that_is_drained_again_finds_what_has_become_due(
    database: Database, writer: Writer, clock: StandingClock
) -> None:
    put(database, ("query", "k"))
    worker = worker_of(writer, {"query": Receiver(Again("no end"), Delivered())}, clock)

    assert await worker.drain() == 1
    clock.advance(minutes=1)

    assert await worker.drain() == 1
    assert row(database).state == "DELIVERED"
