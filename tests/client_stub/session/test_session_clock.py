"""The memory of the time: a clock that was wrong once is forgiven, one that was set back is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from client_stub.machine.store import LicenseStore
from client_stub.session.configuration import Configuration
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.verdict import Reason
from tests.client_stub.fakes import FakeClock, FakeServer, file_answer
from tests.client_stub.signing import DEVICE, NOW, SigningKey, license_claims, unix
from tests.tables import each

Start = Callable[[], LicenseSession]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ENDLESS: dict[str, object] = {"exp": None}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "files" / "license.lic"


@pytest.fixture
def offline(start: Start, server: FakeServer, target: Path) -> Callable[[], LicenseSession]:
    """Start the program on a computer without network, whose file was carried to it."""
    server.is_down = True
    target.parent.mkdir()
    target.write_bytes(server.vendor.license_file())

    def begin() -> LicenseSession:
        session = start()
        session.obtain_file(DEVICE, target)
        return session

    return begin


def run_at(clock: FakeClock, begin: Callable[[], LicenseSession], *moments: timedelta) -> Reason:
    """Start the program at each of these moments, by its own clock, and return the last verdict's reason."""
    reason = Reason.NO_LICENSE
    for moment in moments:
        clock.own_time = NOW + moment
        session = begin()
        reason = session.verdict().reason
        session.close()
    return reason


def test_one_start_with_a_wrong_clock_leaves_nothing(clock: FakeClock, offline: Callable[[], LicenseSession]) -> None:
    for row in each([8 * HOUR, DAY, 30 * DAY, 300 * DAY, 73 * 365 * DAY]):
        with row as ahead:
            assert run_at(clock, offline, HOUR, ahead, 2 * HOUR) is Reason.LICENSED
            assert run_at(clock, offline, 3 * HOUR) is Reason.LICENSED


def test_a_clock_that_was_set_back_is_noticed(clock: FakeClock, offline: Callable[[], LicenseSession]) -> None:
    daily = [day * DAY for day in range(20)]

    assert run_at(clock, offline, *daily, 19 * DAY - DAY) is Reason.LICENSED
    assert run_at(clock, offline, 17 * DAY) is Reason.CLOCK_SET_BACK


def test_a_holiday_is_a_fact_one_day_later(clock: FakeClock, offline: Callable[[], LicenseSession]) -> None:
    assert run_at(clock, offline, HOUR, 21 * DAY, 22 * DAY) is Reason.LICENSED

    assert run_at(clock, offline, 2 * DAY) is Reason.CLOCK_SET_BACK


def test_an_endless_license_is_not_bound_to_a_clock(
    clock: FakeClock, offline: Callable[[], LicenseSession], server: FakeServer, target: Path
) -> None:
    target.write_bytes(server.vendor.license_file(**ENDLESS))

    assert run_at(clock, offline, HOUR, 100 * DAY, 101 * DAY, 102 * DAY, HOUR) is Reason.LICENSED


def stuck(clock: FakeClock, offline: Callable[[], LicenseSession]) -> None:
    """A computer whose clock was wrong for days, and is right again."""
    assert run_at(clock, offline, HOUR, 90 * DAY, 91 * DAY, 92 * DAY, 2 * HOUR) is Reason.CLOCK_SET_BACK


def test_a_newly_issued_file_sets_the_time(
    clock: FakeClock, offline: Callable[[], LicenseSession], server: FakeServer, target: Path
) -> None:
    stuck(clock, offline)
    target.write_bytes(server.vendor.license_file(iat=unix(NOW + HOUR)))

    assert run_at(clock, offline, 3 * HOUR) is Reason.LICENSED
    target.write_bytes(server.vendor.license_file())
    assert run_at(clock, offline, -2 * DAY) is not Reason.LICENSED


def test_a_newly_issued_list_sets_the_time(
    clock: FakeClock, offline: Callable[[], LicenseSession], server: FakeServer, tmp_path: Path
) -> None:
    stuck(clock, offline)
    carried = tmp_path / "list.jws"
    session = offline()
    carried.write_text(server.vendor.revocation_list([], iat=unix(NOW - HOUR)))
    session.take_revocations(carried)
    assert session.verdict().reason is Reason.CLOCK_SET_BACK
    carried.write_text(server.vendor.revocation_list([], number=9, iat=unix(NOW + HOUR)))

    assert session.take_revocations(carried) is None

    assert session.verdict().reason is Reason.LICENSED


def test_the_server_sets_the_time(clock: FakeClock, start: Start, server: FakeServer) -> None:
    session = start()
    session.obtain(DEVICE)
    for day in (90, 91, 92):
        clock.own_time = NOW + day * DAY
        server.is_down = True
        start().obtain(DEVICE)
    clock.own_time, server.is_down = NOW + HOUR, False

    again = start()
    again.obtain(DEVICE)
    again.keep_up()

    assert again.verdict().reason is Reason.LICENSED


# -- the clock reset ------------------------------------------------------------------------------------------------


def reset(server: FakeServer, key: SigningKey | None = None, **changes: object) -> str:
    claims = license_claims()
    kept = {name: claims[name] for name in ("iss", "sub", "dev")} | {"jti": "cr_1", "iat": unix(NOW + HOUR)}
    return (key or server.vendor.license_key).sign(kept | changes, "clock-reset+jwt")


