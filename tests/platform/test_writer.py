"""The writer: many callers share a commit, each fails alone, and nobody is told of a success that is not on disk."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

import pytest
from sqlalchemy import event, text
from sqlmodel import Session

from licsrv.errors import ConflictError, StorageError
from licsrv.platform.db import Database, after_commit
from licsrv.platform.writer import Writer
from tests.platform.conftest import Log, write_row, written

SECONDS = 20


@pytest.fixture
def writer(database: Database) -> Iterator[Writer]:
    writer = Writer(database)
    yield writer
    writer.close()


class Barred:
    """A use case that holds its writer thread until it is let go."""

    def __init__(self) -> None:
        self.entered, self.let_go = threading.Event(), threading.Event()

    def __call__(self, session: Session) -> None:
        session.execute(text("SELECT 1"))
        self.entered.set()
        assert self.let_go.wait(SECONDS)

    async def wait_until_entered(self) -> None:
        assert await asyncio.to_thread(self.entered.wait, SECONDS)


@contextmanager
def counted(database: Database) -> Iterator[list[None]]:
    """Count the commits."""
    commits: list[None] = []

    def count(_: object) -> None:
        commits.append(None)

    event.listen(database.write, "commit", count)
    yield commits
    event.remove(database.write, "commit", count)


def writing(name: str) -> Callable[[Session], str]:
    return lambda session: write_row(session, name)


async def behind(writer: Writer, *use_cases: Callable[[Session], object]) -> list[object]:
    """Run use cases that all wait already when the writer turns to them."""
    barred = Barred()
    first = asyncio.create_task(writer.run(barred))
    await barred.wait_until_entered()
    rest = [asyncio.create_task(writer.run(use_case)) for use_case in use_cases]
    await asyncio.sleep(0)  # they are queued now
    barred.let_go.set()
    await first
    return await asyncio.gather(*rest, return_exceptions=True)


def kind(outcome: object) -> object:
    return type(outcome) if isinstance(outcome, BaseException) else outcome


async def test_a_value_comes_back_once_it_is_on_disk(writer: Writer, database: Database) -> None:
    assert await writer.run(writing("a")) == "a"
    assert written(database) == ["a"]


async def test_on_sqlite_all_who_wait_share_one_commit(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database, group=64)
    names = [f"n{number:02}" for number in range(40)]

    with counted(sqlite_database) as commits:
        outcomes = await behind(writer, *map(writing, names))

    assert outcomes == names
    assert len(commits) == 2, "one of the first, one of the forty behind it"
    assert written(sqlite_database) == names
    writer.close()


async def test_a_group_has_a_size(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database, group=8)

    with counted(sqlite_database) as commits:
        await behind(writer, *(writing(f"n{number}") for number in range(20)))

    assert len(commits) == 1 + 3
    writer.close()


async def order_of(writer: Writer, *, callers: int, background: int) -> list[str]:
    """Return in which order use cases are committed that all wait when the writer turns to them."""
    order: list[str] = []

    def noting(name: str) -> Callable[[Session], None]:
        def use_case(session: Session) -> None:
            write_row(session, name)
            after_commit(session, partial(order.append, name))

        return use_case

    barred = Barred()
    first = asyncio.create_task(writer.run(barred))
    await barred.wait_until_entered()
    late = [asyncio.create_task(writer.run(noting(f"late {n}"), is_background=True)) for n in range(background)]
    await asyncio.sleep(0)
    called = [asyncio.create_task(writer.run(noting(f"called {n}"))) for n in range(callers)]
    await asyncio.sleep(0)
    barred.let_go.set()
    await asyncio.gather(first, *late, *called)
    writer.close()
    return order


async def test_callers_come_before_the_background_and_only_a_few_of_it_to_a_group(sqlite_database: Database) -> None:
    with counted(sqlite_database) as commits:
        order = await order_of(Writer(sqlite_database), callers=10, background=10)

    assert order == [f"called {n}" for n in range(10)] + [f"late {n}" for n in range(10)]
    assert len(commits) == 4  # what was barred; ten calls and four, four, two


async def test_the_background_has_a_turn_between_callers_that_never_end(database: Database) -> None:
    order = await order_of(Writer(database, threads=1), callers=40, background=2)

    assert [place for place, name in enumerate(order) if name.startswith("late")] == [15, 32]


async def test_on_postgresql_each_has_a_commit_of_its_own(postgres_database: Database) -> None:
    writer = Writer(postgres_database, threads=1)

    with counted(postgres_database) as commits:
        await behind(writer, *(writing(f"n{number}") for number in range(10)))

    assert len(commits) == 11
    writer.close()


async def test_on_postgresql_transactions_run_side_by_side(postgres_database: Database) -> None:
    writer = Writer(postgres_database, threads=2)
    barred = Barred()
    first = asyncio.create_task(writer.run(barred))
    await barred.wait_until_entered()

    assert await writer.run(writing("a")) == "a", "the first one is still under way"

    barred.let_go.set()
    await first
    writer.close()


def refused(session: Session) -> None:
    write_row(session, "refused")
    raise ConflictError("No.")


def twice(session: Session) -> None:
    session.execute(text("INSERT INTO license_days (license_id, day) VALUES ('twice', '2026-03-01')"))
    session.execute(text("INSERT INTO license_days (license_id, day) VALUES ('twice', '2026-03-01')"))


def broken(session: Session) -> None:
    write_row(session, "broken")
    raise ZeroDivisionError


def misspelt(session: Session) -> None:
    session.execute(text("INSERT INTO license_days (license_id, day) VALUES ('misspelt', '2026-03-01')"))
    session.execute(text("INSERT INTO no_such_table VALUES (1)"))


FAILING = {"refusal": (refused, ConflictError), "rule of the database": (twice, StorageError),
           "anything": (broken, ZeroDivisionError), "statement": (misspelt, StorageError)}  # fmt: skip


@pytest.mark.parametrize("failure", FAILING)
async def test_a_use_case_that_fails_fails_alone(writer: Writer, database: Database, failure: str) -> None:
    failing, error = FAILING[failure]

    outcomes = await behind(writer, writing("a"), failing, writing("b"), failing, writing("c"))

    assert [kind(outcome) for outcome in outcomes] == ["a", error, "b", error, "c"]
    assert written(database) == ["a", "b", "c"]


async def test_what_the_database_refused_is_in_the_log_without_the_values(writer: Writer, log: Log) -> None:
    await writer.run(writing("secret-name"))

    with pytest.raises(StorageError):
        await writer.run(writing("secret-name"))

    [logged] = log.named("the database refused a transaction")
    assert "INSERT INTO license_days" in logged["statement"]
    assert "unique" in logged["said"].lower()
    assert "secret-name" not in log.text


async def test_one_of_two_that_want_the_same_gets_it(writer: Writer, database: Database) -> None:
    outcomes = await behind(writer, writing("a"), writing("a"), writing("b"))

    assert sorted(str(kind(outcome)) for outcome in outcomes) == [str(StorageError), "a", "b"]
    assert written(database) == ["a", "b"]


async def test_a_refusal_keeps_its_words(writer: Writer) -> None:
    with pytest.raises(ConflictError, match=r"^No\.$"):
        await writer.run(refused)


async def test_a_failing_hook_fails_everybody_and_commits_nothing(database: Database) -> None:
    def hook(session: Session) -> None:
        if session.execute(text("SELECT count(*) FROM license_days")).scalar():
            raise ZeroDivisionError

    writer = Writer(database, hooks=[hook])

    outcomes = await behind(writer, writing("a"), writing("b"), writing("c"))

    assert [kind(outcome) for outcome in outcomes] == [ZeroDivisionError] * 3
    assert written(database) == []
    writer.close()


async def test_hooks_may_come_later(database: Database) -> None:
    writer = Writer(database)
    writer.add_hooks([lambda session: void(write_row(session, "by the hook"))])

    await writer.run(writing("a"))

    assert written(database) == ["a", "by the hook"]
    writer.close()


def void(_: object) -> None:
    return None


async def test_what_follows_a_commit_follows_only_its_own(writer: Writer, database: Database) -> None:
    heard: list[object] = []

    def noting(name: str, *, fails: bool) -> Callable[[Session], None]:
        def use_case(session: Session) -> None:
            after_commit(session, lambda: heard.append((name, name in written(database))))
            write_row(session, name)
            if fails:
                raise ZeroDivisionError

        return use_case

    outcomes = await behind(writer, noting("a", fails=False), noting("b", fails=True), noting("c", fails=False))

    assert [kind(outcome) for outcome in outcomes] == [None, ZeroDivisionError, None]
    assert sorted(heard, key=str) == [("a", True), ("c", True)]


async def test_what_a_use_case_loaded_is_not_seen_by_the_next(sqlite_database: Database) -> None:
    writer = Writer(sqlite_database)

    left_over = await behind(writer, writing("a"), lambda session: len(list(session.identity_map.values())))

    assert left_over == ["a", 0]
    writer.close()


async def test_the_work_of_a_caller_that_went_away_is_done(writer: Writer, database: Database) -> None:
    barred = Barred()
    first = asyncio.create_task(writer.run(barred))
    await barred.wait_until_entered()
    gone = asyncio.create_task(writer.run(writing("gone")))
    await asyncio.sleep(0)

    gone.cancel()
    barred.let_go.set()
    await first
    await writer.run(writing("next"))

    assert gone.cancelled()
    await asyncio.to_thread(writer.close)
    assert written(database) == ["gone", "next"]


async def test_closing_finishes_what_was_accepted_and_refuses_the_rest(writer: Writer, database: Database) -> None:
    barred = Barred()
    first = asyncio.create_task(writer.run(barred))
    await barred.wait_until_entered()
    accepted = [asyncio.create_task(writer.run(writing(f"n{number}"))) for number in range(10)]
    await asyncio.sleep(0)

    closing = asyncio.create_task(asyncio.to_thread(writer.close))
    barred.let_go.set()
    await closing
    await asyncio.gather(first, *accepted)

    assert len(written(database)) == 10
    with pytest.raises(StorageError, match="stopping"):
        await writer.run(writing("late"))
    writer.close()
    assert "late" not in written(database)


async def test_a_deadlock_is_tried_again(postgres_database: Database) -> None:
    writer = Writer(postgres_database, threads=2)
    await writer.run(lambda session: [write_row(session, name) for name in ("a", "b")])
    both_hold_one = threading.Barrier(2)
    tries: list[str] = []

    def touching(first: str, second: str) -> Callable[[Session], str]:
        def use_case(session: Session) -> str:
            tries.append(first)
            lock(session, first)
            if tries.count(first) == 1:
                both_hold_one.wait(SECONDS)
            lock(session, second)
            return first

        return use_case

    outcomes = await asyncio.gather(writer.run(touching("a", "b")), writer.run(touching("b", "a")))

    assert list(outcomes) == ["a", "b"]
    assert len(tries) > 2, "one of them was given up by the database and ran again"
    writer.close()


def lock(session: Session, name: str) -> None:
    session.execute(text("SELECT 1 FROM license_days WHERE license_id = :name FOR UPDATE"), {"name": name})


async def test_an_event_loop_that_ends_ends_nobody_elses_work(writer: Writer, database: Database) -> None:
    barred = Barred()
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda *_: None)

    def leave() -> None:
        task = loop.create_task(writer.run(barred))
        loop.run_until_complete(barred.wait_until_entered())
        task.cancel()
        loop.run_until_complete(asyncio.gather(task, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()

    await asyncio.to_thread(leave)
    barred.let_go.set()

    assert await writer.run(writing("a")) == "a"
    assert written(database) == ["a"]


async def test_many_callers_at_once_all_get_their_own_answer(writer: Writer, database: Database) -> None:
    names = [f"n{number:03}" for number in range(300)]

    outcomes = await asyncio.gather(*(writer.run(writing(name)) for name in names))

    assert outcomes == names
    assert written(database) == names
