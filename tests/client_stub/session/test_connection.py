"""Why there was no connection: real certificates and proxies on this computer."""

from __future__ import annotations

import datetime as dates
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
import trustme

from client_stub.session import problems
from client_stub.session.configuration import Configuration, ConfigurationError
from client_stub.session.connection import Route, UnansweredError, connection_problem
from client_stub.session.problems import Problem
from client_stub.session.transport import DirectTransport
from tests.client_stub.signing import DEVICE
from tests.tables import each


@contextmanager
def tls_server(certificate: trustme.LeafCert) -> Iterator[int]:
    """Serve one lease per connection over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    body = b'{"lease": "a.b.c"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                # A client that does not trust the certificate breaks off, with an alert or without one.
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
                    request = b""
                    while not request.endswith(b"}"):  # what is not read when the connection closes resets it
                        request += secure.recv(65536)
                    secure.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def asked(configuration: Configuration) -> Problem | str:
    transport = DirectTransport(configuration)
    try:
        return transport.send_heartbeat("a.b.c", DEVICE, "nonce")
    except UnansweredError as error:
        return error.problem
    finally:
        transport.close()


def test_an_authority_that_is_not_known_is_named_and_can_be_added(configuration: Configuration, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with tls_server(authority.issue_cert("127.0.0.1")) as port:
        here = replace(configuration, server_url=f"https://127.0.0.1:{port}")

        assert asked(here) == problems.NOT_TRUSTED
        assert asked(replace(here, ca_file=tmp_path / "ca.pem")) == "a.b.c"


def test_a_certificate_outside_its_time_points_to_the_clock(configuration: Configuration, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    now = dates.datetime.now(dates.UTC)
    spans = [(now + timedelta(days=9), now + timedelta(days=99)), (now - timedelta(days=99), now - timedelta(days=9))]
    for row in each(spans):
        with row as (begins, ends):
            certificate = authority.issue_cert("127.0.0.1", not_before=begins, not_after=ends)
            with tls_server(certificate) as port:
                here = replace(configuration, server_url=f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.pem")

                assert asked(here) == problems.CERTIFICATE_NOT_IN_TIME


def test_a_certificate_of_another_name_is_not_trusted(configuration: Configuration, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with tls_server(authority.issue_cert("license.example")) as port:
        here = replace(configuration, server_url=f"https://127.0.0.1:{port}", ca_file=tmp_path / "ca.pem")

        assert asked(here) == problems.NOT_TRUSTED


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_a_proxy_that_is_down_is_named(configuration: Configuration, monkeypatch: pytest.MonkeyPatch) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    assert asked(replace(configuration, proxy=down)) == problems.PROXY_FAILED

    monkeypatch.setenv("HTTPS_PROXY", down)
    assert asked(configuration) == problems.PROXY_FAILED


def test_which_route_has_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("NO_PROXY", "inside.example")
    second = timedelta(seconds=1)
    for row in each(
        [
            ("https://license.example", None, True),
            ("https://license.example", "", False),
            ("https://license.example", "http://other.example", True),
            ("https://inside.example", None, False),
            ("https://127.0.0.1:8000", None, False),
            ("http://localhost:8000", "http://other.example", False),
        ]
    ):
        with row as (url, proxy, is_used):
            assert Route(url, second, proxy=proxy).uses_proxy is is_used


def test_the_three_problems_have_three_sentences_and_actions() -> None:
    shown = [problems.UNREACHABLE, problems.NOT_TRUSTED, problems.CERTIFICATE_NOT_IN_TIME, problems.PROXY_FAILED]

    assert len({(problem.code, problem.sentence, problem.action) for problem in shown}) == len(shown)
    assert len({problem.code for problem in shown} | {problem.sentence for problem in shown}) == 2 * len(shown)


def test_an_error_that_is_none_of_these_is_the_network() -> None:
    for row in each([httpx2.ConnectError("refused"), httpx2.ReadTimeout("late"), RuntimeError("closed")]):
        with row as error:
            assert connection_problem(error, uses_proxy=False) == problems.UNREACHABLE


def test_certificates_that_cannot_be_read_are_named(configuration: Configuration, tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("")
    for name in ("missing.pem", "empty.pem"):
        with pytest.raises(ConfigurationError, match="ca_file"):
            DirectTransport(replace(configuration, ca_file=tmp_path / name))
    with pytest.raises(ConfigurationError, match="proxy"):
        replace(configuration, proxy="proxy.example:3128")
