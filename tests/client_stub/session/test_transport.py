from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from client_stub.session import problems
from client_stub.session.configuration import Configuration, ConfigurationError
from client_stub.session.connection import MAXIMUM_ANSWER_BYTES, RefusedError, UnansweredError
from client_stub.session.transport import (
    DirectTransport,
    FetchedList,
    IssuedString,
    VersionQuestion,
    fetch_keys_for_development,
    read_retry_after,
)
from tests.client_stub.fakes import FakeClock, FakeServer, file_answer, problem, serving
from tests.client_stub.signing import DEVICE, NOW

Handler = Callable[[httpx2.Request], httpx2.Response]
Connect = Callable[[Handler], DirectTransport]


@pytest.fixture
def connect(configuration: Configuration) -> Iterator[Connect]:
    opened: list[DirectTransport] = []

    def to(handler: Handler) -> DirectTransport:
        opened.append(DirectTransport(configuration, transport=httpx2.MockTransport(handler), clock=FakeClock()))
        return opened[-1]

    yield to
    for transport in opened:
        transport.close()


def test_a_license_request_says_what_the_contract_asks_for(connect: Connect, server: FakeServer) -> None:
    server.refresh_after = "2026-06-01T00:00:00Z"

    issued = connect(server.handle).request_license(DEVICE, "nonce-7")

    assert issued == IssuedString(server.vendor.license_string(), datetime(2026, 6, 1, tzinfo=UTC))
    assert server.requests == [
        (
            "/v1/licenses/string",
            {
                "code": "PL0001",
                "device_info": DEVICE,
                "nonce": "nonce-7",
                "client": {"name": "CAD-WS-07", "version": "3.2.1"},
            },
            "",
        )
    ]


def test_a_heartbeat_carries_the_license_string_as_its_credential(connect: Connect, server: FakeServer) -> None:
    lease = connect(server.handle).send_heartbeat("a.b.c", DEVICE, "nonce-1")

    assert lease == server.vendor.lease()
    path, body, authorization = server.requests[0]
    assert (path, authorization) == ("/v1/heartbeats", "Bearer a.b.c")
    assert body.keys() == {"nonce", "device_info", "client"}


def test_a_client_without_a_name_sends_none(configuration: Configuration, server: FakeServer) -> None:
    nameless = replace(configuration, client_name="", client_version="")

    DirectTransport(nameless, transport=httpx2.MockTransport(server.handle)).send_heartbeat("a.b.c", DEVICE, "n")

    assert "client" not in server.requests[0][1]


def test_a_path_in_front_of_the_routes_is_kept(configuration: Configuration) -> None:
    paths: list[str] = []

    def handle(request: httpx2.Request) -> httpx2.Response:
        paths.append(request.url.path)
        return httpx2.Response(200, json={"lease": "a.b.c"})

    prefixed = replace(configuration, server_url="https://license.example/licenses/")
    DirectTransport(prefixed, transport=httpx2.MockTransport(handle)).send_heartbeat("a.b.c", DEVICE, "n")

    assert paths == ["/licenses/v1/heartbeats"]


@pytest.mark.parametrize("value", ["soon", "2026-06-01T00:00:00", 7, None, [], "0001-01-01T00:00:00+14:00"])
def test_a_hint_that_cannot_be_read_is_left_out(connect: Connect, value: object) -> None:
    transport = connect(lambda _: httpx2.Response(200, json={"license_string": "a.b.c", "refresh_after": value}))

    assert transport.request_license(DEVICE, "n").refresh_after is None


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_problem_document_of_the_list_with_4xx_is_a_refusal(connect: Connect, status: int) -> None:
    answer = problem(status, "DEVICE_LIMIT_REACHED", action="Free a place.", request_id="r-1", parts={"mac": "differs"})

    with pytest.raises(RefusedError) as caught:
        connect(lambda _: answer).request_license(DEVICE, "n")

    seen = caught.value.problem
    assert (seen.code, seen.status, seen.action, seen.request_id) == (
        "DEVICE_LIMIT_REACHED",
        status,
        "Free a place.",
        "r-1",
    )
    assert seen.details == {"parts": {"mac": "differs"}}


