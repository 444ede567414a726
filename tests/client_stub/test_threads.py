from __future__ import annotations

import threading

from client_stub.threads import OrderedThread

PATIENCE = 10.0


def test_tasks_run_in_their_order_on_one_thread() -> None:
    done: list[tuple[int, str]] = []
    finished = threading.Event()
    thread = OrderedThread("ordered")
    for number in range(100):
        thread.post(lambda number=number: done.append((number, threading.current_thread().name)))
    thread.post(finished.set)

    thread.start()

    assert finished.wait(PATIENCE)
    assert done == [(number, "ordered") for number in range(100)]
    thread.stop(PATIENCE)


def test_stopping_drops_what_has_not_begun_and_waits_for_what_has() -> None:
    begun, may_end, ended, later = (threading.Event() for _ in range(4))
    thread = OrderedThread("ordered")
    thread.post(lambda: (begun.set(), may_end.wait(PATIENCE), ended.set()))
    thread.post(later.set)
    thread.start()
    assert begun.wait(PATIENCE)

    thread.stop(0.0)
    may_end.set()
    thread.stop(PATIENCE)

    assert ended.is_set()
    assert not later.is_set()


def test_a_task_may_stop_its_own_thread() -> None:
    stopped = threading.Event()
    thread = OrderedThread("ordered")
    thread.post(lambda: (thread.stop(PATIENCE), stopped.set()))

    thread.start()

    assert stopped.wait(PATIENCE)


def test_a_thread_knows_whether_it_is_asked_from_inside() -> None:
    answers: list[bool] = []
    asked = threading.Event()
    thread = OrderedThread("ordered")
    thread.post(lambda: (answers.append(thread.is_current), asked.set()))
    thread.start()

    assert asked.wait(PATIENCE)
    assert answers == [True]
    assert not thread.is_current
    thread.stop(PATIENCE)
