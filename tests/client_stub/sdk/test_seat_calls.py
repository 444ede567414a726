"""The calls about seats and their events, over a real thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventType
from client_stub.session.transport import DirectTransport
from client_stub.trust.errors import NeedsSeatError
from client_stub.trust.verdict import Reason
from client_stub.trust.verification import verify_license
from tests.client_stub.fake_seats import FakeSeats
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.host_program import Program
from tests.client_stub.signing import DEVICE, NOW, Vendor, dev_claim

DAY = timedelta(days=1)
Make = Callable[[], tuple[SdkInvoker, Program]]


@pytest.fixture
def seats(server: FakeServer, vendor: Vendor, clock: FakeClock) -> FakeSeats:
    seats = FakeSeats(vendor, clock.now)
    server.license_changes = {"dev": dev_claim() | {"v": 2, "f": 1}}
    server.on_ask = lambda path, body: seats.answer(path.removeprefix("seats/"), body)
    return seats


@pytest.fixture
def make(configuration: Configuration, server: FakeServer, clock: FakeClock) -> Iterator[Make]:
    """Make a program that has its license, and no seat yet."""
    made: list[SdkInvoker] = []

    def invoker() -> tuple[SdkInvoker, Program]:
        program = Program()
        transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
        settings = replace(configuration, first_heartbeat_within=DAY)
        made.append(SdkInvoker(settings, transport=transport, clock=clock, uniform=lambda _, high: high))
        made[-1].IscdeskFactory().Init()
        made[-1].RegisterEventRecall(program, Program.EventRecall)
        made[-1].GetLicenseStringRequest(DEVICE)
        assert program.next_status() == "success"
        return made[-1], program

    yield invoker
    for one in made:
        one.ShutOut()


def result(program: Program) -> dict[str, Any]:
    event, parameters = program.next_event()
    assert event is EventType.EVENT_SEAT_RESULT
    return parameters


def test_a_seat_is_taken_borrowed_and_returned(make: Make, seats: FakeSeats, configuration: Configuration) -> None:
    invoker, program = make()
    assert invoker.verdict.reason is Reason.NO_SEAT
    assert not invoker.has_feature("draw")

    assert invoker.CheckOut("ann") is ResultStatus.SUCCESS
    until = (NOW + timedelta(minutes=15)).isoformat()
    assert result(program) == {"status": "success", "action": "checkout", "until": until, "code": ""}
    assert invoker.has_feature("draw")
    assert invoker.Borrow(NOW + DAY) is ResultStatus.SUCCESS
    assert result(program) == {
        "status": "success",
        "action": "borrow",
        "until": (NOW + DAY).isoformat(),
        "code": "",
    }
    assert invoker.seat is not None
    assert invoker.seat.is_borrowed
    assert invoker.Return() is ResultStatus.SUCCESS
    assert result(program) == {"status": "success", "action": "return", "until": "", "code": ""}
    assert invoker.verdict.reason is Reason.NO_SEAT
    assert seats.live() == []
    assert program.heard.empty()  # a call has one event


def test_a_seat_that_ended_while_the_computer_slept_is_renewed_at_once(
    make: Make, seats: FakeSeats, clock: FakeClock
) -> None:
    invoker, program = make()
    invoker.CheckOut()
    result(program)
    invoker._session.note_awake()

    clock.pass_time(timedelta(minutes=20))  # the threads wait for real minutes, which do not pass
    assert not invoker.verdict.is_allowed

    assert result(program)["status"] == "success"
    assert invoker.verdict.is_allowed
    assert [action for action, _ in seats.asked] == ["checkout", "renew"]


def test_a_refused_seat_says_why(make: Make, seats: FakeSeats) -> None:
    seats.seats = 1
    make()[0].CheckOut()
    invoker, program = make()

    invoker.CheckOut()

    assert result(program) == {"status": "failed", "action": "checkout", "until": "", "code": "NO_SEAT_FREE"}
    assert invoker.seat_problem is not None
    assert invoker.seat_problem.details["seats"] == 1


def test_a_program_that_closes_gives_its_seat_back_but_not_a_borrowed_one(
    make: Make, seats: FakeSeats, server: FakeServer
) -> None:
    (one, one_heard), (other, other_heard) = make(), make()
    one.CheckOut()
    result(one_heard)
    other.CheckOut()
    result(other_heard)
    other.Borrow(NOW + DAY)
    result(other_heard)

    one.ShutOut()
    other.ShutOut()

    assert [held.is_borrowed for held in seats.live()] == [True]
    server.is_down = True
    again, _ = make()
    assert again.verdict.is_allowed


def test_a_license_that_the_program_refuses_gives_its_seat_back(make: Make, seats: FakeSeats) -> None:
    invoker, program = make()
    invoker.CheckOut()
    result(program)

    invoker.LicenseVerifyNotify(False, "not for this module")

    assert result(program)["action"] == "return"
    assert seats.live() == []


def test_a_product_that_is_not_floating_any_more_gets_its_text_at_once(
    make: Make, seats: FakeSeats, server: FakeServer
) -> None:
    invoker, program = make()
    server.license_changes = {"jti": "ls_2"}
    seats.refuse["checkout"] = problem(409, "NOT_FLOATING")

    invoker.CheckOut()

    assert result(program)["code"] == "NOT_FLOATING"
    assert program.next_event()[0] is EventType.EVENT_LICENSE_CHANGED
    assert invoker.verdict.is_allowed


def test_calls_that_cannot_be_meant_are_refused_at_once(make: Make, seats: FakeSeats) -> None:
    invoker, _ = make()
    nothing: Any = None

    assert invoker.CheckOut("x" * 101) is ResultStatus.INVALID_ARGUMENT
    assert invoker.CheckOut(nothing) is ResultStatus.INVALID_ARGUMENT
    assert invoker.Borrow(NOW.replace(tzinfo=None)) is ResultStatus.INVALID_ARGUMENT
    assert invoker.Borrow(nothing) is ResultStatus.INVALID_ARGUMENT
    invoker.ShutOut()
    assert invoker.CheckOut() is ResultStatus.SHUT_OUT
    assert seats.asked == []


def test_without_a_license_server_there_are_no_seats(configuration: Configuration, clock: FakeClock) -> None:
    settings = replace(configuration, server_url="", iscdesk_url="http://127.0.0.1:9")
    invoker = SdkInvoker(settings, clock=clock)
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(lambda *_: None)

    assert invoker.CheckOut() is ResultStatus.NOT_AVAILABLE
    assert invoker.last_problem is not None
    invoker.ShutOut()


def test_a_program_that_verifies_says_that_it_takes_seats(make: Make, seats: FakeSeats, vendor: Vendor) -> None:
    invoker, _ = make()
    text, keys = invoker._session.license_string, invoker._configuration.keys

    believed = verify_license(text, keys, device_info=DEVICE, now=NOW, takes_seats=True)

    assert believed.is_floating
    with pytest.raises(NeedsSeatError, match="each running program needs a seat"):
        verify_license(text, keys, device_info=DEVICE, now=NOW)
