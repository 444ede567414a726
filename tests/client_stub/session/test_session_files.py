"""License files and revocation lists in one running program. ``start`` begins a new run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from client_stub.machine.store import LicenseStore
from client_stub.session.configuration import Configuration
from client_stub.session.problems import Problem
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.claims import License
from client_stub.trust.verdict import Permission, Reason
from tests.client_stub.fakes import FakeClock, FakeServer, file_answer, problem
from tests.client_stub.signing import DEVICE, NOW, OTHER_DEVICE, Vendor, list_entry, unix
from tests.tables import each

Start = Callable[[], LicenseSession]
DAY = timedelta(days=1)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "licenses" / "cad.lic"


def revoke(server: FakeServer, *owners: str, **changes: object) -> None:
    text = server.vendor.revocation_list([list_entry(owner) for owner in owners], **changes)
    server.on_list = lambda _: httpx2.Response(200, text=text)


# -- files ---------------------------------------------------------------------------------------------------------


def test_a_file_is_obtained_verified_written_and_used(start: Start, server: FakeServer, target: Path) -> None:
    session = start()

    obtained = session.obtain_file(DEVICE, target)

    assert isinstance(obtained, License)
    assert obtained.string_id == "lf_1"
    assert target.read_bytes() == server.vendor.license_file()
    assert session.verdict().permission is Permission.ALLOWED
    assert server.requests[0][1]["file_name"] == "cad.lic"
    assert session.last_problem is None


def test_behind_a_file_a_string_for_check_ins_is_fetched(start: Start, server: FakeServer, target: Path) -> None:
    session = start()
    session.obtain_file(DEVICE, target)

    check_in = session.check_in()

    assert server.paths() == ["/v1/licenses/file", "/v1/licenses/string", "/v1/heartbeats"]
    assert server.requests[-1][2] == f"Bearer {server.vendor.license_string()}"
    assert check_in.lease is not None
    assert check_in.lease.string_id == "ls_1"


@pytest.mark.parametrize(
    "answer",
    [
        problem(503, "SERVICE_UNAVAILABLE"),
        problem(409, "DEVICE_LIMIT_REACHED"),
        httpx2.Response(200, json={"license_string": "x"}),
    ],
    ids=["503", "409", "nonsense"],
)
def test_a_file_is_good_without_a_string(
    start: Start, server: FakeServer, target: Path, answer: httpx2.Response
) -> None:
    server.on_string = lambda _: answer
    session = start()

    assert isinstance(session.obtain_file(DEVICE, target), License)
    check_in = session.check_in()

    assert check_in.problem is not None
    assert check_in.problem.code == "NO_LICENSE_STRING"
    assert session.verdict().is_allowed


def test_the_string_is_fetched_later_when_it_could_not_be_at_first(
    start: Start, server: FakeServer, target: Path
) -> None:
    server.on_string = lambda _: problem(503, "SERVICE_UNAVAILABLE")
    session = start()
    session.obtain_file(DEVICE, target)
    server.on_string = None

    assert session.keep_up().lease is not None
    assert server.paths().count("/v1/licenses/file") == 1


def test_a_file_works_offline_until_its_last_moment(
    start: Start, server: FakeServer, target: Path, clock: FakeClock
) -> None:
    start().obtain_file(DEVICE, target)
    server.is_down = True
    clock.pass_time(364 * DAY)

    session = start()

    assert isinstance(session.obtain_file(DEVICE, target), License)
    assert session.verdict().is_allowed
    clock.pass_time(2 * DAY)
    assert session.verdict().reason is Reason.EXPIRED


def test_a_file_that_is_gone_is_written_again_without_network(start: Start, server: FakeServer, target: Path) -> None:
    start().obtain_file(DEVICE, target)
    server.is_down = True
    target.unlink()

    assert isinstance(start().obtain_file(DEVICE, target), License)
    assert target.read_bytes() == server.vendor.license_file()


def test_a_file_carried_by_hand_licenses_a_computer_without_network(
    start: Start, server: FakeServer, target: Path
) -> None:
    server.is_down = True
    target.parent.mkdir()
    target.write_bytes(server.vendor.license_file())
    session = start()

    assert isinstance(session.obtain_file(DEVICE, target), License)
    assert session.verdict().permission is Permission.ALLOWED
    assert session.verdict().until == NOW + 365 * DAY


def test_a_carried_file_that_is_not_believed_is_left_alone_and_the_reason_given(
    start: Start, server: FakeServer, target: Path
) -> None:
    server.is_down = True
    target.parent.mkdir()
    good = server.vendor.license_file()
    for row in each(
        [
            (b"hello", "MALFORMED"),
            (b"x" * 100_000, "MALFORMED"),
            (Vendor().license_file(), "UNKNOWN_KEY"),
            (good.replace(b"\n", b"\r\n"), "UNREADABLE"),
            (good.decode().encode("utf-16"), "UNREADABLE"),
            (good + b"--\nSent from my phone\n", "UNREADABLE"),
        ]
    ):
        with row as (content, code):
            target.write_bytes(content)
            session = start()

            outcome = session.obtain_file(DEVICE, target)

            assert isinstance(outcome, Problem)
            assert outcome.code == code
            assert ("ZIP" in outcome.action) == (code == "UNREADABLE")
            assert target.read_bytes() == content
            assert not session.verdict().is_allowed
            assert session.verdict().cause == code


def test_a_damaged_file_next_to_a_good_license_stops_nothing(start: Start, server: FakeServer, target: Path) -> None:
    start().obtain_file(DEVICE, target)
    server.is_down = True
    target.write_bytes(target.read_bytes().replace(b"\n", b"\r\n"))

    assert isinstance(start().obtain_file(DEVICE, target), License)


def test_an_older_file_that_was_carried_does_not_take_the_place_of_a_younger(
    start: Start, server: FakeServer, target: Path, clock: FakeClock
) -> None:
    old = server.vendor.license_file(NOW - 30 * DAY, jti="lf_0")
    start().obtain_file(DEVICE, target)
    server.is_down = True
    target.write_bytes(old)
    session = start()

    outcome = session.obtain_file(DEVICE, target)

    assert isinstance(outcome, License)
    assert outcome.string_id == "lf_1"
    assert target.read_bytes() == server.vendor.license_file(clock.now())


def test_a_file_on_another_machine_is_of_no_use(start: Start, server: FakeServer, target: Path) -> None:
    start().obtain_file(DEVICE, target)
    server.is_down = True

    outcome = start().obtain_file(OTHER_DEVICE, target)

    assert isinstance(outcome, Problem)


def test_a_refusal_takes_the_stored_file_out_of_use(start: Start, server: FakeServer, target: Path) -> None:
    start().obtain_file(DEVICE, target)
    server.on_file = lambda _: problem(403, "LICENSE_REVOKED")
    session = start()

    outcome = session.obtain_file(DEVICE, target)

    assert isinstance(outcome, Problem)
    assert session.verdict().reason is Reason.REVOKED


def test_a_lease_stops_a_file_too(start: Start, server: FakeServer, target: Path) -> None:
    session = start()
    session.obtain_file(DEVICE, target)
    server.lease_changes = {"status": "FROZEN"}

    session.check_in()

    assert session.verdict().reason is Reason.FROZEN


def test_a_file_that_cannot_be_written_is_a_problem_and_a_license(start: Start, target: Path, tmp_path: Path) -> None:
    (tmp_path / "licenses").write_text("in the way")
    session = start()

    outcome = session.obtain_file(DEVICE, target)

    assert isinstance(outcome, Problem)
    assert outcome.code == "FILE_NOT_WRITTEN"
    assert session.verdict().is_allowed


def test_a_string_asked_for_takes_the_place_of_the_file(start: Start, target: Path) -> None:
    session = start()
    session.obtain_file(DEVICE, target)

    obtained = session.obtain(DEVICE)

    assert isinstance(obtained, License)
    assert obtained.string_id == "ls_1"
    assert session.license == obtained


def test_a_file_keeps_the_string_and_its_lease(start: Start, target: Path) -> None:
    session = start()
    session.obtain(DEVICE)
    session.check_in()

    session.obtain_file(DEVICE, target)

    assert session.lease is not None
    assert session.license_string


def test_a_stored_file_and_its_lease_are_taken_up_together(start: Start, server: FakeServer, target: Path) -> None:
    first = start()
    first.obtain_file(DEVICE, target)
    first.check_in()
    server.is_down = True

    session = start()
    session.obtain_file(DEVICE, target)

    assert session.lease == first.lease
    assert session.license == first.license


def test_file_and_string_are_exchanged_when_a_lease_has_moved_the_end(
    start: Start, server: FakeServer, target: Path
) -> None:
    session = start()
    session.obtain_file(DEVICE, target)
    server.lease_changes = {"license_exp": unix(NOW + 700 * DAY)}
    server.license_changes = {"exp": unix(NOW + 700 * DAY)}
    renewed = server.vendor.license_file(exp=unix(NOW + 700 * DAY))
    server.on_file = lambda _: file_answer(renewed)

    session.keep_up()
    session.keep_up()

    assert server.paths().count("/v1/licenses/file") == 2
    assert server.paths().count("/v1/licenses/string") == 2
    assert session.license is not None
    assert session.license.expires_at == NOW + 700 * DAY


def test_both_signatures_can_be_demanded(
    configuration: Configuration, server: FakeServer, clock: FakeClock, target: Path
) -> None:
    strict = replace(configuration, require_both_signatures=True)
    transport = DirectTransport(strict, transport=httpx2.MockTransport(server.handle), clock=clock)
    session = LicenseSession(strict, transport=transport, store=LicenseStore(strict.stored_at), clock=clock)

    outcome = session.obtain_file(DEVICE, target)

    assert isinstance(outcome, Problem)
    assert outcome.code == "BAD_SIGNATURE"
    assert not target.exists()


# -- revocation lists ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("owner", ["license:lic_1", "string:ls_1", "string:lf_1"])
def test_what_a_carried_list_names_is_refused(
    start: Start, server: FakeServer, target: Path, tmp_path: Path, owner: str
) -> None:
    session = start()
    session.obtain_file(DEVICE, target)
    path = tmp_path / "revocations.jws"
    path.write_text(server.vendor.revocation_list([list_entry(owner)]))

    assert session.take_revocations(path) is None

    assert session.verdict().permission is Permission.DENIED
    assert session.verdict().reason is Reason.REVOKED
    assert session.verdict().action


def test_the_list_is_fetched_after_a_check_in(start: Start, server: FakeServer) -> None:
    revoke(server, "license:lic_1", iat=unix(NOW + DAY))
    session = start()
    session.obtain(DEVICE)
    assert session.verdict().is_allowed

    session.keep_up()

    assert session.verdict().reason is Reason.REVOKED


def test_the_list_holds_at_the_next_start_without_network(start: Start, server: FakeServer) -> None:
    revoke(server, "string:ls_1")
    first = start()
    first.obtain(DEVICE)
    first.keep_up()
    server.is_down = True

    session = start()
    outcome = session.obtain(DEVICE)

    assert isinstance(outcome, Problem)
    assert outcome.code == "REVOKED"


def test_a_lease_that_is_younger_than_the_list_does_not_lift_it(
    start: Start, server: FakeServer, clock: FakeClock, target: Path
) -> None:
    session = start()
    session.obtain_file(DEVICE, target)
    revoke(server, "license:lic_1", iat=unix(NOW + DAY))
    session.keep_up()
    clock.pass_time(2 * DAY)
    server.on_string = server.on_file = lambda _: problem(503, "SERVICE_UNAVAILABLE")

    assert session.keep_up().lease is not None

    assert session.verdict().reason is Reason.REVOKED


def test_a_reinstated_license_works_at_the_next_check_in(start: Start, server: FakeServer) -> None:
    """The list is asked for at once, although it was fetched within the hour."""
    session = start()
    session.obtain(DEVICE)
    revoke(server, "license:lic_1")
    server.lease_changes = {"status": "REVOKED"}
    session.keep_up()
    assert session.verdict().reason is Reason.REVOKED
    server.lease_changes = {}
    revoke(server, number=8)

    session.keep_up()

    assert session.verdict().is_allowed
    again = start()
    again.obtain(DEVICE)
    assert again.verdict().is_allowed


def test_a_reinstated_license_works_when_it_is_asked_for_again(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    revoke(server, "license:lic_1")
    server.lease_changes = {"status": "REVOKED"}
    session.keep_up()
    session.close()
    server.lease_changes = {}
    revoke(server, number=8)

    again = start()
    again.obtain(DEVICE)

    assert again.verdict().is_allowed


def test_a_string_that_was_called_back_is_exchanged_at_once(start: Start, server: FakeServer, target: Path) -> None:
    session = start()
    session.obtain_file(DEVICE, target)
    revoke(server, "string:ls_1", "string:lf_1")
    server.license_changes = {"jti": "ls_2"}
    server.lease_changes = {"jti": "ls_1"}
    server.on_file = lambda _: file_answer(server.vendor.license_file(jti="lf_2"))

    session.keep_up()

    assert session.verdict().is_allowed


def test_a_list_that_names_others_changes_nothing(start: Start, server: FakeServer) -> None:
    revoke(server, "license:lic_2", "string:lic_1", "license:ls_1")
    session = start()
    session.obtain(DEVICE)

    session.keep_up()

    assert session.verdict().is_allowed


def test_a_server_without_a_list_is_no_problem(start: Start) -> None:
    session = start()
    session.obtain(DEVICE)

    assert session.keep_up().lease is not None
    assert session.last_problem is None


def test_a_list_in_the_configuration_is_read_at_every_request(
    configuration: Configuration, server: FakeServer, clock: FakeClock, tmp_path: Path, target: Path
) -> None:
    carried = replace(configuration, revocations_path=tmp_path / "revocations.jws")
    transport = DirectTransport(carried, transport=httpx2.MockTransport(server.handle), clock=clock)
    session = LicenseSession(carried, transport=transport, store=LicenseStore(carried.stored_at), clock=clock)
    assert isinstance(session.obtain_file(DEVICE, target), License)
    server.is_down = True
    (tmp_path / "revocations.jws").write_text(server.vendor.revocation_list([list_entry("license:lic_1")]))

    outcome = session.obtain_file(DEVICE, target)

    assert isinstance(outcome, Problem)
    assert outcome.code == "REVOKED"


# -- what ISCDesk brought ------------------------------------------------------------------------------------------


def test_what_iscdesk_brought_is_verified(start: Start, server: FakeServer) -> None:
    session = start()
    assert session.prepare(DEVICE) is None

    assert isinstance(session.accept_string(Vendor().license_string()), Problem)
    assert not session.verdict().is_allowed
    assert isinstance(session.accept_string(server.vendor.license_string()), License)
    assert isinstance(session.accept_file(server.vendor.license_file()), License)
    assert session.verdict().is_allowed


def test_a_device_text_that_cannot_be_read_is_named(start: Start) -> None:
    found = start().prepare("no device")

    assert found is not None
    assert found.code == "INVALID_DEVICE_INFO"


def test_without_a_license_server_nothing_has_to_be_heard_from(
    configuration: Configuration, server: FakeServer, clock: FakeClock
) -> None:
    alone = replace(configuration, server_url="", iscdesk_url="http://127.0.0.1:8001")
    transport = DirectTransport(alone, transport=httpx2.MockTransport(server.handle), clock=clock)
    session = LicenseSession(alone, transport=transport, store=LicenseStore(alone.stored_at), clock=clock)
    session.prepare(DEVICE)
    session.accept_string(server.vendor.license_string())
    clock.pass_time(300 * DAY)

    assert session.verdict().permission is Permission.ALLOWED
