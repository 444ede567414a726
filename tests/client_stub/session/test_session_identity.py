"""A machine without facts of its own is known by its installation, without the program doing anything."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from client_stub.machine.device_facts import installation
from client_stub.machine.store import LicenseStore
from client_stub.sdk.invoker import SdkInvoker
from client_stub.session.configuration import Configuration
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust import devices
from client_stub.trust.claims import License
from client_stub.trust.device_match import Part
from client_stub.trust.verdict import Permission
from client_stub.trust.verification import verify_license
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.host_program import Program
from tests.client_stub.signing import DEVICE, SALT, base64url

Start = Callable[[], LicenseSession]
WEAK = "02:42:AC:11:00:02|QM00001|None|CPU-1"


def device_claim(text: str) -> dict[str, object]:
    """The claim `dev` that binds to everything that the text names."""
    bound = devices.bind(devices.parse(text), SALT).hashes
    lists = {"m": sorted(bound.get(Part.MAC, ())), "d": sorted(bound.get(Part.DISK, ()))}
    single = {"b": [*bound.get(Part.BOARD, ())], "c": [*bound.get(Part.CPU, ())]}
    named = lists | {name: values[0] for name, values in single.items() if values}
    return {"v": 1, "s": base64url(SALT)} | {name: found for name, found in named.items() if found}


@pytest.fixture(autouse=True)
def binding_server(server: FakeServer) -> None:
    """Bind to what the machine named, and refuse one that names a CPU only, as licsrv does."""

    def answer(body: dict[str, object]) -> httpx2.Response:
        text = str(body["device_info"])
        if text == WEAK:
            return problem(422, "INVALID_REQUEST")
        string = server.vendor.license_string(
            server.now(), dev=device_claim(text) if text != "|||" else {"v": 1, "s": base64url(SALT)}
        )
        return httpx2.Response(200, json={"license_string": string, "license_id": "lic_1", "refresh_after": None})

    server.on_string = answer


def sent(server: FakeServer) -> list[str]:
    return [str(body["device_info"]) for path, body, _ in server.requests if path == "/v1/licenses/string"]


def test_a_weak_machine_is_licensed_by_an_identity_that_survives_restarts(start: Start, server: FakeServer) -> None:
    outcomes = []
    for _ in range(3):
        session = start()
        outcomes.append(session.obtain(WEAK))
        session.check_in()
        session.close()

    assert all(isinstance(outcome, License) for outcome in outcomes)
    assert len(set(sent(server))) == 1
    assert re.fullmatch(r"02:42:AC:11:00:02\|QM00001,INSTALL-[0-9A-F]{32}\|None\|CPU-1", sent(server)[0])
    beats = {str(body["device_info"]) for path, body, _ in server.requests if path == "/v1/heartbeats"}
    assert beats == set(sent(server))
    server.is_down = True
    offline = start()
    offline.obtain(WEAK)
    assert offline.verdict().permission is Permission.ALLOWED


def test_a_machine_with_facts_and_a_license_without_a_device_get_none(
    start: Start, server: FakeServer, configuration: Configuration
) -> None:
    for text in (DEVICE, ""):
        session = start()
        session.obtain(text)
        assert session.device_info == text

    assert sent(server) == [DEVICE, "|||"]
    assert configuration.store_path is not None
    assert not list(configuration.store_path.parent.glob("install-identity*"))


def test_two_licenses_of_one_folder_have_one_identity(
    start: Start, server: FakeServer, configuration: Configuration, clock: FakeClock
) -> None:
    assert configuration.store_path is not None
    other = LicenseSession(
        configuration,
        transport=DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock),
        store=LicenseStore(configuration.store_path.with_name("other.json")),
        clock=clock,
    )

    start().obtain(WEAK)
    other.obtain(WEAK)

    assert len(set(sent(server))) == 1


@pytest.mark.parametrize("way", ["no store", "not writable"])
def test_where_no_identity_can_be_kept_the_program_is_told_so(
    way: str, configuration: Configuration, server: FakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    session = LicenseSession(
        configuration,
        transport=DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock),
        store=LicenseStore(None if way == "no store" else tmp_path / "file" / "license.json"),
        clock=clock,
    )

    session.obtain(WEAK)

    assert sent(server) == [WEAK]
    assert session.last_problem is not None
    assert (session.last_problem.code, session.verdict().sentence) == (
        "NO_INSTALL_IDENTITY",
        session.last_problem.sentence,
    )


def test_the_folder_becoming_writable_is_enough(start: Start, server: FakeServer, configuration: Configuration) -> None:
    assert configuration.store_path is not None
    configuration.store_path.parent.write_text("in the way")
    session = start()
    session.obtain(WEAK)
    configuration.store_path.parent.unlink()

    session.keep_up()

    assert session.verdict().is_allowed
    assert session.last_problem is None


def test_a_copied_store_is_noticed_and_its_license_is_not_used(
    start: Start, server: FakeServer, configuration: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installation, "machine_name", lambda: "a" * 31 + "1")
    start().obtain(WEAK)
    assert configuration.store_path is not None
    before = shutil.copytree(configuration.store_path.parent, tmp_path / "original")
    monkeypatch.setattr(installation, "machine_name", lambda: "b" * 31 + "1")
    server.is_down = True

    copy = start()
    copy.obtain(WEAK)

    assert copy.license is None
    assert copy.last_problem is not None
    assert copy.last_problem.code == "STORE_OF_ANOTHER_COMPUTER"
    assert copy.verdict().sentence == copy.last_problem.sentence
    shutil.rmtree(configuration.store_path.parent)
    before.rename(configuration.store_path.parent)
    monkeypatch.setattr(installation, "machine_name", lambda: "a" * 31 + "1")
    original = start()
    original.obtain(WEAK)
    assert original.verdict().is_allowed


def test_nothing_of_the_identity_reaches_a_log(
    start: Start, server: FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    session = start()
    session.obtain(WEAK)
    server.on_string = lambda _: problem(403, "LICENSE_REVOKED")
    session.obtain(WEAK)
    session.close()

    assert "INSTALL-" in sent(server)[0]
    assert "INSTALL-" not in caplog.text


def test_a_program_verifies_with_the_text_that_the_sdk_used(
    configuration: Configuration, server: FakeServer, clock: FakeClock
) -> None:
    transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
    invoker, program = SdkInvoker(configuration, transport=transport, clock=clock), Program()
    invoker.IscdeskFactory().Init()
    invoker.RegisterEventRecall(program, Program.EventRecall)
    assert invoker.device_info == ""
    invoker.GetLicenseStringRequest(WEAK)

    _, parameters = program.next_event()

    verify_license(parameters["LicenseContent"], configuration.keys, device_info=invoker.device_info, now=clock.now())
    assert invoker.device_info == sent(server)[0]
    invoker.ShutOut()
