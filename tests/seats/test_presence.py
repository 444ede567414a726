"""Time in which the service was away, and clocks that jump, take no seat away and let none last for ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import Session, col, select

from licsrv import upkeep
from licsrv.platform.db import reading
from licsrv.seats.presence import Replica
from licsrv.seats.tables import Presence, Seat, Waiting
from tests.conftest import NOW
from tests.seats.conftest import Office


async def ends(office: Office) -> list[datetime]:
    with reading(office.runtime.database) as session:
        return sorted(session.scalars(select(Seat.until)))


def held_of(session: Session) -> Sequence[Seat]:
    return session.scalars(select(Seat).where(col(Seat.ended_at).is_(None))).all()


async def tick(office: Office) -> None:
    [job] = [job for job in upkeep.jobs(office.runtime) if job.name == "presence"]
    await job.run()


def restart(office: Office) -> None:
    """Let another process serve in place of this one."""
    office.runtime.replica.id, office.runtime.replica.noted_at = Replica().id, None


async def test_a_seat_outlasts_a_time_in_which_the_service_was_away(office: Office) -> None:
    office.sell(seats=1)
    first, second = await office.programs(2)
    await tick(office)
    seat = await first.done("checkout")

    office.clock.advance(hours=3)
    restart(office)
    refused = await second.refused("checkout")  # before any job has run

    assert refused["holders"][0]["until"] == "2026-03-01T12:45:00Z"
    office.pass_time(minutes=14)
    assert (await first.done("renew"))["seat_id"] == seat["seat_id"]
    office.pass_time(minutes=15)
    await second.done("checkout")


async def test_a_seat_that_had_lapsed_before_stays_so_and_a_borrowed_one_keeps_its_end(office: Office) -> None:
    office.sell(seats=3, policy={"floating.borrow_days": 3})
    programs = await office.programs(3)
    await programs[0].done("checkout")
    office.pass_time(minutes=16)
    await programs[1].done("checkout")
    await programs[1].done("borrow", until="2026-03-03T09:30:00Z")
    await programs[2].done("checkout")
    await tick(office)

    office.clock.advance(minutes=5)
    await tick(office)

    now = office.clock.now()
    far = datetime.fromisoformat("2026-03-03T09:30:00Z")
    assert await ends(office) == [NOW + timedelta(minutes=15), now + timedelta(minutes=15), far]


async def test_a_short_restart_and_the_death_of_one_of_two_replicas_change_nothing(office: Office) -> None:
    office.sell()
    program = await office.program()
    await tick(office)
    await program.done("checkout")

    restart(office)
    for _ in range(5):
        office.clock.advance(seconds=25)
        await tick(office)

    assert await ends(office) == [NOW + timedelta(minutes=15)]
    with reading(office.runtime.database) as session:
        assert len(session.scalars(select(Presence)).all()) == 2
    office.pass_time(days=2)
    await tick(office)
    with reading(office.runtime.database) as session:
        assert [row.replica for row in session.scalars(select(Presence))] == [office.runtime.replica.id]


async def test_clocks_that_jump_end_no_seat_early_and_let_none_last_for_ever(office: Office) -> None:
    office.sell(seats=1)
    first, second = await office.programs(2)
    await tick(office)
    await first.done("checkout")

    for jump in (timedelta(days=400), timedelta(days=-400), timedelta(days=-1)):
        office.clock.move_to(office.clock.now() + jump)
        assert (await second.refused("checkout"))["code"] == "NO_SEAT_FREE", jump
        assert await ends(office) == [office.clock.now() + timedelta(minutes=15)], jump
    await first.done("renew")
    office.pass_time(minutes=15)
    await second.done("checkout")


async def test_a_clock_that_was_ahead_leaves_nobody_in_line(office: Office) -> None:
    office.sell(seats=1)
    first, second, third = await office.programs(3)
    await tick(office)
    await first.done("checkout")

    office.clock.advance(days=400)
    await second.refused("checkout", queue=True)
    office.clock.advance(days=-400)
    await tick(office)
    await first.done("return")
    refused = await third.refused("checkout", queue=True)
    office.pass_time(minutes=2)

    assert refused["position"] == 2
    await third.done("checkout")


async def test_seats_that_outlast_a_silence_of_days_are_not_taken_for_forgotten(office: Office) -> None:
    office.sell(seats=2)
    first, second = await office.programs(2)
    await first.done("checkout")
    office.pass_time(minutes=16)
    await second.done("checkout")
    await tick(office)

    office.clock.advance(days=2)
    await upkeep.prune(office.runtime)  # before the job of presence has run

    assert (await second.done("renew"))["seat_id"] == second.seat_id
    assert (await first.refused("renew"))["code"] == "SEAT_ENDED"


async def test_what_is_over_is_deleted_and_what_is_counted_is_right(office: Office) -> None:
    office.sell(policy={"floating.borrow_days": 3})
    programs = await office.programs(5)
    for program in programs[:3]:
        await program.done("checkout")
    await programs[0].done("borrow", until="2026-03-03T09:30:00Z")
    await programs[3].refused("checkout", queue=True)
    await upkeep.refresh_gauges(office.runtime)
    metrics = office.runtime.metrics.text().decode()
    await programs[1].done("return")

    counts = []
    for days in (1, 6, 1):  # lapsed and returned; the latter is deleted; then the former, and the borrowed one is over
        office.pass_time(days=days, minutes=16)
        await upkeep.prune(office.runtime)
        with reading(office.runtime.database) as session:
            counts.append((len(session.scalars(select(Seat)).all()), len(held_of(session))))

    assert "licsrv_seats_live 3.0" in metrics
    assert "licsrv_seats_borrowed 1.0" in metrics
    assert counts == [(3, 1), (2, 0), (1, 0)]
    with reading(office.runtime.database) as session:
        assert session.scalars(select(Waiting)).all() == []
