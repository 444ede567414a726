"""How ``licsrv doctor`` looks at the marketplace: real sockets, real certificates, a clock that is wrong."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from licsrv.cli.doctor import key_pair_check, marketplace_check
from licsrv.cli.doctor.diagnosis import Diagnosis, Level
from licsrv.emulator.emulator import Emulator
from licsrv.runtime import Runtime
from tests.cli.conftest import FurnishedHouse, Run

NOW = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


class Host(HTTPServer):
    """Answers any HEAD with 403 and a clock of its own, and writes down what it was asked."""

    date: str = ""
    asked: list[dict[str, str]]


class Handler(BaseHTTPRequestHandler):
    server: Host

    def do_HEAD(self) -> None:
        self.server.asked.append(dict(self.headers))
        self.send_response_only(403)
        if self.server.date:
            self.send_header("Date", self.server.date)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def host(date: str, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, Host]]:
    server = Host(("127.0.0.1", 0), Handler)
    server.date, server.asked = date, []
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"{'https' if context else 'http'}://localhost:{server.server_port}", server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> trustme.CA:
    authority = trustme.CA()
    path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(path)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return authority


def secured(authority: trustme.CA, *, ends_at: datetime) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", not_after=ends_at).configure_cert(context)
    return context


def check(url: str, now: datetime = NOW) -> list[Diagnosis]:
    return marketplace_check.check([url], clock=lambda: now, time_limit=timedelta(seconds=3))


@pytest.mark.parametrize(
    ("off", "level"),
    [(0, Level.OK), (60, Level.OK), (61, Level.WARNING), (-61, Level.WARNING), (600, Level.WARNING),
     (601, Level.PROBLEM), (-601, Level.PROBLEM)],
)  # fmt: skip
def test_the_clocks_are_compared(off: int, level: Level) -> None:
    with host(format_datetime(NOW - timedelta(seconds=off), usegmt=True)) as (url, _):
        reached, clock = check(url)

    assert (reached.level, clock.level) == (Level.OK, level)
    assert ("ahead of" if off > 0 else "behind") in clock.detail


@pytest.mark.parametrize("date", ["", "yesterday"])
def test_a_host_without_a_clock_is_a_warning(date: str) -> None:
    with host(date) as (url, _):
        assert check(url)[-1].level is Level.WARNING


def test_the_host_is_asked_without_a_key_pair() -> None:
    with host(format_datetime(NOW, usegmt=True)) as (url, server):
        check(url)

    (asked,) = server.asked
    assert not {name.lower() for name in asked} & {"authorization", "x-sdk-date", "cookie"}


@pytest.mark.parametrize(("days", "level"), [(13, Level.WARNING), (90, Level.OK)])
def test_a_certificate_is_told_before_it_ends(authority: trustme.CA, days: int, level: Level) -> None:
    now = datetime.now(UTC)
    context = secured(authority, ends_at=now + timedelta(days=days))

    with host(format_datetime(now, usegmt=True), context) as (url, _):
        reached, certificate, _ = check(url, now)

    assert (reached.level, certificate.level) == (Level.OK, level)
    assert f"{days - 1} days" in certificate.detail or f"{days} days" in certificate.detail


def test_a_certificate_of_nobody_we_trust_is_a_problem(authority: trustme.CA) -> None:
    context = secured(trustme.CA(), ends_at=datetime.now(UTC) + timedelta(days=90))

    with host("", context) as (url, _):
        (found,) = check(url)

    assert found.level is Level.PROBLEM
    assert "certificate" in found.detail.lower()


def test_a_host_that_is_not_there_is_a_problem() -> None:
    (found,) = check("http://127.0.0.1:1")

    assert found.level is Level.PROBLEM
    assert found.detail.startswith("http://127.0.0.1:1 cannot be reached: ")


def test_a_host_that_says_nothing_is_given_up() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        (found,) = marketplace_check.check([url], clock=lambda: NOW, time_limit=timedelta(milliseconds=50))

    assert found == Diagnosis(
        "marketplace", Level.PROBLEM, f"{url} cannot be reached: no answer in time.",
        "Check name service, firewall, proxy and time.",
    )  # fmt: skip


def test_the_command_asks_every_host_unless_it_is_offline(
    sqlite_house: FurnishedHouse, environment: pytest.MonkeyPatch, licsrv: Run
) -> None:
    with host(format_datetime(datetime.now(UTC), usegmt=True)) as (url, server):
        environment.setenv("LICSRV_MARKETPLACE_URLS", f"{url},http://127.0.0.1:1")
        environment.setenv("LICSRV_ALLOW_INSECURE_MARKETPLACE", "1")

        offline = licsrv("doctor", "--offline", "--json")
        online = licsrv("doctor", "--json")

    assert "marketplace" not in {check["area"] for check in offline.document["checks"]}
    assert (online.exit_code, online.document["result"], len(server.asked)) == (1, "problem", 1)


@pytest.mark.parametrize(
    ("fault", "level", "words"),
    [
        (None, Level.OK, "The marketplace accepts the key pair."),
        (("refuse_signature", True), Level.PROBLEM, "The marketplace refuses the key pair: "),
        (("lock_key_pair", True), Level.PROBLEM, "The marketplace refuses the key pair: "),
        (("status", 502), Level.PROBLEM, "The signed call got no usable answer: "),
    ],
)
async def test_a_signed_call_says_whether_the_key_pair_is_good(
    runtime: Runtime, emulator: Emulator, fault: tuple[str, object] | None, level: Level, words: str
) -> None:
    if fault is not None:
        emulator.set_fault("open_api", *fault)

    found = await key_pair_check.ask(runtime.api)

    assert (found.level, found.detail[: len(words)]) == (level, words)


async def test_a_refused_key_pair_is_not_tried_again_before_its_time(runtime: Runtime, emulator: Emulator) -> None:
    emulator.set_fault("open_api", "refuse_signature", True)
    await key_pair_check.ask(runtime.api)
    emulator.clear_faults()
    asked = len(emulator.requests.all())

    again = await key_pair_check.ask(runtime.api)

    assert (again.level, again.detail[:27]) == (Level.WARNING, "The key pair was not tried:")
    assert len(emulator.requests.all()) == asked


def test_without_a_key_pair_none_is_tried(
    sqlite_house: FurnishedHouse, environment: pytest.MonkeyPatch, licsrv: Run
) -> None:
    environment.setenv("LICSRV_MARKETPLACE_URLS", "http://127.0.0.1:1")
    environment.setenv("LICSRV_ALLOW_INSECURE_MARKETPLACE", "1")

    environment.delenv("LICSRV_MARKETPLACE_AK", raising=False)
    environment.delenv("LICSRV_MARKETPLACE_SK", raising=False)
    without = licsrv("doctor", "--signed", "--json").document["checks"][-1]
    environment.setenv("LICSRV_MARKETPLACE_AK", "AK")
    environment.setenv("LICSRV_MARKETPLACE_SK", "SK")
    tried = licsrv("doctor", "--signed", "--json").document["checks"][-1]

    assert without["detail"] == "No key pair is configured, so none was tried."
    assert (tried["level"], tried["area"]) == ("problem", "marketplace")
    assert tried["detail"].startswith("The signed call got no usable answer: ")
    assert not tried["detail"].endswith("..")
    assert licsrv("doctor", "--signed", "--offline").exit_code == 2
