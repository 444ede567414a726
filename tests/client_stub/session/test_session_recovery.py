"""A program works again when the server does, without being started again."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from client_stub.machine.threads import Alarm
from client_stub.session.heartbeat import Heartbeat
from client_stub.session.session import LicenseSession
from client_stub.trust.verdict import Permission, Reason
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.signing import DEVICE
from tests.tables import each

Start = Callable[[], LicenseSession]
DAY = timedelta(days=1)
TWO_MINUTES = timedelta(minutes=2)


class PassingAlarm(Alarm):
    """Lets the time pass at once; stops the heartbeat at a moment."""

    def __init__(self, clock: FakeClock, span: timedelta) -> None:
        super().__init__()
        self.clock = clock
        self.left = span
        self.heartbeat: Heartbeat | None = None
        self.each_wait: Callable[[], object] = lambda: None

    def wait(self, seconds: float) -> None:
        self.clock.pass_time(timedelta(seconds=seconds))
        self.left -= timedelta(seconds=seconds)
        self.each_wait()
        if self.left <= timedelta(0) and self.heartbeat is not None:
            self.heartbeat.stop(0)


def run_for(session: LicenseSession, clock: FakeClock, span: timedelta, seed: int = 7) -> None:
    """Run the loop of the check-ins for so long, in this thread and without waiting."""
    alarm = PassingAlarm(clock, span)
    uniform = random.Random(seed).uniform
    alarm.heartbeat = Heartbeat(
        session.keep_up,
        clock=clock,
        first_within=timedelta(seconds=10),
        uniform=uniform,
        alarm=alarm,
        awake=session.note_awake,
    )
    alarm.heartbeat.run()


def away(server: FakeServer) -> None:
    server.is_down = True


def refuse(status: int, code: str) -> Callable[[FakeServer], None]:
    def change(server: FakeServer) -> None:
        server.on_string = server.on_file = lambda _: problem(status, code)
        server.lease_changes = {"jti": "ls_0"}  # of another license: no check-in helps

    return change


def say(status: str) -> Callable[[FakeServer], None]:
    def change(server: FakeServer) -> None:
        server.lease_changes = {"status": status}

    return change


def unavailable(server: FakeServer) -> None:
    server.on_string = server.on_file = server.on_heartbeat = lambda _: problem(503, "SERVICE_UNAVAILABLE")


def strange(server: FakeServer) -> None:
    server.license_changes, server.lease_changes = {"product": "cam"}, {"jti": "ls_0"}


TROUBLES = {
    "away": away,
    "revoked": refuse(403, "LICENSE_REVOKED"),
    "frozen": refuse(403, "LICENSE_FROZEN"),
    "expired": refuse(403, "LICENSE_EXPIRED"),
    "full": refuse(409, "DEVICE_LIMIT_REACHED"),
    "another machine": refuse(409, "DEVICE_MISMATCH"),
    "not known yet": refuse(404, "LICENSE_NOT_FOUND"),
    "not received": refuse(409, "LICENSE_NOT_RECEIVED"),
    "a gateway in between": refuse(403, "Forbidden"),
    "too busy": unavailable,
    "a license of another product": strange,
}


def well_again(server: FakeServer) -> None:
    server.is_down = False
    server.on_string = server.on_file = server.on_heartbeat = None
    server.lease_changes, server.license_changes = {}, {}


@pytest.mark.parametrize("has_stored", [False, True], ids=["new", "with a lease that ended"])
@pytest.mark.parametrize("make_trouble", TROUBLES.values(), ids=TROUBLES)
def test_a_program_that_started_in_trouble_works_within_two_minutes_of_the_end_of_it(
    start: Start, server: FakeServer, clock: FakeClock, make_trouble: Callable[[FakeServer], None], has_stored: bool
) -> None:
    if has_stored:
        first = start()
        first.obtain(DEVICE)
        first.check_in()
        first.close()
        clock.pass_time(15 * DAY)
    make_trouble(server)
    session = start()
    session.obtain(DEVICE)
    assert not session.verdict().is_allowed
    run_for(session, clock, timedelta(hours=2))
    assert not session.verdict().is_allowed
    well_again(server)

    run_for(session, clock, TWO_MINUTES)

    assert session.verdict().permission is Permission.ALLOWED


def test_a_lease_that_denies_is_asked_about_again(start: Start, server: FakeServer, clock: FakeClock) -> None:
    for row in each(["FROZEN", "REVOKED", "EXPIRED", "RELEASED"]):
        with row as status:
            well_again(server)
            session = start()
            session.obtain(DEVICE)
            server.lease_changes = {"status": status}
            run_for(session, clock, timedelta(hours=1))
            assert session.verdict().reason is Reason(status)
            well_again(server)

            run_for(session, clock, TWO_MINUTES)

            assert session.verdict().permission is Permission.ALLOWED


def test_a_file_that_could_not_be_had_is_asked_for_again_and_written(
    start: Start, server: FakeServer, clock: FakeClock, tmp_path: Path
) -> None:
    server.is_down = True
    session = start()
    session.obtain_file(DEVICE, tmp_path / "license.lic")
    run_for(session, clock, timedelta(hours=1))
    server.is_down = False

    run_for(session, clock, TWO_MINUTES)

    assert session.verdict().is_allowed
    assert (tmp_path / "license.lic").is_file()


def test_asking_again_is_spread_and_backs_off(start: Start, server: FakeServer, clock: FakeClock) -> None:
    server.on_string = lambda _: problem(403, "LICENSE_FROZEN")
    session = start()
    session.obtain(DEVICE)
    server.requests.clear()

    run_for(session, clock, timedelta(hours=1))

    assert 36 <= len(server.requests) <= 48  # every 90 seconds, give or take a tenth, once it has backed off


def test_a_refusal_is_not_lifted_by_a_server_that_went_away(start: Start, server: FakeServer, clock: FakeClock) -> None:
    start().obtain(DEVICE)
    server.on_string = lambda _: problem(403, "LICENSE_REVOKED")
    session = start()
    session.obtain(DEVICE)
    server.is_down = True

    run_for(session, clock, timedelta(hours=1))

    assert session.verdict().reason is Reason.REVOKED


def test_a_program_that_rejected_its_license_and_a_device_that_is_none_do_not_ask_again(
    start: Start, server: FakeServer, clock: FakeClock
) -> None:
    rejecting, without_device = start(), start()
    rejecting.obtain(DEVICE)
    rejecting.reject("another edition")
    without_device.obtain("no device")
    server.requests.clear()

    for session in (rejecting, without_device):
        run_for(session, clock, timedelta(hours=1))
        assert not session.keeps_asking

    assert server.requests == []


# -- a server that does not know the string any more ----------------------------------------------------------------


@pytest.mark.parametrize("is_file", [False, True], ids=["string", "file"])
def test_a_restored_server_is_asked_for_a_new_string_at_once(
    start: Start, server: FakeServer, tmp_path: Path, is_file: bool
) -> None:
    session = start()
    session.obtain_file(DEVICE, tmp_path / "license.lic") if is_file else session.obtain(DEVICE)
    session.keep_up()
    known = server.vendor.license_string(server.now(), jti="ls_2")

    def after_the_backup(body: dict[str, object]):  # type: ignore[no-untyped-def]
        if server.requests[-1][2] == f"Bearer {known}":
            server.lease_changes, server.on_heartbeat = {"jti": "ls_2"}, None
            return server._heartbeat(body)
        return problem(401, "UNAUTHENTICATED")

    server.on_heartbeat = after_the_backup
    server.license_changes = {"jti": "ls_2"}
    server.requests.clear()

    check_in = session.keep_up()

    assert check_in.lease is not None
    assert server.paths() == ["/v1/heartbeats", "/v1/licenses/string", "/v1/heartbeats"]
    assert session.license_string == known


def test_a_server_that_does_not_take_its_own_new_string_is_asked_once_in_each_check_in(
    start: Start, server: FakeServer, clock: FakeClock
) -> None:
    session = start()
    session.obtain(DEVICE)
    server.on_heartbeat = lambda _: problem(401, "UNAUTHENTICATED")
    server.requests.clear()

    session.keep_up()

    assert server.paths() == ["/v1/heartbeats", "/v1/licenses/string", "/v1/heartbeats"]
    server.requests.clear()
    run_for(session, clock, timedelta(hours=6))
    assert len(server.requests) < 3 * 14  # backs off to an hour
    assert session.verdict().is_allowed


def test_a_gateways_401_is_no_reason_for_a_new_string(start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    server.on_heartbeat = lambda _: problem(401, "INVALID_TOKEN")
    server.requests.clear()

    session.keep_up()

    assert server.paths() == ["/v1/heartbeats"]


# -- sleep ----------------------------------------------------------------------------------------------------------


def test_a_computer_that_slept_past_the_lease_asks_before_it_stops(
    start: Start, server: FakeServer, clock: FakeClock
) -> None:
    session = start()
    session.obtain(DEVICE)
    run_for(session, clock, timedelta(hours=1))
    woken: list[None] = []
    session.on_wake.append(lambda: woken.append(None))

    clock.own_time += 8 * DAY  # the monotonic clock of a sleeping computer pauses

    assert session.verdict().permission is Permission.ALLOWED_OFFLINE
    assert len(woken) == 1
    run_for(session, clock, timedelta(minutes=1))
    assert session.verdict().permission is Permission.ALLOWED


def test_the_grace_after_a_sleep_ends_and_does_not_come_back(
    start: Start, server: FakeServer, clock: FakeClock
) -> None:
    session = start()
    session.obtain(DEVICE)
    run_for(session, clock, timedelta(hours=1))
    server.is_down = True
    clock.pass_time(8 * DAY)
    assert session.verdict().is_allowed

    run_for(session, clock, timedelta(minutes=6))

    assert session.verdict().reason is Reason.LEASE_ENDED
    clock.pass_time(8 * DAY)
    assert session.verdict().reason is Reason.LEASE_ENDED


@pytest.mark.soak
def test_a_lease_that_ends_while_the_program_runs_has_no_grace(
    start: Start, server: FakeServer, clock: FakeClock
) -> None:
    session = start()
    session.obtain(DEVICE)
    run_for(session, clock, timedelta(hours=1))
    server.is_down = True

    run_for(session, clock, 8 * DAY)

    assert session.verdict().reason is Reason.LEASE_ENDED


def test_a_revocation_and_an_end_have_no_grace(start: Start, server: FakeServer, clock: FakeClock) -> None:
    session = start()
    session.obtain(DEVICE)
    server.lease_changes = {"status": "FROZEN"}
    run_for(session, clock, timedelta(hours=1))

    clock.pass_time(8 * DAY)
    assert session.verdict().reason is Reason.FROZEN
    well_again(server)
    run_for(session, clock, timedelta(hours=1))
    clock.pass_time(400 * DAY)
    assert session.verdict().reason is Reason.EXPIRED
