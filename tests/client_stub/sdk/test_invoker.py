"""The SDK as a program sees it. The threads are real; nothing waits longer than an event takes to arrive."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest

from client_stub.machine.threads import Alarm
from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventType, LicenseType
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport, FetchedList, IssuedString, VersionAnswer, VersionQuestion
from client_stub.trust.verdict import Reason, Verdict
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.host_program import PATIENCE, Program
from tests.client_stub.signing import DEVICE, Vendor


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def make(configuration: Configuration, server: FakeServer, clock: FakeClock) -> Iterator[Callable[[], SdkInvoker]]:
    made: list[SdkInvoker] = []

    def invoker() -> SdkInvoker:
        transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
        far_off = replace(configuration, first_heartbeat_within=timedelta(days=1))
        made.append(SdkInvoker(far_off, transport=transport, clock=clock, uniform=lambda _, high: high))
        return made[-1]

    yield invoker
    for one in made:
        one.ShutOut()


@pytest.fixture
def invoker(make: Callable[[], SdkInvoker], program: Program) -> SdkInvoker:
    """An invoker that is initialised and has a listener."""
    made = make()
    made.IscdeskFactory().Init()
    made.RegisterEventRecall(program, Program.EventRecall)
    return made


OTHER_CALLS: list[Callable[[SdkInvoker], ResultStatus]] = [
    lambda invoker: invoker.GetLicenseFileRequest("", DEVICE),
    lambda invoker: invoker.GetLicenseFileRequest("../unsafe", DEVICE),
    lambda invoker: invoker.TrialExpirationAndGetLicense(LicenseType.LICENSE_TYPE_FILE, DEVICE, ""),
    lambda invoker: invoker.CheckNewVersions(),
    lambda invoker: invoker.UpgradeNotify(True),
    lambda invoker: invoker.OpenCloudFile(),
    lambda invoker: invoker.Save("flange.dwg"),
    lambda invoker: invoker.Save(""),
    lambda invoker: invoker.SelectSaveAsPath("flange.dwg"),
    lambda invoker: invoker.GetSolution("flange.dwg"),
]


# -- order of calls ------------------------------------------------------------------------------------------------


def test_calls_before_init_are_refused(make: Callable[[], SdkInvoker], program: Program) -> None:
    invoker = make()

    assert invoker.RegisterEventRecall(program, Program.EventRecall) is ResultStatus.NOT_INITIALISED
    assert invoker.GetLicenseStringRequest(DEVICE) is ResultStatus.NOT_INITIALISED
    assert invoker.LicenseVerifyNotify(True, "") is ResultStatus.NOT_INITIALISED
    assert all(call(invoker) is ResultStatus.NOT_INITIALISED for call in OTHER_CALLS)
    assert invoker.ShutOut() is ResultStatus.NOT_INITIALISED
    assert invoker.IscdeskFactory().Init() is ResultStatus.SUCCESS


def test_init_can_be_called_twice(make: Callable[[], SdkInvoker]) -> None:
    invoker = make()

    assert invoker.IscdeskFactory().Init() is ResultStatus.SUCCESS
    assert invoker.IscdeskFactory().Init() is ResultStatus.SUCCESS


def test_a_request_without_a_listener_is_refused(make: Callable[[], SdkInvoker], server: FakeServer) -> None:
    invoker = make()
    invoker.IscdeskFactory().Init()

    assert invoker.GetLicenseStringRequest(DEVICE) is ResultStatus.NO_EVENT_RECALL
    assert server.requests == []


def test_calls_after_shut_out_are_refused(invoker: SdkInvoker, program: Program) -> None:
    assert invoker.ShutOut() is ResultStatus.SUCCESS

    assert invoker.ShutOut() is ResultStatus.SUCCESS
    assert invoker.IscdeskFactory().Init() is ResultStatus.SHUT_OUT
    assert invoker.RegisterEventRecall(program, Program.EventRecall) is ResultStatus.SHUT_OUT
    assert invoker.GetLicenseStringRequest(DEVICE) is ResultStatus.SHUT_OUT
    assert invoker.LicenseVerifyNotify(True, "") is ResultStatus.SHUT_OUT
    assert all(call(invoker) is ResultStatus.SHUT_OUT for call in OTHER_CALLS)


@pytest.mark.parametrize(
    "arguments",
    [
        lambda program: (program, Program.EventRecall),
        lambda program: (program, program.EventRecall),
        lambda program: (program, "EventRecall"),
        lambda program: (program.EventRecall,),
        lambda program: (partial(Program.EventRecall, program),),
    ],
    ids=["as the SDK", "object and bound method", "name", "bound method", "any callable"],
)
def test_a_listener_is_registered_in_any_of_these_ways(
    make: Callable[[], SdkInvoker], program: Program, arguments: Callable[[Program], tuple[Any, ...]]
) -> None:
    invoker = make()
    invoker.IscdeskFactory().Init()

    assert invoker.RegisterEventRecall(*arguments(program)) is ResultStatus.SUCCESS

    invoker.GetLicenseStringRequest(DEVICE)
    assert program.next_status() == "success"


@pytest.mark.parametrize("arguments", [("text",), (None,), (object(), "missing"), (object(), 7), ("text", "__doc__")])
def test_what_cannot_be_called_is_no_listener(invoker: SdkInvoker, arguments: tuple[Any, ...]) -> None:
    assert invoker.RegisterEventRecall(*arguments) is ResultStatus.INVALID_ARGUMENT


# -- licenses ------------------------------------------------------------------------------------------------------


def test_a_license_arrives_as_an_event(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    assert invoker.GetLicenseStringRequest(DEVICE) is ResultStatus.SUCCESS

    event, message, thread = program.heard.get(timeout=PATIENCE)
    assert event is EventType.EVENT_LICENSE_VERIFY
    assert message == {
        "operate": "LicenseVerify",
        "params": {
            "Status": "success",
            "LicenseContent": server.vendor.license_string(),
            "LicenseType": "string",
        },
        "comeBackParams": {},
    }
    assert thread == "license-events"
    assert invoker.LicenseVerifyNotify(True, "") is ResultStatus.SUCCESS
    assert invoker.verdict.is_allowed


def test_the_call_returns_before_the_server_answers(
    invoker: SdkInvoker, program: Program, server: FakeServer, vendor: Vendor
) -> None:
    may_answer = threading.Event()

    def answer_later(_: dict[str, object]) -> httpx2.Response:
        assert may_answer.wait(PATIENCE)
        return httpx2.Response(200, json={"license_string": vendor.license_string()})

    server.on_string = answer_later

    assert invoker.GetLicenseStringRequest(DEVICE) is ResultStatus.SUCCESS
    assert program.heard.empty()
    may_answer.set()
    assert program.next_status() == "success"


def test_a_refusal_arrives_as_an_event_and_is_explained_aside(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    server.on_string = lambda _: problem(409, "DEVICE_LIMIT_REACHED", action="Free a place.", limit=1)

    invoker.GetLicenseStringRequest(DEVICE)

    _, message, _ = program.heard.get(timeout=PATIENCE)
    assert message == {
        "operate": "LicenseVerify",
        "params": {"Status": "failed", "LicenseContent": "", "LicenseType": "string"},
        "comeBackParams": {},
    }
    assert invoker.last_problem is not None
    assert (invoker.last_problem.code, invoker.last_problem.action) == ("DEVICE_LIMIT_REACHED", "Free a place.")
    assert invoker.last_problem.details == {"limit": 1}


def test_a_license_that_was_refused_comes_into_use_when_the_server_hands_it_out(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    verdicts: queue.SimpleQueue[Verdict] = queue.SimpleQueue()
    server.on_string = lambda _: problem(409, "DEVICE_LIMIT_REACHED")
    invoker.GetLicenseStringRequest(DEVICE)
    program.heard.get(timeout=PATIENCE)
    server.on_string = None
    invoker.on_verdict(verdicts.put)

    assert invoker.check_in_now()

    while not (verdict := verdicts.get(timeout=PATIENCE)).is_allowed:
        assert verdict.reason is Reason.REFUSED  # of the check-in that began before
        invoker.check_in_now()
    assert invoker.verdict.is_allowed


def test_events_come_in_the_order_of_the_requests(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    answers = iter([200, 404, 200, 404, 200, 404])

    def alternate(_: dict[str, object]) -> httpx2.Response:
        if next(answers) == 404:
            return problem(404, "LICENSE_NOT_FOUND")
        return httpx2.Response(200, json={"license_string": server.vendor.license_string()})

    server.on_string = alternate
    for _ in range(6):
        invoker.GetLicenseStringRequest(DEVICE)

    assert [program.next_status() for _ in range(6)] == ["success", "failed"] * 3


def test_a_bug_behind_the_call_still_ends_in_an_event(
    configuration: Configuration, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    class BrokenTransport:
        def request_license(self, device_info: str, nonce: str) -> IssuedString:
            raise ZeroDivisionError

        def request_license_file(self, device_info: str, nonce: str, file_name: str) -> bytes:
            raise ZeroDivisionError

        def fetch_revocations(self, since: int, etag: str) -> FetchedList | None:
            raise ZeroDivisionError

        def check_version(self, question: VersionQuestion, license_string: str) -> VersionAnswer:
            raise ZeroDivisionError

        def send_heartbeat(self, license_string: str, device_info: str, nonce: str, *, link: str = "") -> str:
            raise ZeroDivisionError

        def close(self) -> None:
            """Nothing is open."""

    invoker = SdkInvoker(configuration, transport=BrokenTransport())
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(program, Program.EventRecall)

    invoker.GetLicenseStringRequest(DEVICE)

    assert program.next_status() == "failed"
    invoker.GetLicenseFileRequest("", DEVICE)
    assert program.next_event()[1] == {"Status": "failed", "LicenseFilePath": "", "LicenseType": "file"}
    invoker.CheckNewVersions()
    assert program.next_event()[1] == {"available": "false"}
    assert "unexpected error" in caplog.text
    invoker.ShutOut()


def test_a_program_that_refuses_the_license_stops_it(invoker: SdkInvoker, program: Program) -> None:
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_status()

    assert invoker.LicenseVerifyNotify(False, "not for this edition") is ResultStatus.SUCCESS

    assert invoker.verdict.reason is Reason.REJECTED_BY_PROGRAM
    assert not invoker.check_in_now()


# -- check-ins -----------------------------------------------------------------------------------------------------


def test_check_ins_begin_with_the_license_and_are_reported(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    verdicts: queue.Queue[Verdict] = queue.Queue()
    invoker.on_verdict(verdicts.put)
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_status()
    server.lease_changes = {"status": "REVOKED"}

    assert invoker.check_in_now()

    assert verdicts.get(timeout=PATIENCE).reason is Reason.REVOKED
    assert invoker.lease is not None
    assert not invoker.verdict.is_allowed


def test_no_check_in_begins_before_there_is_a_license(invoker: SdkInvoker) -> None:
    assert not invoker.check_in_now()


def test_the_first_check_in_comes_by_itself(
    configuration: Configuration, server: FakeServer, clock: FakeClock, program: Program
) -> None:
    transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
    invoker = SdkInvoker(configuration, transport=transport, clock=clock, uniform=lambda low, _: low)
    reported = threading.Event()
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(program.EventRecall)
    invoker.on_verdict(lambda _: reported.set())

    invoker.GetLicenseStringRequest(DEVICE)

    assert reported.wait(PATIENCE)
    invoker.ShutOut()
    assert invoker.lease is not None


# -- callbacks that misbehave --------------------------------------------------------------------------------------


def test_shut_out_inside_the_callback_is_refused_instead_of_deadlocking(
    invoker: SdkInvoker, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    answers: queue.Queue[ResultStatus] = queue.Queue()
    invoker.RegisterEventRecall(lambda event, message: answers.put(invoker.ShutOut()))

    invoker.GetLicenseStringRequest(DEVICE)

    assert answers.get(timeout=PATIENCE) is ResultStatus.FORBIDDEN_IN_CALLBACK
    assert "forbidden" in caplog.text
    invoker.RegisterEventRecall(program, "EventRecall")
    invoker.GetLicenseStringRequest(DEVICE)
    assert program.next_status() == "success"
    assert invoker.ShutOut() is ResultStatus.SUCCESS


def test_a_callback_that_raises_does_not_silence_the_next_event(
    invoker: SdkInvoker, program: Program, caplog: pytest.LogCaptureFixture
) -> None:
    failed = threading.Event()

    def fail(event: EventType, message: str) -> None:
        failed.set()
        raise ValueError("the program's own bug")

    invoker.RegisterEventRecall(fail)
    invoker.GetLicenseStringRequest(DEVICE)
    assert failed.wait(PATIENCE)
    invoker.RegisterEventRecall(program, "EventRecall")

    invoker.GetLicenseStringRequest(DEVICE)

    assert program.next_status() == "success"
    assert "a task of the thread license-events failed" in caplog.text


def test_a_callback_may_ask_again(invoker: SdkInvoker, program: Program) -> None:
    asked: list[ResultStatus] = []

    def ask_again(event: EventType, message: str) -> None:
        if not asked:
            asked.append(invoker.GetLicenseStringRequest(DEVICE))
        program.EventRecall(event, message)

    invoker.RegisterEventRecall(ask_again)
    invoker.GetLicenseStringRequest(DEVICE)

    assert [program.next_status(), program.next_status()] == ["success", "success"]
    assert asked == [ResultStatus.SUCCESS]


def test_an_answer_that_comes_during_shut_out_is_no_event(
    configuration: Configuration, server: FakeServer, program: Program
) -> None:
    asked, shutting_out = threading.Event(), threading.Event()

    class TellingAlarm(Alarm):
        """Rung by ShutOut before it stops the other threads; lets the answer pass through them first."""

        def ring(self) -> None:
            super().ring()
            passed = threading.Event()
            shutting_out.set()
            client._requests.post(lambda: client._events.post(passed.set))
            assert passed.wait(PATIENCE)

    def answer_late(_: dict[str, object]) -> httpx2.Response:
        asked.set()
        assert shutting_out.wait(PATIENCE)
        return problem(404, "LICENSE_NOT_FOUND")

    transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle))
    client = SdkInvoker(configuration, transport=transport, clock=FakeClock(), alarm=TellingAlarm())
    client.IscdeskFactory().Init()
    client.RegisterEventRecall(program.EventRecall)
    client.GetLicenseStringRequest(DEVICE)
    assert program.next_status() == "success"
    server.on_string = answer_late
    client.GetLicenseStringRequest(DEVICE)
    assert asked.wait(PATIENCE)

    client.ShutOut()

    assert program.heard.empty()


def test_shut_out_leaves_no_thread_behind(make: Callable[[], SdkInvoker], program: Program) -> None:
    before = set(threading.enumerate())  # a slow answer of another test may still be under way
    invoker = make()
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(program, Program.EventRecall)
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_status()

    invoker.ShutOut()

    left = set(threading.enumerate()) - before
    assert not [thread.name for thread in left if thread.name.startswith("license-")]


def test_logs_name_neither_code_nor_device_nor_license(
    invoker: SdkInvoker, program: Program, server: FakeServer, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level("DEBUG")
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_status()
    server.is_down = True
    invoker.GetLicenseStringRequest("no device")
    program.next_status()
    invoker.ShutOut()

    secrets = ("PL0001", "BRD-9", server.vendor.license_string())
    assert not any(secret in caplog.text for secret in secrets)


def test_the_session_is_the_invokers_own(make: Callable[[], SdkInvoker]) -> None:
    one, other = make(), make()

    assert isinstance(one._session, LicenseSession)
    assert one._session is not other._session
