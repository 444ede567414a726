"""The SDK with ISCDesk behind it: the same calls, the same events, the same verdict."""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from client_stub.machine.threads import Alarm
from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.sdk.iscdesk_poll import IscdeskPoll
from client_stub.sdk.iscdesk_transport import IscdeskEvent, IscdeskTransport
from client_stub.session import events
from client_stub.session.configuration import Configuration
from client_stub.session.connection import UnansweredError
from client_stub.session.events import EventType, LicenseType
from client_stub.session.problems import Problem
from client_stub.session.transport import DirectTransport
from client_stub.trust.verdict import Reason, Verdict
from tests.client_stub.fakes import FakeClock, FakeIscdesk, FakeServer
from tests.client_stub.host_program import PATIENCE, Program
from tests.client_stub.signing import DEVICE, Vendor

Make = Callable[..., SdkInvoker]
STRING, FILE = LicenseType.LICENSE_TYPE_STRING, LicenseType.LICENSE_TYPE_FILE


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def iscdesk(vendor: Vendor) -> FakeIscdesk:
    """An ISCDesk whose merchant grants every application at once."""
    desk = FakeIscdesk()

    def grant(body: dict[str, object]) -> None:
        if body["kind"] == "file":
            text = events.license_file_arrived("license.lic")
            desk.happen("EVENT_LICENSE_VERIFY", text, vendor.license_file(), name="../../evil.lic")
        else:
            desk.happen("EVENT_LICENSE_VERIFY", events.license_arrived(vendor.license_string()))

    desk.on_apply = grant
    return desk


@pytest.fixture
def make(
    configuration: Configuration, iscdesk: FakeIscdesk, server: FakeServer, clock: FakeClock, program: Program
) -> Iterator[Make]:
    made: list[SdkInvoker] = []

    def invoker(**changes: Any) -> SdkInvoker:
        at_desk: dict[str, Any] = {"server_url": "", "iscdesk_url": "http://127.0.0.1:8001", "code": "RA0001"}
        changed = replace(configuration, **(at_desk | {"first_heartbeat_within": timedelta(days=1)} | changes))
        made.append(
            SdkInvoker(
                changed,
                transport=DirectTransport(changed, transport=httpx2.MockTransport(server.handle), clock=clock),
                iscdesk=IscdeskTransport(changed, transport=httpx2.MockTransport(iscdesk.handle)),
                clock=clock,
                uniform=lambda _, high: high,
            )
        )
        made[-1].IscdeskFactory().Init()
        made[-1].RegisterEventRecall(program, Program.EventRecall)
        return made[-1]

    yield invoker
    for one in made:
        one.ShutOut()


def test_a_string_comes_through_iscdesk(make: Make, program: Program, iscdesk: FakeIscdesk, vendor: Vendor) -> None:
    invoker = make()

    assert invoker.GetLicenseStringRequest(DEVICE) is ResultStatus.SUCCESS

    assert program.next_event()[0] is EventType.EVENT_LICENSE_VERIFY
    assert program.texts == [events.license_arrived(vendor.license_string())]
    assert invoker.verdict.is_allowed
    assert [invoker.has_feature(name) for name in ("draw", "print")] == [True, False]
    assert iscdesk.bodies("licenses") == [{"kind": "string", "device_info": DEVICE, "file_name": ""}]


def test_iscdesk_hears_the_install_identity_of_a_weak_machine(
    make: Make, program: Program, iscdesk: FakeIscdesk
) -> None:
    invoker = make()

    invoker.GetLicenseStringRequest("|||CPU-1")

    program.next_event()
    assert re.fullmatch(r"\|INSTALL-[0-9A-F]{32}\|\|CPU-1", invoker.device_info)
    assert iscdesk.bodies("licenses") == [{"kind": "string", "device_info": invoker.device_info, "file_name": ""}]


def test_a_file_comes_through_iscdesk_and_goes_where_it_was_asked_for(
    make: Make, program: Program, vendor: Vendor, tmp_path: Path
) -> None:
    invoker = make(license_folder=tmp_path / "folder")

    invoker.GetLicenseFileRequest("cad.lic", DEVICE)

    path = tmp_path / "folder" / "cad.lic"
    assert program.next_event()[1] == {"Status": "success", "LicenseFilePath": str(path), "LicenseType": "file"}
    assert path.read_bytes() == vendor.license_file()
    assert [found.name for found in tmp_path.rglob("*.lic")] == ["cad.lic"]
    assert invoker.verdict.is_allowed


