"""The link of the newest lease in the store is presented at the next check-in, whichever program learned it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest

from client_stub.machine.link_store import LinkStore
from client_stub.machine.store import LicenseStore
from client_stub.session.configuration import Configuration
from client_stub.session.session import LicenseSession
from client_stub.session.transport import DirectTransport
from tests.client_stub.fakes import FakeClock, FakeServer
from tests.client_stub.signing import DEVICE


@pytest.fixture
def store_path(configuration: Configuration) -> Path:
    assert configuration.stored_at is not None
    return configuration.stored_at


Start = Callable[[], LicenseSession]


@pytest.fixture
def numbered(server: FakeServer) -> FakeServer:
    """Each lease carries the next link."""

    def answer(body: dict[str, object]) -> httpx2.Response:
        link = f"link-{len(presented(server)):03}"
        lease = server.vendor.lease(server.now(), nonce=body["nonce"], link=link)
        return httpx2.Response(200, json={"lease": lease, "status": "ACTIVE"})

    server.on_heartbeat = answer
    return server


def presented(server: FakeServer) -> list[object]:
    return [body.get("link") for path, body, _ in server.requests if path == "/v1/heartbeats"]


def test_two_programs_present_the_newest_link_of_their_store(start: Start, numbered: FakeServer) -> None:
    one, other = start(), start()
    for session in (one, other):
        session.obtain(DEVICE)
    for session in (one, one, other, other, one, start()):
        session.obtain(DEVICE)  # another string does not lose it
        session.check_in()

    assert presented(numbered) == [None, *(f"link-{number:03}" for number in range(1, 6))]


def test_of_two_answers_the_later_link_is_kept_and_none_that_came_slowly(
    start: Start, numbered: FakeServer, clock: FakeClock, store_path: Path
) -> None:
    session, links = start(), LinkStore(store_path)
    session.obtain(DEVICE)
    session.check_in()
    links.keep("link-900")
    links.keep("link-002")
    assert links.newest() == "link-900", "an answer that was overtaken"

    def after_a_sleep(body: dict[str, object]) -> httpx2.Response:
        clock.own_time += timedelta(seconds=121)  # the monotonic clock pauses
        lease = numbered.vendor.lease(numbered.now(), nonce=body["nonce"], link="link-999")
        return httpx2.Response(200, json={"lease": lease, "status": "ACTIVE"})

    numbered.on_heartbeat = after_a_sleep
    assert session.check_in().lease is not None
    assert links.newest() == "link-900"


def test_a_store_without_a_place_presents_none(
    configuration: Configuration, numbered: FakeServer, clock: FakeClock
) -> None:
    session = LicenseSession(
        configuration,
        transport=DirectTransport(configuration, transport=httpx2.MockTransport(numbered.handle)),
        store=LicenseStore(None),
        clock=clock,
    )
    session.obtain(DEVICE)
    for _ in range(2):
        assert session.check_in().lease is not None

    assert presented(numbered) == [None, None]


def test_a_damaged_or_unwritable_link_costs_nothing(start: Start, numbered: FakeServer, store_path: Path) -> None:
    session, file = start(), store_path.with_suffix(".link")
    session.obtain(DEVICE)
    for content in (b"", b"\xff\xfe", b"x" * 300, b"two\nlines", b"\x00"):
        file.write_bytes(content)
        assert session.check_in().lease is not None
        assert presented(numbered)[-1] is None
    file.unlink()
    file.mkdir()

    assert session.check_in().lease is not None
    assert presented(numbered)[-1] is None