@pytest.mark.parametrize(
    "answer",
    [
        problem(429, "TOO_MANY_REQUESTS"),
        problem(408, "REQUEST_TIMEOUT"),
        problem(500, "INTERNAL"),
        problem(503, "MARKETPLACE_UNAVAILABLE"),
        httpx2.Response(403, text="<html>Please log in</html>"),
        httpx2.Response(404, json={"error": "no such page"}),
        httpx2.Response(404, json={"code": 7}),
        httpx2.Response(401, json=[]),
        httpx2.Response(302, headers={"Location": "https://portal.example/"}),
        httpx2.Response(204),
        httpx2.Response(201, json={"license_string": "a.b.c"}),
        httpx2.Response(200, text="<html>Welcome</html>"),
        httpx2.Response(200, text=""),
        httpx2.Response(200, json=[]),
        httpx2.Response(200, json={}),
        httpx2.Response(200, json={"license_string": None}),
        httpx2.Response(200, content=b"[" * 50_000),
        httpx2.Response(200, content=b'{"license_string": "' + b"a" * MAXIMUM_ANSWER_BYTES + b'"}'),
        httpx2.Response(200, content=b"no gzip", headers={"Content-Encoding": "identity"}),
    ],
    ids=lambda answer: f"{answer.status_code} {answer.content[:24]!r}",
)
def test_everything_else_is_no_answer(connect: Connect, answer: httpx2.Response) -> None:
    with pytest.raises(UnansweredError):
        connect(lambda _: answer).request_license(DEVICE, "n")


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("refused"),
        httpx2.ConnectTimeout("late"),
        httpx2.ReadTimeout("late"),
        httpx2.RemoteProtocolError("not HTTP"),
        httpx2.DecodingError("not gzip"),
        httpx2.TooManyRedirects("round and round"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_every_network_error_is_no_answer(connect: Connect, error: Exception) -> None:
    def fail(_: httpx2.Request) -> httpx2.Response:
        raise error

    with pytest.raises(UnansweredError) as caught:
        connect(fail).send_heartbeat("a.b.c", DEVICE, "n")

    assert caught.value.problem.code == problems.SERVER_UNREACHABLE
    assert caught.value.problem.action


def test_an_answer_that_trickles_in_has_an_end(configuration: Configuration) -> None:
    clock = FakeClock()

    def trickle() -> Iterator[bytes]:
        while clock.seconds < 10_000:
            clock.pass_time(configuration.request_timeout / 2)
            yield b" "

    transport = DirectTransport(
        configuration, transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=trickle())), clock=clock
    )

    with pytest.raises(UnansweredError) as caught:
        transport.send_heartbeat("a.b.c", DEVICE, "n")

    assert caught.value.problem.code == "SERVER_UNREACHABLE"
    assert clock.seconds < 1000 + 8 * configuration.request_timeout.total_seconds()


def test_a_long_list_over_a_thin_line_is_no_trickle(configuration: Configuration) -> None:
    clock = FakeClock()

    def thin_line() -> Iterator[bytes]:
        for _ in range(100):
            clock.pass_time(timedelta(seconds=2))
            yield b"x" * 8192

    transport = DirectTransport(
        configuration, transport=httpx2.MockTransport(lambda _: httpx2.Response(200, content=thin_line())), clock=clock
    )

    assert transport.fetch_revocations(0, "") == FetchedList(b"x" * 819_200, "")


def test_a_redirect_is_not_followed(connect: Connect) -> None:
    asked: list[str] = []

    def redirect(request: httpx2.Request) -> httpx2.Response:
        asked.append(str(request.url))
        return httpx2.Response(307, headers={"Location": "https://portal.example/v1/heartbeats"})

    with pytest.raises(UnansweredError):
        connect(redirect).send_heartbeat("a.b.c", DEVICE, "n")

    assert asked == ["https://license.example/v1/heartbeats"]


def test_a_closed_transport_does_not_answer(connect: Connect, server: FakeServer) -> None:
    transport = connect(server.handle)
    transport.close()

    with pytest.raises(UnansweredError):
        transport.send_heartbeat("a.b.c", DEVICE, "n")


def test_the_servers_wish_to_be_left_alone_is_passed_on(connect: Connect) -> None:
    with pytest.raises(UnansweredError) as caught:
        connect(lambda _: problem(503, "MARKETPLACE_UNAVAILABLE")).request_license(DEVICE, "n")

    assert caught.value.retry_after == timedelta(seconds=90)
    assert caught.value.problem.code == "MARKETPLACE_UNAVAILABLE"


