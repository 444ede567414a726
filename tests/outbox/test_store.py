"""The SQL of the outbox: what is due, in which order, and never to two at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from licsrv.outbox import store
from licsrv.outbox.rules import LONGEST_WAIT, State
from licsrv.outbox.store import Claimed
from licsrv.outbox.tables import OutboxRow
from licsrv.platform.db import Database, open_database, reading, table_of, transaction
from tests.conftest import NOW
from tests.outbox.conftest import LEASE, Query, claim, keys, numbers, put, row, rows

A_MOMENT = timedelta(microseconds=1)


def settle(database: Database, claimed: Claimed, state: State = State.DELIVERED) -> None:
    with transaction(database) as session:
        store.settle(session, claimed.id, state=state, error=None, now=NOW)


def test_what_is_enqueued_waits_and_is_due_at_once(database: Database) -> None:
    put(database, ("query", "k"))

    found = row(database)
    assert (found.state, found.attempts, found.due_at, found.settled_at) == ("WAITING", 0, NOW, None)
    [claimed] = claim(database, "query")
    assert claimed == Claimed(found.id or 0, "query", "k", '{"number": 0}', 1)


def test_nothing_enqueued_is_nothing(database: Database) -> None:
    put(database)

    assert rows(database) == []
    assert claim(database, "query") == []


def test_what_is_rolled_back_was_never_enqueued(database: Database) -> None:
    def fail() -> None:
        with transaction(database) as session:
            store.enqueue(session, Query("k"), now=NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()

    assert rows(database) == []


def test_the_oldest_come_first_and_others_kinds_stay(database: Database) -> None:
    put(database, ("query", "a"), ("usage", "b"), ("query", "c"), ("query", "d"))

    assert keys(claim(database, "query", limit=2)) == ["a", "c"]
    assert keys(claim(database, "query", limit=2)) == ["d"]
    assert keys(claim(database, "usage")) == ["b"]


@pytest.mark.parametrize(("late", "found"), [(timedelta(), 1), (-A_MOMENT, 0)])
def test_a_row_is_due_from_its_moment_on(database: Database, late: timedelta, found: int) -> None:
    put(database, ("query", "k"))

    assert len(claim(database, "query", now=NOW + late)) == found


def test_rows_of_one_key_go_one_after_the_other(database: Database) -> None:
    put(database, ("query", "k"), ("query", "k"), ("usage", "k"), ("query", "other"))

    first = claim(database, "query")
    assert keys(first) == ["k", "other"]
    assert claim(database, "query") == [], "the second one of k stands behind the first"
    assert claim(database, "usage") == []

    settle(database, first[0])
    [second] = claim(database, "query")
    assert numbers([second]) == [1]
    settle(database, second, State.PARKED)
    assert numbers(claim(database, "usage")) == [2], "a parked row delays no other"


TOGETHER = {
    "right behind each other": ([("usage", "k"), ("usage", "k"), ("usage", "k")], [0, 1, 2]),
    "with another key between": ([("usage", "k"), ("usage", "x"), ("usage", "k")], [0, 1, 2]),
    "with another kind between": ([("usage", "k"), ("query", "k"), ("usage", "k")], [0]),
    "behind another kind": ([("query", "k"), ("usage", "k"), ("usage", "x")], [2]),
}


@pytest.mark.parametrize("case", TOGETHER)
def test_rows_delivered_together_are_taken_together(database: Database, case: str) -> None:
    items, taken = TOGETHER[case]
    put(database, *items)

    claimed = claim(database, "usage", together=True)

    assert numbers(claimed) == taken


def test_rows_delivered_together_wait_for_one_that_waits_or_is_under_way(database: Database) -> None:
    put(database, ("usage", "k"))
    [first] = claim(database, "usage", together=True)
    put(database, ("usage", "k"))

    assert claim(database, "usage", together=True) == [], "the first one is under way"

    with transaction(database) as session:
        store.put_back(session, first.id, due_at=NOW + timedelta(seconds=5), error="why", counted=True)
    assert claim(database, "usage", together=True) == [], "the first one waits for its next try"
    assert len(claim(database, "usage", together=True, now=NOW + timedelta(seconds=5))) == 2


@pytest.mark.parametrize(("after", "found"), [(LEASE, 0), (LEASE + A_MOMENT, 1)])
def test_a_row_comes_back_when_its_lease_is_over(database: Database, after: timedelta, found: int) -> None:
    put(database, ("query", "k"))
    claim(database, "query", owner="dead")

    again = claim(database, "query", owner="alive", now=NOW + after)

    assert [claimed.attempts for claimed in again] == [2] * found


@pytest.mark.parametrize("together", [False, True])
def test_what_was_written_while_the_clock_was_wrong_does_not_wait_for_that_moment(
    database: Database, together: bool
) -> None:
    put(database, ("query", "k"), ("query", "k"), now=NOW + timedelta(days=365))
    claim(database, "query", owner="dead", limit=1, now=NOW + timedelta(days=365))

    found = claim(database, "query", owner="alive", together=together)

    assert [claimed.attempts for claimed in found] == [2, 1][: 1 + together]


@pytest.mark.parametrize(("ahead", "found"), [(LONGEST_WAIT, 0), (LONGEST_WAIT + A_MOMENT, 1)])
def test_a_row_waits_for_its_moment_as_long_as_anybody_may_let_it_wait(
    database: Database, ahead: timedelta, found: int
) -> None:
    put(database, ("query", "k"), now=NOW + ahead)

    assert len(claim(database, "query")) == found


@pytest.mark.parametrize(("before", "found"), [(LEASE, 0), (LEASE + A_MOMENT, 1)])
def test_a_claim_counts_although_the_claimers_clock_is_a_lease_ahead(
    database: Database, before: timedelta, found: int
) -> None:
    put(database, ("query", "k"), now=NOW - before)
    claim(database, "query", owner="ahead", now=NOW)

    assert len(claim(database, "query", owner="behind", now=NOW - before)) == found


def is_mine(database: Database, claimed: Claimed, owner: str) -> bool:
    with transaction(database) as session:
        return store.still_mine(session, claimed, owner)


def test_a_row_belongs_to_its_last_try(database: Database) -> None:
    put(database, ("query", "k"))
    [first] = claim(database, "query", owner="one")
    assert is_mine(database, first, "one")
    assert not is_mine(database, first, "two")

    [second] = claim(database, "query", owner="two", now=NOW + LEASE * 2)
    assert not is_mine(database, first, "one")
    assert is_mine(database, second, "two")

    [third] = claim(database, "query", owner="two", now=NOW + LEASE * 4)
    assert not is_mine(database, second, "two"), "a worker can lose a row to itself"
    settle(database, third)
    assert not is_mine(database, third, "two")


def test_no_row_is_given_to_two(database: Database) -> None:
    put(database, *(("query", f"k{number}") for number in range(200)))

    def work(owner: int) -> list[int]:
        taken: list[int] = []
        while claimed := claim(database, "query", owner=f"worker-{owner}", limit=7):
            taken += [one.id for one in claimed]
        return taken

    with ThreadPoolExecutor(4) as threads:
        taken = [row_id for ids in threads.map(work, range(4)) for row_id in ids]

    assert len(taken) == len(set(taken))
    if database.is_sqlite:
        assert len(taken) == 200
    else:  # who skips what others are claiming may find nothing although something is left
        assert len(taken) + len(claim(database, "query")) == 200


def test_putting_back_counts_a_try_or_not(database: Database) -> None:
    put(database, ("query", "k"))
    later = NOW + timedelta(minutes=1)

    for counted, attempts in ((True, 1), (False, 1), (True, 2)):
        [claimed] = claim(database, "query", now=later)
        with transaction(database) as session:
            store.put_back(session, claimed.id, due_at=later, error="why", counted=counted)
        found = row(database)
        assert (found.attempts, found.claimed_by, found.claimed_until, found.last_error) == (
            attempts,
            None,
            None,
            "why",
        )


def test_a_person_may_try_a_parked_row_again(database: Database) -> None:
    put(database, ("query", "k"))
    [claimed] = claim(database, "query")
    settle(database, claimed, State.PARKED)
    assert claim(database, "query") == []

    with transaction(database) as session:
        store.reopen(session, claimed.id, now=NOW + timedelta(hours=1))

    assert [claimed.attempts for claimed in claim(database, "query", now=NOW + timedelta(hours=1))] == [1]


def test_a_person_may_look_at_one_row_and_drop_it(database: Database) -> None:
    put(database, ("query", "k"))

    with transaction(database) as session:
        found = store.row_by_id(session, row(database).id or 0)
        assert found is not None
        store.settle(session, found.id or 0, state=State.DROPPED, error="not needed", now=NOW)
        assert store.row_by_id(session, 4711) is None

    assert (row(database).state, row(database).last_error) == ("DROPPED", "not needed")
    assert claim(database, "query") == []


def test_waiting_rows_are_shown_oldest_first_and_others_newest_first(database: Database) -> None:
    put(database, *(("query", key) for key in "abcdef"))
    for claimed in claim(database, "query", limit=3):
        settle(database, claimed, State.PARKED)

    with reading(database) as session:
        assert [found.ordering_key for found in store.rows(session, state=State.WAITING)] == ["d", "e", "f"]
        assert [found.ordering_key for found in store.rows(session, state=State.PARKED, limit=2)] == ["c", "b"]
        assert [found.ordering_key for found in store.rows(session, state=None)] == list("fedcba")
        assert [found.ordering_key for found in store.rows(session, state=None, key="b")] == ["b"]


def test_the_depth_tells_what_waits_and_since_when(database: Database) -> None:
    with reading(database) as session:
        assert store.depth(session) == store.Depth(0, 0, None)

    put(database, ("query", "a"), now=NOW)
    put(database, ("query", "b"), ("query", "c"), now=NOW + timedelta(minutes=1))
    [first] = claim(database, "query", limit=1)
    settle(database, first, State.PARKED)

    with reading(database) as session:
        assert store.depth(session) == store.Depth(2, 1, NOW + timedelta(minutes=1))


def test_pruning_forgets_what_is_done_and_keeps_what_somebody_must_see(database: Database) -> None:
    put(database, *(("query", str(state)) for state in State))
    for claimed in claim(database, "query"):
        if claimed.ordering_key != State.WAITING:
            settle(database, claimed, State(claimed.ordering_key))

    with transaction(database) as session:
        store.prune(session, before=NOW)
    assert len(rows(database)) == 4, "what was settled at that moment is not older"

    with transaction(database) as session:
        store.prune(session, before=NOW + A_MOMENT)
    assert {found.state for found in rows(database)} == {"WAITING", "PARKED"}


def test_the_worker_is_woken_after_a_commit_that_enqueued(database: Database) -> None:
    woken: list[tuple[int, set[str]]] = []

    def hook(session: object) -> None:
        store.wake_after_commit(session, lambda kinds: woken.append((len(rows(database)), set(kinds))))  # type: ignore[arg-type]

    with transaction(database, [hook]) as session:
        store.enqueue(session, Query("k"), now=NOW)
        assert woken == []
    assert woken == [(1, {Query.KIND})]

    with transaction(database, [hook]):
        pass
    assert woken == [(1, {Query.KIND})], "nothing was enqueued"


def many(database: Database, count: int, *, per_key: int, due: timedelta = timedelta()) -> None:
    """Write rows as a long outage leaves them: several for each license."""
    table = table_of(OutboxRow)
    values = {"kind": "query", "payload": {"number": 0}, "state": "WAITING", "attempts": 0, "due_at": NOW + due}
    made = [{**values, "ordering_key": f"k{number // per_key}", "created_at": NOW} for number in range(count)]
    with transaction(database) as session:
        session.execute(table.insert(), made)


def steps_of_a_claim(database: Database) -> int:
    """Count what SQLite does for one claim, in steps of its machine: no clock is asked."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    with transaction(database) as session:
        raw = session.connection().connection.dbapi_connection
        assert raw is not None
        raw.set_progress_handler(count, 100)  # type: ignore[attr-defined]
        store.claim_due(session, "query", together=False, owner="me", lease=LEASE, limit=4, now=NOW)
        raw.set_progress_handler(None, 0)  # type: ignore[attr-defined]
        session.rollback()
    return steps