def test_the_programs_own_verdict_is_passed_on(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    invoker = make()
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()

    invoker.LicenseVerifyNotify(False, "not for this edition")

    iscdesk.happen("EVENT_UPGRADENOTICE", events.upgrade_notice(available=False))
    program.next_event()  # what is asked later is answered later
    assert iscdesk.bodies("verdicts") == [{"result": False, "error": "not for this edition"}]
    assert invoker.verdict.reason is Reason.REJECTED_BY_PROGRAM


def test_a_verdict_told_right_before_the_end_still_arrives(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    invoker = make()
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()

    invoker.LicenseVerifyNotify(False, "no")
    invoker.ShutOut()

    assert iscdesk.bodies("verdicts") == [{"result": False, "error": "no"}]
    assert iscdesk.sessions == set()


@pytest.mark.parametrize("kind", [STRING, FILE])
def test_a_failure_is_passed_on_and_explained_aside(
    make: Make, program: Program, iscdesk: FakeIscdesk, kind: LicenseType
) -> None:
    failed = events.license_failed(kind)
    iscdesk.on_apply = lambda _: iscdesk.happen("EVENT_LICENSE_VERIFY", failed)
    invoker = make()

    invoker.TrialExpirationAndGetLicense(kind, DEVICE, "")

    program.next_event()
    assert program.texts == [failed]
    assert invoker.last_problem is not None
    assert invoker.last_problem.code == "LICENSE_NOT_GRANTED"
    assert not invoker.verdict.is_allowed


def test_a_failure_does_not_take_the_stored_license_out_of_use(
    make: Make, program: Program, iscdesk: FakeIscdesk
) -> None:
    invoker = make()
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()
    iscdesk.on_apply = lambda _: iscdesk.happen("EVENT_LICENSE_VERIFY", events.license_failed())

    invoker.GetLicenseStringRequest(DEVICE)

    assert program.next_status() == "failed"
    assert invoker.verdict.is_allowed


def test_iscdesks_word_is_passed_on_unverified_but_the_verdict_does_not_rest_on_it(
    make: Make, program: Program, iscdesk: FakeIscdesk
) -> None:
    stranger = events.license_arrived(Vendor().license_string())
    iscdesk.on_apply = lambda _: iscdesk.happen("EVENT_LICENSE_VERIFY", stranger)
    invoker = make()

    invoker.GetLicenseStringRequest(DEVICE)

    program.next_event()
    assert program.texts == [stranger]
    assert not invoker.verdict.is_allowed
    assert invoker.last_problem is not None
    assert invoker.last_problem.code == "UNKNOWN_KEY"


def test_an_iscdesk_that_does_not_run_is_survived_with_the_stored_license(
    make: Make, program: Program, iscdesk: FakeIscdesk, vendor: Vendor
) -> None:
    first = make()
    first.GetLicenseStringRequest(DEVICE)
    program.next_event()
    first.ShutOut()
    iscdesk.is_down = True

    second = make()
    second.GetLicenseStringRequest(DEVICE)

    assert program.next_event()[1]["LicenseContent"] == vendor.license_string()
    assert second.last_problem is not None
    assert second.last_problem.code == "ISCDESK_UNREACHABLE"
    assert second.verdict.is_allowed


def test_a_file_is_used_again_while_iscdesk_does_not_run(
    make: Make, program: Program, iscdesk: FakeIscdesk, tmp_path: Path
) -> None:
    first = make(license_folder=tmp_path)
    first.GetLicenseFileRequest("", DEVICE)
    program.next_event()
    first.ShutOut()
    iscdesk.is_down = True
    (tmp_path / "license.lic").unlink()

    make(license_folder=tmp_path).GetLicenseFileRequest("", DEVICE)

    assert program.next_event()[1]["LicenseFilePath"] == str(tmp_path / "license.lic")
    assert (tmp_path / "license.lic").exists()


def test_without_iscdesk_and_store_there_is_a_failure(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    iscdesk.is_down = True

    make().GetLicenseStringRequest(DEVICE)

    assert program.next_status() == "failed"


def test_a_device_text_that_cannot_be_read_is_not_sent(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    invoker = make()

    invoker.GetLicenseFileRequest("", "no device")

    assert program.next_event()[1] == {"Status": "failed", "LicenseFilePath": "", "LicenseType": "file"}
    assert iscdesk.bodies("licenses") == []


@pytest.mark.parametrize("content", [None, b"x" * 70_000], ids=["none", "too large"])
def test_a_file_event_without_a_usable_file_is_a_failure(
    make: Make, program: Program, iscdesk: FakeIscdesk, content: bytes | None
) -> None:
    text = events.license_file_arrived("license.lic")
    iscdesk.on_apply = lambda _: iscdesk.happen("EVENT_LICENSE_VERIFY", text, content)

    make().GetLicenseFileRequest("", DEVICE)

    assert program.next_event()[1] == {"Status": "failed", "LicenseFilePath": "", "LicenseType": "file"}


# -- versions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("available", ['"true"', "true"])
def test_a_version_is_offered_by_iscdesk_and_answered(
    make: Make, program: Program, iscdesk: FakeIscdesk, available: str
) -> None:
    invoker = make()
    notice = f'{{"operate":"UpgradeNotice","params":{{"available":{available}}},"comeBackParams":{{}}}}'
    assert invoker.CheckNewVersions() is ResultStatus.SUCCESS
    iscdesk.happen("EVENT_UPGRADENOTICE", notice)
    iscdesk.happen("EVENT_UPDATE", events.update(is_forced=False))
    assert [program.next_event()[0] for _ in range(2)] == [EventType.EVENT_UPGRADENOTICE, EventType.EVENT_UPDATE]

    assert invoker.UpgradeNotify(True) is ResultStatus.SUCCESS

    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()  # what is asked later is answered later
    assert program.texts[0] == notice
    assert iscdesk.bodies("version-checks") == [{}]
    assert iscdesk.bodies("upgrades") == [{"upgrade": True}]


def test_versions_cannot_be_asked_for_without_iscdesk(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    iscdesk.is_down = True
    invoker = make()

    invoker.CheckNewVersions()

    assert program.next_event() == (EventType.EVENT_UPGRADENOTICE, {"available": "false"})
    assert invoker.last_problem is not None


# -- events --------------------------------------------------------------------------------------------------------


def test_events_that_nobody_asked_for_arrive_too(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    make()
    iscdesk.happen("EVENT_SAVE_RESULT", events.save_result(is_saved=True))

    assert program.next_event() == (EventType.EVENT_SAVE_RESULT, {"status": "success"})
    assert program.heard.empty()


def test_events_that_cannot_be_read_are_left_out(
    make: Make, program: Program, iscdesk: FakeIscdesk, caplog: pytest.LogCaptureFixture
) -> None:
    make()
    iscdesk.happen("EVENT_SAVE_RESULT", "no json")
    iscdesk.happen("EVENT_NEVER_HEARD_OF", events.save_result(is_saved=True))
    iscdesk.happen("EVENT_SAVE_RESULT", events.save_result(is_saved=False))

    assert program.next_event()[1] == {"status": "failed"}
    assert "cannot be read" in caplog.text


def test_shut_out_leaves_iscdesk_and_no_thread_behind(make: Make, program: Program, iscdesk: FakeIscdesk) -> None:
    before = set(threading.enumerate())  # a slow answer of another test may still be under way
    invoker = make()
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()

    assert invoker.ShutOut() is ResultStatus.SUCCESS

    assert iscdesk.sessions == set()
    left = set(threading.enumerate()) - before
    assert not [thread.name for thread in left if thread.name.startswith("license-")]


# -- check-ins -----------------------------------------------------------------------------------------------------


def test_without_a_license_server_there_are_no_check_ins(make: Make, program: Program, clock: FakeClock) -> None:
    invoker = make()
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()
    clock.pass_time(timedelta(days=100))

    assert not invoker.check_in_now()
    assert invoker.verdict.is_allowed


def test_check_ins_go_straight_to_the_license_server_where_there_is_one(
    make: Make, program: Program, server: FakeServer, vendor: Vendor
) -> None:
    verdicts: queue.Queue[Verdict] = queue.Queue()
    invoker = make(server_url="https://license.example")
    invoker.on_verdict(verdicts.put)
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()
    server.lease_changes = {"status": "REVOKED"}

    assert invoker.check_in_now()

    assert verdicts.get(timeout=PATIENCE).reason is Reason.REVOKED
    assert server.paths() == ["/v1/heartbeats"]
    assert server.requests[0][2] == f"Bearer {vendor.license_string()}"


# -- the poll ------------------------------------------------------------------------------------------------------


class ScriptedIscdesk:
    """Answers each question for events from a script, then has the poll stopped."""

    def __init__(self, script: list[Exception | list[IscdeskEvent]]) -> None:
        self.script = script
        self.poll: IscdeskPoll | None = None

    def next_events(self) -> list[IscdeskEvent]:
        if not self.script:
            assert self.poll is not None
            self.poll.stop(0.0)
            return []
        step = self.script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


class CountingAlarm(Alarm):
    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)


def run_poll(script: list[Exception | list[IscdeskEvent]]) -> tuple[list[str], list[float]]:
    heard: list[str] = []
    desk, alarm = ScriptedIscdesk(script), CountingAlarm()
    desk.poll = IscdeskPoll(desk, lambda event: heard.append(event.text), uniform=lambda _, high: high, alarm=alarm)  # type: ignore[arg-type]
    desk.poll.run()
    return heard, alarm.waits


def unanswered() -> UnansweredError:
    return UnansweredError(Problem("ISCDESK_UNREACHABLE", "no"))


def test_the_poll_waits_longer_after_each_failure_up_to_a_minute() -> None:
    _, waits = run_poll([unanswered() for _ in range(9)])

    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_the_poll_survives_whatever_comes() -> None:
    event = IscdeskEvent(1, "EVENT_UPDATE", "text", None)

    heard, waits = run_poll([ZeroDivisionError(), unanswered(), [event], unanswered()])

    assert heard == ["text"]
    assert waits[:3] == [1, 2, 1]


def test_an_iscdesk_that_never_waits_is_not_asked_without_a_pause() -> None:
    _, waits = run_poll([[], []])

    assert waits
    assert all(0 < wait <= 0.5 for wait in waits)
