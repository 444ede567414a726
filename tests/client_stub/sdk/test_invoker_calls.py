"""The calls for files, trials, versions and the cloud, each with its event."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventType, LicenseType
from client_stub.session.transport import DirectTransport
from tests.client_stub.fakes import FakeClock, FakeServer, file_answer, problem
from tests.client_stub.host_program import PATIENCE, Program
from tests.client_stub.signing import DEVICE, Vendor, list_entry, unix
from tests.tables import each

Make = Callable[..., SdkInvoker]


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def make(configuration: Configuration, server: FakeServer, clock: FakeClock, program: Program) -> Iterator[Make]:
    """Make an invoker that is initialised and has a listener, with other settings where they are given."""
    made: list[SdkInvoker] = []

    def invoker(**changes: Any) -> SdkInvoker:
        settings: dict[str, Any] = {"platform": "linux-x86_64", "first_heartbeat_within": timedelta(days=1)} | changes
        changed = replace(configuration, **settings)
        transport = DirectTransport(changed, transport=httpx2.MockTransport(server.handle), clock=clock)
        made.append(SdkInvoker(changed, transport=transport, clock=clock, uniform=lambda _, high: high))
        made[-1].IscdeskFactory().Init()
        made[-1].RegisterEventRecall(program, Program.EventRecall)
        return made[-1]

    yield invoker
    for one in made:
        one.ShutOut()


@pytest.fixture
def invoker(make: Make) -> SdkInvoker:
    return make()


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_file_arrives_as_an_event_with_its_path(
    make: Make, program: Program, server: FakeServer, tmp_path: Path
) -> None:
    invoker = make(license_folder=tmp_path / "folder")

    assert invoker.GetLicenseFileRequest("cad.lic", DEVICE) is ResultStatus.SUCCESS

    event, parameters = program.next_event()
    path = tmp_path / "folder" / "cad.lic"
    assert event is EventType.EVENT_LICENSE_VERIFY
    assert parameters == {"Status": "success", "LicenseFilePath": str(path), "LicenseType": "file"}
    assert path.read_bytes() == server.vendor.license_file()
    assert invoker.verdict.is_allowed


def test_a_file_without_a_name_goes_next_to_the_store(
    invoker: SdkInvoker, program: Program, configuration: Configuration
) -> None:
    invoker.GetLicenseFileRequest("", DEVICE)

    path = program.next_event()[1]["LicenseFilePath"]
    assert Path(path) == configuration.stored_at.parent / "license.lic"


def test_a_file_goes_to_the_absolute_path_that_was_asked_for(
    invoker: SdkInvoker, program: Program, tmp_path: Path
) -> None:
    invoker.GetLicenseFileRequest(str(tmp_path / "deep" / "cad.lic"), DEVICE)

    assert program.next_status() == "success"
    assert (tmp_path / "deep" / "cad.lic").exists()


def test_the_name_that_the_server_suggests_is_not_used(
    make: Make, program: Program, server: FakeServer, tmp_path: Path
) -> None:
    answer = httpx2.Response(
        200,
        content=server.vendor.license_file(file="../../evil.lic"),
        headers={"Content-Disposition": 'attachment; filename="../../evil.lic"'},
    )
    server.on_file = lambda _: answer
    invoker = make(license_folder=tmp_path / "folder")

    invoker.GetLicenseFileRequest("cad.lic", DEVICE)

    assert program.next_status() == "success"
    assert {path.name for path in tmp_path.rglob("*.lic")} == {"cad.lic"}


@pytest.mark.parametrize(
    ("name", "device_info"),
    [("../cad.lic", DEVICE), ("a/b", DEVICE), (7, DEVICE), ("cad.lic", 7), ("cad.lic", "\ud800")],
)
def test_arguments_that_cannot_be_meant_are_refused_at_once(
    invoker: SdkInvoker, program: Program, server: FakeServer, name: Any, device_info: Any
) -> None:
    assert invoker.GetLicenseFileRequest(name, device_info) is ResultStatus.INVALID_ARGUMENT

    invoker.ShutOut()
    assert program.heard.empty()
    assert server.requests == []


def test_no_value_is_as_good_as_an_empty_one(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    nothing: Any = None
    server.on_file = lambda _: file_answer(server.vendor.license_file(dev={"v": 1, "s": "AAECAwQFBgcICQoL"}))

    assert invoker.GetLicenseFileRequest(nothing, nothing) is ResultStatus.SUCCESS

    assert program.next_status() == "success"
    assert server.requests[0][1]["device_info"] == "|||"


def test_a_refused_file_arrives_as_an_event(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    server.on_file = lambda _: problem(403, "LICENSE_FROZEN", action="Look at the order.")

    invoker.GetLicenseFileRequest("", DEVICE)

    assert program.next_event() == (
        EventType.EVENT_LICENSE_VERIFY,
        {"Status": "failed", "LicenseFilePath": "", "LicenseType": "file"},
    )
    assert invoker.last_problem is not None
    assert invoker.last_problem.code == "LICENSE_FROZEN"


def test_a_string_that_cannot_be_had_is_a_failure_although_a_file_is_in_use(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    server.on_string = lambda _: problem(503, "SERVICE_UNAVAILABLE")
    invoker.GetLicenseFileRequest("", DEVICE)
    assert program.next_status() == "success"

    invoker.GetLicenseStringRequest(DEVICE)

    assert program.next_event()[1] == {"Status": "failed", "LicenseContent": "", "LicenseType": "string"}
    assert invoker.verdict.is_allowed


@pytest.mark.parametrize(
    ("kind", "member"),
    [
        (LicenseType.LICENSE_TYPE_FILE, "LicenseFilePath"),
        (LicenseType.LICENSE_TYPE_STRING, "LicenseContent"),
        (1, "LicenseFilePath"),
    ],
)
def test_after_a_trial_the_license_is_applied_for(
    invoker: SdkInvoker, program: Program, kind: Any, member: str
) -> None:
    assert invoker.TrialExpirationAndGetLicense(kind, DEVICE, "") is ResultStatus.SUCCESS

    event, parameters = program.next_event()
    assert event is EventType.EVENT_LICENSE_VERIFY
    assert parameters["Status"] == "success"
    assert parameters[member]


@pytest.mark.parametrize("kind", ["file", None, 9])
def test_a_kind_of_license_that_is_none_is_refused(invoker: SdkInvoker, kind: Any) -> None:
    assert invoker.TrialExpirationAndGetLicense(kind, DEVICE, "") is ResultStatus.INVALID_ARGUMENT


def test_a_carried_revocation_list_stops_the_program(
    invoker: SdkInvoker, program: Program, server: FakeServer, tmp_path: Path
) -> None:
    invoker.GetLicenseFileRequest("", DEVICE)
    program.next_event()
    path = tmp_path / "revocations.jws"
    path.write_text(server.vendor.revocation_list([list_entry("license:lic_1")]))

    assert invoker.take_revocations(path) is None
    assert not invoker.verdict.is_allowed


# -- versions ------------------------------------------------------------------------------------------------------


def test_no_newer_version_is_told(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    assert invoker.CheckNewVersions() is ResultStatus.SUCCESS

    assert program.next_event() == (EventType.EVENT_UPGRADENOTICE, {"available": "false"})
    question = server.requests[0][1]
    assert len(str(question.pop("nonce"))) >= 16
    assert question == {"product": "cad", "version": "3.2.1", "channel": "stable", "platform": "linux-x86_64"}
    assert invoker.UpgradeNotify(True) is ResultStatus.NOTHING_OFFERED
    assert (invoker.release, invoker.upgrade_wanted) == (None, False)


def test_available_can_be_a_boolean(make: Make, program: Program) -> None:
    make(available_as_boolean=True).CheckNewVersions()

    assert program.next_event()[1] == {"available": False}
    assert program.texts == ['{"operate":"UpgradeNotice","params":{"available":false},"comeBackParams":{}}']


@pytest.mark.parametrize("is_wanted", [True, False])
def test_a_newer_version_is_offered_and_answered(
    invoker: SdkInvoker, program: Program, server: FakeServer, is_wanted: bool
) -> None:
    server.offer_version()

    invoker.CheckNewVersions()

    assert program.next_event() == (EventType.EVENT_UPGRADENOTICE, {"available": "true"})
    assert program.next_event() == (EventType.EVENT_UPDATE, {"fromForceWin": "false"})
    assert invoker.release is not None
    assert invoker.release.version == "4.0.0"
    assert invoker.UpgradeNotify(is_wanted) is ResultStatus.SUCCESS
    assert invoker.upgrade_wanted is is_wanted


def test_a_forced_version_cannot_be_declined(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    server.offer_version(forced=True)

    invoker.CheckNewVersions()

    program.next_event()
    assert program.next_event() == (EventType.EVENT_UPDATE, {"fromForceWin": "true"})
    assert invoker.UpgradeNotify(False) is ResultStatus.UPGRADE_IS_FORCED
    assert invoker.upgrade_wanted


def test_the_license_string_is_shown_when_there_is_one(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()

    invoker.CheckNewVersions()

    program.next_event()
    assert server.requests[-1][2] == f"Bearer {server.vendor.license_string()}"


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(503, "SERVICE_UNAVAILABLE"), "SERVICE_UNAVAILABLE"),
        (problem(403, "FORBIDDEN"), "FORBIDDEN"),
        (httpx2.Response(200, json={"available": True, "manifest": Vendor().manifest()}), "UNKNOWN_KEY"),
        (httpx2.Response(200, json={"available": True, "manifest": "x"}), "MALFORMED"),
        (httpx2.Response(200, text="<html>"), "UNEXPECTED_ANSWER"),
    ],
    ids=["503", "403", "a stranger's", "malformed", "a portal"],
)
def test_what_cannot_be_asked_or_believed_is_no_newer_version(
    invoker: SdkInvoker, program: Program, server: FakeServer, answer: httpx2.Response, code: str
) -> None:
    server.on_version = lambda _: answer

    invoker.CheckNewVersions()

    assert program.next_event() == (EventType.EVENT_UPGRADENOTICE, {"available": "false"})
    assert invoker.last_problem is not None
    assert invoker.last_problem.code == code
    assert invoker.release is None


def test_an_old_manifest_shown_again_is_not_believed(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    """Signed by the vendor and forced, every one of them; as an attacker on the way could show it."""
    day = 86400
    for row in each(
        [
            ({"nonce": "another"}, "NONCE_MISMATCH"),
            ({"nonce": None}, "NONCE_MISMATCH"),
            ({"exp": None}, "EXPIRED"),
            ({"exp": unix(server.now()) - 2 * day}, "EXPIRED"),
            ({"running": "3.1.0"}, "WRONG_PRODUCT"),
            ({"running": None}, "WRONG_PRODUCT"),
            ({"version": "3.2.1"}, "WRONG_PRODUCT"),
            ({"version": "3.2.1.0"}, "WRONG_PRODUCT"),
            ({"version": "3.2.0"}, "WRONG_PRODUCT"),
            ({"version": "3.1.9"}, "WRONG_PRODUCT"),
            ({"version": "2.9"}, "WRONG_PRODUCT"),
        ]
    ):
        with row as (changes, code):
            server.offer_version(forced=True, **changes)
            invoker.CheckNewVersions()

            assert program.next_event() == (EventType.EVENT_UPGRADENOTICE, {"available": "false"})
            assert invoker.last_problem is not None
            assert invoker.last_problem.code == code
            assert invoker.release is None


def test_a_clock_that_is_some_hours_off_does_not_hide_a_version(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    server.offer_version(exp=unix(server.now()) - 8 * 3600)

    invoker.CheckNewVersions()

    assert program.next_event() == (EventType.EVENT_UPGRADENOTICE, {"available": "true"})


@pytest.mark.parametrize("changes", [{"client_version": ""}, {"product": None}])
def test_a_program_that_does_not_say_what_it_is_is_told_so(make: Make, program: Program, changes: Any) -> None:
    invoker = make(**changes)

    invoker.CheckNewVersions()

    assert program.next_event()[1] == {"available": "false"}
    assert invoker.last_problem is not None
    assert invoker.last_problem.code == "VERSION_NOT_SET"


def test_the_product_is_taken_from_the_license_where_the_program_does_not_name_it(
    make: Make, program: Program, server: FakeServer
) -> None:
    invoker = make(product=None)
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()

    invoker.CheckNewVersions()

    program.next_event()
    assert server.requests[-1][1]["product"] == "cad"


# -- the cloud -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "event", "parameters"),
    [
        (
            lambda invoker: invoker.OpenCloudFile(),
            EventType.EVENT_OPENCLOUDFILE_RESULT,
            {"mainFile": "", "openType": "OpenOnly", "workState": "CHECKIN", "assembly": "false"},
        ),
        (lambda invoker: invoker.Save("a.dwg"), EventType.EVENT_SAVE_RESULT, {"status": "failed"}),
        (lambda invoker: invoker.Save("folder", True), EventType.EVENT_SAVE_RESULT, {"status": "failed"}),
        (lambda invoker: invoker.SelectSaveAsPath("a.dwg"), EventType.EVENT_SAVE_RESULT, {"status": "failed"}),
        (lambda invoker: invoker.SelectSaveAsPath(), EventType.EVENT_SAVE_RESULT, {"status": "failed"}),
    ],
)
def test_the_cloud_says_honestly_that_it_is_not_there(
    invoker: SdkInvoker,
    program: Program,
    call: Callable[[SdkInvoker], ResultStatus],
    event: EventType,
    parameters: dict[str, str],
) -> None:
    assert call(invoker) is ResultStatus.SUCCESS

    assert program.next_event() == (event, parameters)
    assert invoker.last_problem is not None
    assert invoker.last_problem.code == "NOT_AVAILABLE"


def test_computing_in_the_cloud_is_refused_without_an_event(invoker: SdkInvoker, program: Program) -> None:
    assert invoker.GetSolution("a.dwg") is ResultStatus.NOT_AVAILABLE
    assert invoker.GetSolution("") is ResultStatus.INVALID_ARGUMENT
    assert invoker.Save("") is ResultStatus.INVALID_ARGUMENT

    invoker.ShutOut()
    assert program.heard.empty()


def test_shut_out_inside_the_callback_of_any_event_is_refused(invoker: SdkInvoker) -> None:
    answers: list[ResultStatus] = []
    heard = threading.Event()

    def shut_out(event: EventType, message: str) -> None:
        answers.append(invoker.ShutOut())
        heard.set()

    invoker.RegisterEventRecall(shut_out)
    for call in (invoker.OpenCloudFile, invoker.CheckNewVersions):
        heard.clear()
        call()
        assert heard.wait(PATIENCE)

    assert answers == [ResultStatus.FORBIDDEN_IN_CALLBACK] * 2
    assert invoker.ShutOut() is ResultStatus.SUCCESS
