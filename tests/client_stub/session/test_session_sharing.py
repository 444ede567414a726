"""Two programs on one store, a store that cannot be written, left-overs, and no place for a store."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from client_stub.machine import disk
from client_stub.machine.store import LicenseStore, default_path
from client_stub.session import problems
from client_stub.session.configuration import Configuration
from client_stub.session.revocation_watch import RevocationWatch
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from client_stub.trust.claims import License
from client_stub.trust.verdict import Permission, Reason
from tests.client_stub.fakes import FakeClock, FakeServer
from tests.client_stub.signing import DEVICE, NOW, unix

Start = Callable[[], LicenseSession]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def pair(start: Start, clock: FakeClock) -> tuple[LicenseSession, LicenseSession]:
    """Two windows of one program, A and B, open for an hour."""
    sessions = start(), start()
    for session in sessions:
        session.obtain(DEVICE)
        session.check_in()
    clock.pass_time(HOUR)
    return sessions


def next_start(start: Start, server: FakeServer) -> LicenseSession:
    """Start the program without network."""
    server.is_down = True
    session = start()
    session.obtain(DEVICE)
    return session


def test_a_revocation_that_one_program_learned_survives_the_close_of_another(
    start: Start, server: FakeServer, pair: tuple[LicenseSession, LicenseSession]
) -> None:
    one, other = pair
    server.lease_changes = {"status": "REVOKED"}
    one.check_in()
    one.close()

    other.close()

    assert other.verdict().reason is Reason.REVOKED
    assert next_start(start, server).verdict().reason is Reason.REVOKED


def test_a_reinstatement_that_one_program_learned_survives_too(
    start: Start, server: FakeServer, clock: FakeClock, pair: tuple[LicenseSession, LicenseSession]
) -> None:
    one, other = pair
    server.lease_changes = {"status": "FROZEN"}
    other.check_in()
    clock.pass_time(HOUR)
    server.lease_changes = {}
    one.check_in()

    other.close()

    assert next_start(start, server).verdict().permission is Permission.ALLOWED


def test_a_renewed_string_survives(
    start: Start, server: FakeServer, clock: FakeClock, pair: tuple[LicenseSession, LicenseSession]
) -> None:
    one, other = pair
    server.license_changes = {"jti": "ls_2", "iat": unix(clock.now()), "exp": unix(NOW + 900 * DAY)}
    one.obtain(DEVICE)
    renewed = one.license_string

    other.close()

    assert next_start(start, server).license_string == renewed


def test_the_highest_time_survives(
    start: Start, server: FakeServer, clock: FakeClock, pair: tuple[LicenseSession, LicenseSession]
) -> None:
    one, other = pair
    server.is_down = True
    for _ in range(5):
        clock.pass_time(DAY)
        one.verdict()
    one.close()
    clock.own_time = NOW + HOUR

    other.close()

    assert next_start(start, server).verdict().reason is Reason.CLOCK_SET_BACK


def test_the_higher_list_survives(configuration: Configuration, server: FakeServer, start: Start) -> None:
    lists = [RevocationWatch(_list_store(configuration), configuration.keys, configuration.issuer) for _ in range(3)]
    for watch in lists[:2]:
        watch.take(server.vendor.revocation_list([], number=1))
    lists[0].take(server.vendor.revocation_list([], number=5))

    lists[1].take(server.vendor.revocation_list([], number=3))

    assert [watch.number for watch in lists] == [5, 5, 5]


def _list_store(configuration: Configuration):  # type: ignore[no-untyped-def]
    from client_stub.machine.revocation_store import RevocationStore

    return RevocationStore(configuration.revocations_stored_at)


def test_a_stopped_program_that_holds_the_lock_stops_no_other(
    configuration: Configuration, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "_TRIES", 1)
    assert configuration.stored_at is not None

    with disk.taking_turns(configuration.stored_at):
        session = start()
        assert isinstance(session.obtain(DEVICE), License)

    assert session.last_problem is None


# -- a store that cannot be written ---------------------------------------------------------------------------------


def test_a_store_that_cannot_be_written_is_named(configuration: Configuration, start: Start) -> None:
    assert configuration.stored_at is not None
    configuration.stored_at.mkdir(parents=True)
    session = start()

    assert isinstance(session.obtain(DEVICE), License)
    assert session.verdict().is_allowed
    assert session.last_problem == problems.NOT_STORED
    configuration.stored_at.rmdir()
    session.check_in()
    assert session.last_problem is None


def test_a_list_that_cannot_be_written_is_named(
    configuration: Configuration, start: Start, server: FakeServer, tmp_path: Path
) -> None:
    assert configuration.revocations_stored_at is not None
    configuration.revocations_stored_at.mkdir(parents=True)
    carried = tmp_path / "list.jws"
    carried.write_text(server.vendor.revocation_list([]))
    session = start()
    session.obtain(DEVICE)

    session.take_revocations(carried)

    assert session.last_problem == problems.NOT_STORED


# -- left-overs -----------------------------------------------------------------------------------------------------

KILLED_WHILE_SAVING = """
import os, signal, sys
from pathlib import Path
from client_stub.machine import disk
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
disk.replace_file(Path(sys.argv[1]), b"half")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_what_a_killed_program_left_is_removed_at_the_next_start(configuration: Configuration, start: Start) -> None:
    assert configuration.stored_at is not None
    folder = configuration.stored_at.parent
    for _ in range(3):
        subprocess.run([sys.executable, "-c", KILLED_WHILE_SAVING, str(configuration.stored_at)])
    assert len(list(folder.glob(".license.*"))) == 3

    start().obtain(DEVICE)

    assert list(folder.glob(".license.*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_a_file_that_a_program_still_writes_is_not_removed(tmp_path: Path) -> None:
    import fcntl

    unfinished = tmp_path / ".license.abc"
    with unfinished.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        disk.remove_unfinished(tmp_path)
        assert unfinished.exists()

    disk.remove_unfinished(tmp_path)
    disk.remove_unfinished(tmp_path / "missing")

    assert not unfinished.exists()


# -- no place for a store -------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="the variables of Linux")
def test_a_service_account_without_a_home_has_no_store_and_a_relative_folder_is_ignored(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", "relative/data")
    monkeypatch.setenv("HOME", str(tmp_path))
    path = default_path("PL0001")
    assert path is not None
    assert path.is_relative_to(tmp_path / ".local" / "share")

    monkeypatch.setattr(Path, "home", _no_home)
    assert default_path("PL0001") is None
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert default_path("PL0001") is None
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_path("PL0001") is not None


def _no_home() -> Path:
    raise RuntimeError("Could not determine home directory.")


@pytest.mark.skipif(sys.platform != "linux", reason="the variables of Linux")
def test_without_a_place_the_license_is_held_in_memory_and_the_problem_named(
    configuration: Configuration, server: FakeServer, clock: FakeClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setattr(Path, "home", _no_home)
    monkeypatch.chdir(tmp_path)
    homeless = replace(configuration, store_path=None)
    transport = DirectTransport(homeless, transport=httpx2.MockTransport(server.handle), clock=clock)

    session = LicenseSession(homeless, transport=transport, store=LicenseStore(homeless.stored_at), clock=clock)

    assert isinstance(session.obtain(DEVICE), License)
    assert session.keep_up().lease is not None
    session.close()
    assert session.verdict().is_allowed
    assert session.last_problem == problems.NO_STORE
    assert (homeless.license_files_at, homeless.revocations_stored_at) == (None, None)
    assert list(tmp_path.iterdir()) == []