@pytest.mark.parametrize("per_key", [1, 4])
@pytest.mark.parametrize("due", [timedelta(), timedelta(minutes=5)], ids=["due", "not yet due"])
def test_a_claim_costs_the_same_however_many_rows_wait(sqlite_url: str, per_key: int, due: timedelta) -> None:
    database = open_database(sqlite_url)
    many(database, 2_000, per_key=per_key, due=due)
    few = steps_of_a_claim(database)
    many(database, 40_000, per_key=per_key, due=due)

    assert steps_of_a_claim(database) <= few * 2 + 50
    database.dispose()


def test_rows_put_aside_come_back_one_after_the_other(database: Database) -> None:
    many(database, 60, per_key=20)
    order: list[int] = []
    while claimed := claim(database, "query", limit=50):
        order += [found.id for found in claimed]
        for found in claimed:
            settle(database, found)

    assert len(order) == len(set(order)) == 60
    for first in range(0, 60, 20):
        key = sorted(order)[first : first + 20]
        assert [row_id for row_id in order if row_id in key] == key, "in the order of their ids"


def test_a_row_behind_one_that_was_dropped_or_parked_comes_back(database: Database) -> None:
    for state in (State.DROPPED, State.PARKED):
        put(database, ("query", state), ("query", state))
        [first] = claim(database, "query")
        assert claim(database, "query") == []

        settle(database, first, state)

        [second] = claim(database, "query")
        settle(database, second)
