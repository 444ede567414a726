from __future__ import annotations

import queue
import threading
from functools import partial

import pytest

from client_stub.machine.threads import OrderedThread

PATIENCE = 10.0


def test_tasks_run_in_their_order_on_one_thread() -> None:
    done: list[tuple[int, str]] = []
    finished = threading.Event()
    thread = OrderedThread("ordered")

    def task(number: int) -> None:
        done.append((number, threading.current_thread().name))

    for number in range(100):
        thread.post(partial(task, number))
    thread.post(finished.set)

    thread.start()

    assert finished.wait(PATIENCE)
    assert done == [(number, "ordered") for number in range(100)]
    thread.stop(PATIENCE)


def test_stopping_drops_what_has_not_begun_and_waits_for_what_has() -> None:
    begun, may_end, ended, later = (threading.Event() for _ in range(4))
    thread = OrderedThread("ordered")

    def take_long() -> None:
        begun.set()
        may_end.wait(PATIENCE)
        ended.set()

    thread.post(take_long)
    thread.post(later.set)
    thread.start()
    assert begun.wait(PATIENCE)

    thread.stop(0.0)
    may_end.set()
    thread.stop(PATIENCE)

    assert ended.is_set()
    assert not later.is_set()


def test_a_task_may_stop_its_own_thread_and_knows_that_it_is_its_own() -> None:
    answers: queue.Queue[bool] = queue.Queue()
    thread = OrderedThread("ordered")

    def stop() -> None:
        thread.stop(PATIENCE)
        answers.put(thread.is_current)

    thread.post(stop)
    thread.start()

    assert answers.get(timeout=PATIENCE) is True
    assert not thread.is_current


def test_a_task_that_raises_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    thread = OrderedThread("ordered")
    thread.post(lambda: 1 // 0)
    thread.post(done.set)

    thread.start()

    assert done.wait(PATIENCE)
    assert "a task of the thread ordered failed" in caplog.text
    thread.stop(PATIENCE)
