"""What a program asks about its license, and the event of a change that the background brings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import httpx2
import pytest

from client_stub.sdk.invoker import SdkInvoker
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventType
from client_stub.session.transport import DirectTransport
from tests.client_stub.fakes import FakeClock, FakeServer
from tests.client_stub.host_program import Program
from tests.client_stub.signing import DEVICE, NOW, unix
from tests.tables import each

DAY = timedelta(days=1)


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def invoker(
    configuration: Configuration, server: FakeServer, clock: FakeClock, program: Program
) -> Iterator[SdkInvoker]:
    """An invoker whose check-ins come when the test asks for them."""
    transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
    settings = replace(configuration, first_heartbeat_within=timedelta(days=1))
    made = SdkInvoker(settings, transport=transport, clock=clock, uniform=lambda _, high: high)
    made.IscdeskFactory().Init()
    made.RegisterEventRecall(program, Program.EventRecall)
    yield made
    made.ShutOut()


def test_before_a_license_nothing_is_granted(invoker: SdkInvoker) -> None:
    assert (invoker.license, invoker.has_feature("draw"), invoker.feature_value("draw")) == (None, False, None)


def test_features_are_granted_as_the_license_says_until_they_end(
    invoker: SdkInvoker, program: Program, server: FakeServer, clock: FakeClock
) -> None:
    server.license_changes = {"ent": {"export": {"v": "3"}, "solver": {"exp": unix(NOW + DAY)}}}
    invoker.GetLicenseStringRequest(DEVICE)
    assert program.next_status() == "success"

    assert invoker.license is not None
    assert invoker.license.code == "PL0001"
    assert [invoker.has_feature(name) for name in ("draw", "export", "solver", "print")] == [True, True, True, False]
    assert [invoker.feature_value(name) for name in ("draw", "export", "print")] == [None, "3", None]
    clock.pass_time(DAY)
    assert [invoker.has_feature(name) for name in ("draw", "solver")] == [True, False]


def test_a_change_that_a_check_in_brings_is_an_event(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    server.refresh_after = NOW.isoformat()  # each check-in exchanges the string first
    invoker.GetLicenseStringRequest(DEVICE)
    program.next_event()
    later = unix(NOW + 400 * DAY)
    for row in each(
        [
            ({"feat": ["draw"]}, {}, "features"),
            ({"feat": ["draw"], "n": 7}, {}, "places"),
            ({"feat": ["draw"], "n": 7, "exp": later}, {"license_exp": later}, "end"),
            ({"ent": {"draw": {"v": "1"}}, "n": 8, "exp": later}, {"license_exp": later}, "features,places"),
            ({"exp": later}, {"license_exp": later, "status": "FROZEN"}, "permission,features,end,places"),
            ({"exp": later}, {"license_exp": later}, "permission,features,end,places"),
        ]
    ):
        with row as (license, lease, changed):
            server.license_changes, server.lease_changes = license, lease

            invoker.check_in_now()

            assert program.next_event() == (EventType.EVENT_LICENSE_CHANGED, {"changed": changed})
    assert program.heard.empty()
