"""The way to ISCDesk: questions, numbered events, and everything that can go wrong between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import httpx2
import pytest

from client_stub.sdk.iscdesk_transport import IscdeskEvent, IscdeskTransport
from client_stub.session import problems
from client_stub.session.configuration import Configuration
from client_stub.session.connection import RefusedError, UnansweredError
from client_stub.session.events import LicenseType
from tests.client_stub.fakes import FakeIscdesk
from tests.client_stub.signing import DEVICE

Handler = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
def iscdesk() -> FakeIscdesk:
    return FakeIscdesk()


@pytest.fixture
def connect(configuration: Configuration) -> Iterator[Callable[[Handler], IscdeskTransport]]:
    made: list[IscdeskTransport] = []
    at_desk = replace(configuration, server_url="", iscdesk_url="http://127.0.0.1:8001/", code="RA0001")

    def to(handler: Handler) -> IscdeskTransport:
        made.append(IscdeskTransport(at_desk, transport=httpx2.MockTransport(handler)))
        return made[-1]

    yield to
    for one in made:
        one.close()


Connect = Callable[[Handler], IscdeskTransport]


def test_a_session_is_opened_once_for_this_instance(connect: Connect, iscdesk: FakeIscdesk) -> None:
    transport = connect(iscdesk.handle)

    transport.apply(LicenseType.LICENSE_TYPE_STRING, DEVICE, "")
    transport.offer_after_trial(LicenseType.LICENSE_TYPE_FILE, DEVICE, "cad.lic")

    assert iscdesk.requests == [
        ("POST", "/iscdesk/sessions", {"instance_id": "RA0001", "application": "cad", "version": "3.2.1"}),
        ("POST", "/iscdesk/sessions/s1/licenses", {"kind": "string", "device_info": DEVICE, "file_name": ""}),
        (
            "POST",
            "/iscdesk/sessions/s1/trial-expirations",
            {"kind": "file", "device_info": DEVICE, "file_name": "cad.lic"},
        ),
    ]


def test_verdicts_checks_and_answers_are_passed_on(connect: Connect, iscdesk: FakeIscdesk) -> None:
    transport = connect(iscdesk.handle)

    transport.report_verdict(is_accepted=False, message="no")
    transport.check_versions()
    transport.answer_upgrade(is_wanted=True)

    assert iscdesk.bodies("verdicts") == [{"result": False, "error": "no"}]
    assert iscdesk.bodies("version-checks") == [{}]
    assert iscdesk.bodies("upgrades") == [{"upgrade": True}]


def test_events_come_in_order_and_once(connect: Connect, iscdesk: FakeIscdesk) -> None:
    asked: list[str] = []
    entries = [
        {"number": 2, "event": "EVENT_UPDATE", "text": "b", "file": None},
        {"number": 1, "event": "EVENT_UPGRADENOTICE", "text": "a", "file": {"name": "x", "content": "aGVsbG8="}},
    ]

    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/events"):
            asked.append(str(request.url.query, "ascii"))
            return httpx2.Response(200, json={"events": entries})
        return iscdesk.handle(request)

    transport = connect(handle)

    assert transport.next_events() == [
        IscdeskEvent(1, "EVENT_UPGRADENOTICE", "a", b"hello"),
        IscdeskEvent(2, "EVENT_UPDATE", "b", None),
    ]
    assert transport.next_events() == []
    assert asked == ["after=0&wait=20", "after=2&wait=20"]


@pytest.mark.parametrize(
    "entry",
    [
        7,
        {},
        {"number": "1", "event": "E", "text": "t"},
        {"number": True, "event": "E", "text": "t"},
        {"number": 1, "event": None, "text": "t"},
        {"number": 1, "event": "E", "text": {}},
    ],
)
def test_an_event_that_makes_no_sense_is_left_out(connect: Connect, iscdesk: FakeIscdesk, entry: object) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/events"):
            return httpx2.Response(200, json={"events": [entry]})
        return iscdesk.handle(request)

    assert connect(handle).next_events() == []


@pytest.mark.parametrize(
    "file", [7, {}, {"content": 7}, {"content": "é"}, {"content": "!"}, {"content": "A" * 200_000}]
)
def test_a_file_that_makes_no_sense_is_none(connect: Connect, iscdesk: FakeIscdesk, file: object) -> None:
    def handle(request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/events"):
            return httpx2.Response(200, json={"events": [{"number": 1, "event": "E", "text": "t", "file": file}]})
        return iscdesk.handle(request)

    assert connect(handle).next_events() == [IscdeskEvent(1, "E", "t", None)]


def test_an_instance_that_is_not_known_is_a_refusal(connect: Connect, iscdesk: FakeIscdesk) -> None:
    iscdesk.known_instance = "another"

    with pytest.raises(RefusedError) as caught:
        connect(iscdesk.handle).check_versions()

    assert caught.value.problem.code == problems.ISCDESK_REFUSED
    assert caught.value.problem.sentence == "There is no such instance."


def test_a_session_that_is_forgotten_is_opened_anew(connect: Connect, iscdesk: FakeIscdesk) -> None:
    transport = connect(iscdesk.handle)
    transport.check_versions()
    iscdesk.sessions.clear()

    with pytest.raises(UnansweredError):
        transport.check_versions()
    transport.check_versions()

    assert len([path for _, path, _ in iscdesk.requests if path == "/iscdesk/sessions"]) == 2


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(500, text="oops"),
        httpx2.Response(404, text="<html>"),
        httpx2.Response(302, headers={"Location": "https://portal.example"}),
        httpx2.Response(201, json={}),
        httpx2.Response(201, json={"session": 7}),
        httpx2.Response(201, content=b"[" * 5000),
        httpx2.Response(201, content=b"x" * 3_000_000),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.content[:8]!r}",
)
def test_everything_else_is_no_answer(connect: Connect, answer: httpx2.Response) -> None:
    with pytest.raises(UnansweredError) as caught:
        connect(lambda _: answer).check_versions()

    assert caught.value.problem.code == problems.ISCDESK_UNREACHABLE


def test_an_iscdesk_that_does_not_run_is_no_answer(connect: Connect, iscdesk: FakeIscdesk) -> None:
    iscdesk.is_down = True
    transport = connect(iscdesk.handle)

    for ask in (transport.next_events, transport.check_versions):
        with pytest.raises(UnansweredError) as caught:
            ask()
        assert "ISCDesk" in caught.value.problem.sentence
    transport.leave()


def test_leaving_ends_the_session_for_good(connect: Connect, iscdesk: FakeIscdesk) -> None:
    transport = connect(iscdesk.handle)
    transport.check_versions()

    transport.leave()
    transport.leave()

    assert [path for method, path, _ in iscdesk.requests if method == "DELETE"] == ["/iscdesk/sessions/s1"]
    with pytest.raises(UnansweredError):
        transport.check_versions()


def test_leaving_before_anything_was_asked_asks_nothing(connect: Connect, iscdesk: FakeIscdesk) -> None:
    connect(iscdesk.handle).leave()

    assert iscdesk.requests == []