def test_a_clock_reset_works_once(
    clock: FakeClock, offline: Callable[[], LicenseSession], server: FakeServer, tmp_path: Path
) -> None:
    stuck(clock, offline)
    carried = tmp_path / "reset.jws"
    carried.write_text(reset(server) + "\n")

    session = offline()
    assert session.take_clock_reset(carried) is None
    assert session.verdict().reason is Reason.LICENSED
    session.close()

    assert run_at(clock, offline, 3 * HOUR) is Reason.LICENSED
    problem = offline().take_clock_reset(carried)
    assert problem is not None
    assert problem.code == "USED_RESET"


def test_a_clock_reset_can_be_named_in_the_configuration(
    configuration: Configuration,
    clock: FakeClock,
    offline: Callable[[], LicenseSession],
    server: FakeServer,
    target: Path,
    tmp_path: Path,
) -> None:
    stuck(clock, offline)
    named = replace(configuration, clock_reset_path=tmp_path / "reset.jws")
    (tmp_path / "reset.jws").write_text(reset(server))
    transport = DirectTransport(named, transport=httpx2.MockTransport(server.handle), clock=clock)

    session = LicenseSession(named, transport=transport, store=LicenseStore(named.stored_at), clock=clock)
    session.obtain_file(DEVICE, target)

    assert session.verdict().reason is Reason.LICENSED


def test_another_clock_reset_is_refused(
    clock: FakeClock, offline: Callable[[], LicenseSession], server: FakeServer, tmp_path: Path
) -> None:
    stuck(clock, offline)
    session = offline()
    foreign = license_claims()["dev"]
    assert isinstance(foreign, dict)
    elsewhere = foreign | {"m": ["AAAAAAAA"], "d": ["AAAAAAAA"], "b": "AAAAAAAA"}
    carried = tmp_path / "reset.jws"
    for row in each(
        [
            (reset(server, sub="lic_2"), "FOREIGN_RESET"),
            (reset(server, iss="https://other.example"), "FOREIGN_RESET"),
            (reset(server, dev=elsewhere), "DEVICE_MISMATCH"),
            (reset(server, dev=None), "BAD_CLAIMS"),
            (reset(server, iat="soon"), "BAD_CLAIMS"),
            (reset(server, iat=unix(NOW)), "USED_RESET"),
            (reset(server, key=server.vendor.lease_key), "WRONG_KEY_PURPOSE"),
            (reset(server, key=SigningKey("license")), "UNKNOWN_KEY"),
            (server.vendor.license_string(), "WRONG_TYPE"),
            ("", "MALFORMED"),
            ("x" * 20_000, "NOT_AVAILABLE"),
        ]
    ):
        with row as (text, code):
            carried.write_text(text)

            problem = session.take_clock_reset(carried)

            assert problem is not None
            assert problem.code == code
            assert session.verdict().reason is Reason.CLOCK_SET_BACK
    problem = session.take_clock_reset(tmp_path / "missing")
    assert problem is not None
    assert problem.code == "NOT_AVAILABLE"


def test_a_clock_reset_without_a_license_is_no_use(start: Start, tmp_path: Path) -> None:
    problem = start().take_clock_reset(tmp_path / "reset.jws")

    assert problem is not None
    assert problem.code == "NO_LICENSE"


# -- the store ------------------------------------------------------------------------------------------------------


def test_a_store_that_was_deleted_or_exchanged_does_not_take_the_time_with_it(
    configuration: Configuration, clock: FakeClock, offline: Callable[[], LicenseSession]
) -> None:
    run_at(clock, offline, HOUR)
    path = configuration.stored_at
    assert path is not None
    older = path.read_bytes()
    run_at(clock, offline, *(day * DAY for day in range(1, 30)))

    path.write_bytes(older)
    assert run_at(clock, offline, HOUR) is Reason.CLOCK_SET_BACK
    path.unlink()
    assert run_at(clock, offline, HOUR) is Reason.CLOCK_SET_BACK


def test_a_store_of_an_earlier_version_keeps_its_highest_time(
    configuration: Configuration, clock: FakeClock, offline: Callable[[], LicenseSession]
) -> None:
    run_at(clock, offline, *(day * DAY for day in range(10)))
    path = configuration.stored_at
    assert path is not None
    path.with_suffix(".clock").unlink(missing_ok=True)
    store, machine = LicenseStore(path), offline()._machine
    assert machine is not None
    record = store.load(machine.device).record
    assert record is not None
    store.save(replace(record, signed_at=0, leapt_to=0), machine.device)
    path.with_suffix(".clock").unlink(missing_ok=True)
    assert "signed_at" not in json.loads(path.read_text())["record"]

    assert run_at(clock, offline, 2 * DAY) is Reason.CLOCK_SET_BACK


def test_a_device_that_asks_for_a_file_again_gets_the_time_from_it(
    clock: FakeClock, offline: Callable[[], LicenseSession], server: FakeServer
) -> None:
    stuck(clock, offline)
    server.is_down = False
    server.on_file = lambda _: file_answer(server.vendor.license_file(iat=unix(NOW + HOUR)))

    assert run_at(clock, offline, 2 * HOUR) is Reason.LICENSED