@pytest.mark.parametrize(
    ("value", "span"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("٥", None),
        ("0", timedelta(0)),
        ("120", timedelta(minutes=2)),
        (" 120 ", timedelta(minutes=2)),
        ("86401", timedelta(days=1)),
        ("9" * 5000, timedelta(days=1)),
        ("Mon, 04 May 2026 08:10:00 GMT", timedelta(minutes=10)),
        ("Mon, 04 May 2026 08:10:00 -0000", timedelta(minutes=10)),
        ("Mon, 04 May 2026 07:59:59 GMT", None),
        ("Mon, 04 May 2099 08:00:00 GMT", timedelta(days=1)),
        ("Mon, 99 May 2026 08:10:00 GMT", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_retry_after_is_seconds_or_a_date_and_at_most_a_day(value: str | None, span: timedelta | None) -> None:
    assert read_retry_after(value, NOW) == span


def test_the_keys_of_a_server_can_be_fetched_for_development(server: FakeServer) -> None:
    fetched = fetch_keys_for_development("https://license.example/", transport=httpx2.MockTransport(server.handle))

    assert fetched == json.loads(json.dumps(server.vendor.jwks))


def test_keys_are_not_fetched_over_a_plain_connection() -> None:
    with pytest.raises(ConfigurationError):
        fetch_keys_for_development("http://license.example")


@pytest.mark.parametrize("answer", [httpx2.Response(404, json={}), httpx2.Response(200, text="hello")])
def test_a_server_without_keys_gives_none(answer: httpx2.Response) -> None:
    with pytest.raises(UnansweredError):
        fetch_keys_for_development("https://license.example", transport=httpx2.MockTransport(lambda _: answer))


def test_it_works_over_a_real_connection(configuration: Configuration, server: FakeServer) -> None:
    with serving(server) as url:
        transport = DirectTransport(replace(configuration, server_url=url))

        assert transport.request_license(DEVICE, "n").license_string == server.vendor.license_string()
        transport.close()


def test_a_server_that_is_gone_is_no_answer(configuration: Configuration, server: FakeServer) -> None:
    with serving(server) as url:
        pass
    transport = DirectTransport(replace(configuration, server_url=url))

    with pytest.raises(UnansweredError):
        transport.request_license(DEVICE, "n")
    transport.close()


# -- files, lists and versions -------------------------------------------------------------------------------------


def test_a_file_request_says_what_the_contract_asks_for(connect: Connect, server: FakeServer) -> None:
    raw = connect(server.handle).request_license_file(DEVICE, "nonce-7", "cad.lic")

    assert raw == server.vendor.license_file()
    path, body, _ = server.requests[0]
    assert path == "/v1/licenses/file"
    assert (body["code"], body["device_info"], body["nonce"], body["file_name"]) == (
        "PL0001",
        DEVICE,
        "nonce-7",
        "cad.lic",
    )


def test_a_file_request_without_a_name_sends_none(connect: Connect, server: FakeServer) -> None:
    connect(server.handle).request_license_file(DEVICE, "n", "")

    assert "file_name" not in server.requests[0][1]


def digest_of(raw: bytes) -> str:
    return base64.b64encode(hashlib.sha256(raw).digest()).decode()


@pytest.mark.parametrize(
    ("digest", "is_good"),
    [
        (f"sha-256=:{digest_of(b'file')}:", True),
        (f"sha-512=:AAAA:, sha-256=:{digest_of(b'file')}:", True),
        (f"sha-256=:{digest_of(b'file')}:,sha-512=:AAAA:", True),
        ("", True),
        ("sha-512=:AAAA:", True),
        (f"sha-256=:{digest_of(b'other')}:", False),
        ("sha-256=::", False),
        (f"sha-512=:AAAA:, sha-256=:{digest_of(b'other')}:", False),
    ],
)
def test_a_file_damaged_on_the_way_is_no_answer(connect: Connect, digest: str, is_good: bool) -> None:
    transport = connect(lambda _: file_answer(b"file", digest))

    if is_good:
        assert transport.request_license_file(DEVICE, "n", "") == b"file"
    else:
        with pytest.raises(UnansweredError) as caught:
            transport.request_license_file(DEVICE, "n", "")
        assert caught.value.problem.code == problems.DAMAGED_ON_THE_WAY


def test_a_file_that_is_too_large_is_not_read_to_its_end(connect: Connect) -> None:
    with pytest.raises(UnansweredError):
        connect(lambda _: file_answer(b"x" * (MAXIMUM_ANSWER_BYTES + 1))).request_license_file(DEVICE, "n", "")


def test_a_refused_file_is_a_refusal(connect: Connect) -> None:
    with pytest.raises(RefusedError):
        connect(lambda _: problem(403, "LICENSE_FROZEN")).request_license_file(DEVICE, "n", "")


def test_a_list_of_a_megabyte_is_fetched(connect: Connect) -> None:
    text = b"x" * 2_000_000

    fetched = connect(lambda _: httpx2.Response(200, content=text, headers={"ETag": '"e"'})).fetch_revocations(0, "")

    assert fetched == FetchedList(text, '"e"')


QUESTION = VersionQuestion("cad", "3.2.1", "stable", "linux-x86_64", "n-1")


def test_a_version_question_says_what_the_contract_asks_for(connect: Connect, server: FakeServer) -> None:
    assert not connect(server.handle).check_version(QUESTION, "a.b.c").is_available

    assert server.requests == [
        (
            "/v1/versions/check",
            {"product": "cad", "version": "3.2.1", "channel": "stable", "platform": "linux-x86_64", "nonce": "n-1"},
            "Bearer a.b.c",
        )
    ]


def test_a_version_question_needs_no_license(connect: Connect, server: FakeServer) -> None:
    connect(server.handle).check_version(QUESTION, "")

    assert server.requests[0][2] == ""


def test_notes_of_a_version_are_read_by_language(connect: Connect) -> None:
    answer = {"available": True, "manifest": "a.b.c", "notes": {"zh": "新", "en": "new", "de": 7}}

    read = connect(lambda _: httpx2.Response(200, json=answer)).check_version(QUESTION, "")

    assert (read.manifest, read.notes) == ("a.b.c", {"zh": "新", "en": "new"})


@pytest.mark.parametrize(
    "answer", [{}, {"available": "true"}, {"available": True}, {"available": True, "manifest": None}]
)
def test_a_version_answer_that_makes_no_sense_is_none(connect: Connect, answer: dict[str, object]) -> None:
    with pytest.raises(UnansweredError):
        connect(lambda _: httpx2.Response(200, json=answer)).check_version(QUESTION, "")
