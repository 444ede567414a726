"""The calls about the devices of a license and their events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from client_stub.sdk.invoker import ResultStatus, SdkInvoker
from client_stub.session import license_devices
from client_stub.session.configuration import Configuration
from client_stub.session.events import EventType
from client_stub.session.license_devices import LicenseDevice
from client_stub.session.transport import DirectTransport
from client_stub.trust.verdict import Reason
from tests.client_stub.fakes import FakeClock, FakeServer, problem
from tests.client_stub.host_program import Program
from tests.client_stub.signing import DEVICE, NOW
from tests.tables import each

DEAD = {"device_id": "d-2", "name": "WS-2", "last_contact_at": NOW.isoformat()}
LIST: dict[str, Any] = {
    "places": 2, "places_taken": 2, "moves_left": 3, "next_move_at": NOW.isoformat(),
    "devices": [
        {**DEAD, "device_id": "d-1", "is_mine": True, "holds_place": True, "can_be_released": True},
        {**DEAD, "is_mine": False, "holds_place": True, "can_be_released": False},
    ],
}  # fmt: skip


@pytest.fixture
def program() -> Program:
    return Program()


@pytest.fixture
def invoker(
    configuration: Configuration, server: FakeServer, clock: FakeClock, program: Program
) -> Iterator[SdkInvoker]:
    transport = DirectTransport(configuration, transport=httpx2.MockTransport(server.handle), clock=clock)
    settings = replace(configuration, first_heartbeat_within=timedelta(days=1))
    made = SdkInvoker(settings, transport=transport, clock=clock, uniform=lambda _, high: high)
    made.IscdeskFactory().Init()
    made.RegisterEventRecall(program, Program.EventRecall)
    yield made
    made.ShutOut()


def licensed(invoker: SdkInvoker, program: Program) -> None:
    invoker.GetLicenseStringRequest(DEVICE)
    assert program.next_status() == "success"


def result(program: Program) -> tuple[str, str]:
    event, parameters = program.next_event()
    assert event is EventType.EVENT_DEVICES_RESULT
    return parameters["status"], parameters["code"]


def test_the_devices_of_the_license_are_listed(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    server.on_ask = lambda path, _: httpx2.Response(200, json=LIST)
    licensed(invoker, program)

    assert invoker.Devices() is ResultStatus.SUCCESS

    assert result(program) == ("success", "")
    assert invoker.devices is not None
    assert (invoker.devices.places, invoker.devices.moves_left, invoker.devices.next_move_at) == (2, 3, NOW)
    assert invoker.devices.devices[1] == LicenseDevice("d-2", "WS-2", NOW, can_be_released=False)
    assert server.requests[-1][:2] == ("/v1/devices/list", {"device_info": DEVICE})


def test_another_devices_place_is_freed_or_the_reason_is_there(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    licensed(invoker, program)
    server.on_ask = lambda *_: problem(409, "MOVE_NOT_ALLOWED", possible_from=NOW.isoformat())
    invoker.ReleaseDevice("d-2")
    assert result(program) == ("failed", "MOVE_NOT_ALLOWED")
    assert invoker.last_problem is not None
    assert invoker.last_problem.details == {"possible_from": NOW.isoformat()}

    server.on_ask = lambda *_: httpx2.Response(200, json={"places_taken": 1})
    invoker.ReleaseDevice("d-2")

    assert result(program) == ("success", "")
    assert server.requests[-1][1] == {"device_info": DEVICE, "device_id": "d-2"}
    assert invoker.verdict.is_allowed


def test_after_its_own_release_the_program_has_no_license_and_asks_for_none(
    invoker: SdkInvoker, program: Program, server: FakeServer
) -> None:
    licensed(invoker, program)
    server.on_ask = lambda *_: httpx2.Response(200, json={"places_taken": 0})
    server.lease_changes = {"status": "RELEASED"}

    invoker.ReleaseDevice()

    assert result(program) == ("success", "")
    assert invoker.verdict.reason is Reason.RELEASED
    assert not invoker.check_in_now()
    assert server.paths().count("/v1/licenses/string") == 1


def test_a_new_machine_moves_the_license_to_itself(invoker: SdkInvoker, program: Program, server: FakeServer) -> None:
    server.on_string = lambda body: (
        problem(409, "DEVICE_LIMIT_REACHED", movable=[DEAD])
        if "move_from" not in body
        else httpx2.Response(200, json={"license_string": server.vendor.license_string()})
    )
    assert invoker.MoveHere("d-2") is ResultStatus.INVALID_ARGUMENT  # nothing was asked for yet
    invoker.GetLicenseStringRequest(DEVICE)
    assert program.next_status() == "failed"
    [dead] = invoker.movable

    assert invoker.MoveHere(dead.device_id) is ResultStatus.SUCCESS

    assert (dead.name, dead.last_contact_at) == ("WS-2", NOW)
    assert program.next_status() == "success"
    assert server.requests[1][1]["move_from"] == "d-2"
    assert invoker.verdict.is_allowed
    assert invoker.movable == ()


def test_an_answer_that_is_no_list_is_none() -> None:
    device = LIST["devices"][0]
    for row in each(
        [
            {**LIST, "places": "2"},
            {**LIST, "moves_left": True},
            {**LIST, "devices": {}},
            {**LIST, "devices": [1]},
            {**LIST, "devices": [{**device, "device_id": 1}]},
            {**LIST, "devices": [{**device, "name": 1}]},
            {**LIST, "devices": [{**device, "is_mine": "yes"}]},
            {**LIST, "devices": [device] * 1001},
        ]
    ):
        with row as answer:
            assert license_devices.read_list(answer) is None
    odd = license_devices.read_list({**LIST, "next_move_at": "soon", "devices": [{**device, "name": "a\x1b[2J"}]})
    assert odd is not None
    assert (odd.next_move_at, odd.devices[0].name) == (None, "a [2J")
